use crate::common::copriv;
use copriv_channel::Cost;
use copriv_nonlinear::truncate::{cost_faithful, cost_faithful_sirnn, cost_one_bit};
use copriv_nonlinear::{Sign, Windows, argmax, maxpool, relu, relu_truncate};
use copriv_ot::RcotBackend;
use copriv_ring::Width;
use copriv_runner::{Reveal, Settings, Suite, planner};
use copriv_session::Params;
use copriv_wire::Role;
use serde_json::Value;

fn rows(answer: &Value) -> &[Value] {
    answer["rows"].as_array().unwrap()
}

/// `what`, measured as shortly as it goes.
fn bench(what: &str) -> Value {
    let answer = copriv(&["bench", what, "--seconds", "0.01", "--json"]).json();
    assert!(answer["machine"]["cores"].as_u64().unwrap() > 0);
    for row in rows(&answer) {
        assert!(row["per_second"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["count"].as_u64().unwrap() > 0 && row["threads"] == 1, "{row}");
    }
    answer
}

#[test]
fn ots_take_what_they_cost() {
    let answer = bench("ot");
    assert_eq!(rows(&answer).len(), 9);
    for row in rows(&answer) {
        let number = |key: &str| row[key].as_f64().unwrap();
        assert_eq!(row["as_planned"], true, "{row}");
        assert!(number("bytes_each") < number("bytes_each_with_setup"), "{row}");
        assert!(number("setup_seconds") > 0.0, "{row}");
    }
    let each = |protocol: &str| {
        let row = rows(&answer).iter().find(|row| row["protocol"] == protocol);
        row.unwrap()["bytes_each"].as_f64().unwrap()
    };
    let of = |rcot: RcotBackend| rcot.cost(Role::P0, 1 << 20).bytes() as f64 / f64::from(1 << 20);
    assert_eq!(each("random correlated OT, IKNP"), of(RcotBackend::Iknp));
    for k in [2, 4, 8] {
        assert_eq!(
            each(&format!("random correlated OT, SoftSpoken k = {k}")),
            of(RcotBackend::Softspoken { k })
        );
    }
    let [silent, lean] =
        ["silent", "silent, lean"].map(|name| each(&format!("random correlated OT, {name}")));
    assert!(lean < silent && silent < 0.125, "{lean} {silent}");
    // A choice is a bit.
    let more = each("random OT, silent") - silent;
    assert!((more - 0.125).abs() < 0.001, "{more}");
}

#[test]
fn what_is_asked_for_alone_is_measured() {
    let answer = copriv(&["bench", "counts", "--only", "max pool", "--json"]).json();
    assert_eq!(rows(&answer).len(), 6);
    assert!(rows(&answer).iter().all(|row| row["operation"] == "max pool 2x2"));
    copriv(&["bench", "ot", "--only", "turnips"]).fails(1, &["turnips", "--only"]);
}

#[test]
fn products_are_measured() {
    let answer = bench("linear");
    assert_eq!(rows(&answer).len(), 6);
    assert!(rows(&answer).iter().all(|row| row["bytes_each"].as_f64().unwrap() > 20.0));
}

/// What an operation costs online, by its name.
fn online(operation: &str, params: &Params, n: usize, width: Width) -> Cost {
    let faithful = |sign| cost_faithful(params, n, width, 12, sign);
    match operation {
        "ReLU" => relu::cost(params, n, width),
        "truncation by 12" => faithful(Sign::Unknown),
        "truncation by 12, one comparison" => cost_faithful_sirnn(params, n, width, 12),
        "truncation by 12, x >= 0 known" => faithful(Sign::NonNegative),
        "truncation by 12, x >= 0 known, last bit may be off" => {
            cost_one_bit(params, n, width, 12, Sign::NonNegative)
        }
        "ReLU, then truncation by 12" => relu::cost(params, n, width) + faithful(Sign::NonNegative),
        "ReLU and truncation by 12, one comparison" => relu_truncate::cost(params, n, width, 12),
        "ReLU and truncation by 12, last bit may be off" => {
            relu_truncate::cost_one_bit(params, n, width, 12, 0)
        }
        "max pool 2x2" => maxpool::cost(params, &Windows::rows(n, 4), width),
        "argmax of 100" => argmax::cost(params, &Windows::rows(n, 100), width, Width::of(7)),
        other => panic!("{other} is no operation"),
    }
}

/// Compares a row of `bench nonlinear` or `bench counts` with the cost functions; an RCOT drawn before counts `drawn` bits.
fn check(row: &Value, drawn: f64) {
    let (operation, suite) = (row["operation"].as_str().unwrap(), row["suite"].as_str().unwrap());
    let settings = Settings::new(suite.parse().unwrap(), Reveal::Logits);
    let width = Width::of(row["width"].as_u64().unwrap() as u32);
    let n = row["count"].as_u64().unwrap() as usize;
    let cost = |params: &Params| online(operation, params, n, width);
    let (cheapest, digit_bits) = planner::digits(&settings, cost);
    assert_eq!(row["digit_bits"], digit_bits, "{row}");
    assert_eq!((&row["bytes_online"], &row["rounds"]), (&cheapest.bytes().into(), &cheapest.rounds().into()));
    let rcots = match settings.suite {
        Suite::Best => [Role::P0, Role::P1].map(|sender| cheapest.rcots_from(sender)),
        _ => [0, 0],
    };
    assert_eq!(row["rcots"], serde_json::json!(rcots), "{row}");
    let number = |key: &str| row[key].as_f64().unwrap();
    let close = |key: &str, bits: f64| assert!((number(key) - bits / n as f64).abs() < 1e-6, "{key} {row}");
    let (before, online) = (rcots.iter().sum::<u64>() as f64 * drawn, cheapest.bytes() as f64 * 8.0);
    close("bits_before", before);
    close("bits_online", online);
    close("bits", before + online);
}

#[test]
fn operations_send_what_they_cost() {
    let counts = copriv(&["bench", "counts", "--json"]).json();
    assert!(counts.get("machine").is_none());
    let drawn = counts["drawn"]["bits_each"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&drawn) && counts["drawn"]["ots"] == 1 << 27, "{drawn}");
    assert_eq!(rows(&counts).len(), 10 * 3 * 2);
    for row in rows(&counts) {
        check(row, drawn);
        assert!(row["per_second"].is_null(), "{row}");
    }
    let measured = bench("nonlinear");
    assert_eq!(rows(&measured).len(), rows(&counts).len());
    rows(&measured).iter().for_each(|row| check(row, drawn));
}
