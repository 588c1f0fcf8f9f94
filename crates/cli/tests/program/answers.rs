use crate::common::{Serving, command, copriv, digit, finish};
use serde_json::Value;
use std::thread;
use std::time::Duration;

#[track_caller]
fn check_phase(phase: &Value) {
    for key in ["bytes_p0_to_p1", "bytes_p1_to_p0", "rounds"] {
        assert!(phase[key].is_u64(), "{phase}");
    }
}

/// Asserts the shape of a plan and that its layers sum up to the total.
#[track_caller]
fn check_plan(plan: &Value, model: &str) {
    assert_eq!(plan["model"], model);
    assert_eq!(plan["suite"], "cryptflow2");
    let layers = plan["layers"].as_array().unwrap();
    assert!(layers.len() > 5);
    for layer in layers {
        for key in ["name", "op", "protocol"] {
            assert!(layer[key].is_string(), "{layer}");
        }
        check_phase(&layer["preprocessing"]);
        check_phase(&layer["online"]);
    }
    for phase in ["preprocessing", "online"] {
        for key in ["bytes_p0_to_p1", "bytes_p1_to_p0", "rounds"] {
            let sum: u64 = layers.iter().map(|layer| layer[phase][key].as_u64().unwrap()).sum();
            assert_eq!(plan["total"][phase][key], sum, "{phase} {key}");
        }
    }
}

/// Asserts that what was counted is what was planned, layer by layer.
#[track_caller]
fn check_measured(answer: &Value) {
    let (planned, counted) = (&answer["layers"], &answer["measured"]["layers"]);
    assert_eq!(planned.as_array().unwrap().len(), counted.as_array().unwrap().len());
    for (planned, counted) in planned.as_array().unwrap().iter().zip(counted.as_array().unwrap()) {
        for key in ["name", "op", "preprocessing", "online"] {
            assert_eq!(planned[key], counted[key]);
        }
        assert!(counted["seconds"].is_f64());
    }
    assert_eq!(answer["total"], answer["measured"]["total"]);
    assert!(answer["measured"]["seconds"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        for party in ["server", "client"] {
            assert!(answer["peak_memory_bytes"][party].as_u64().unwrap() > 1 << 20, "{answer}");
        }
    }
}

#[test]
fn demo_is_exact_and_as_planned() {
    let answer = copriv(&["demo", "--images", "2", "--start", "3", "--json"]).json();
    check_plan(&answer, "zoo:digits");
    check_measured(&answer);
    assert_eq!((&answer["bits"], &answer["frac"]), (&41.into(), &12.into()));
    for key in ["images", "labels_agree", "bit_exact", "as_planned"] {
        assert_eq!(answer[key], 2, "{key}");
    }
    assert!(answer["correct"].as_u64().unwrap() <= 2);
    assert_eq!(answer["network"], "none");
    assert!(answer["seconds_per_image"].as_f64().unwrap() > 0.0);
}

#[test]
fn demo_for_people() {
    let text = copriv(&["demo", "--reveal", "label", "--bits", "37", "--frac", "10"]).ok();
    for word in ["private prediction", "equal bit for bit 1/1", "as planned 1/1", "stem.conv", "argmax", "✓"]
    {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    assert!(!text.contains('✗') && !text.contains('\x1b'), "{text}");
}

#[test]
fn plans_are_json() {
    for model in ["zoo:digits", "zoo:minionn-cifar10", "zoo:squeezenet-cifar10", "zoo:mobilenetv2-cifar100"] {
        check_plan(&copriv(&["plan", model, "--json"]).json(), model);
    }
    let plan =
        copriv(&["plan", "zoo:digits", "--json", "--bits", "32", "--frac", "8", "--reveal", "label"]).json();
    assert_eq!((&plan["bits"], &plan["frac"]), (&32.into(), &8.into()));
    assert!(plan["layers"].as_array().unwrap().iter().any(|layer| layer["op"] == "argmax"));
}

#[test]
fn plans_for_people() {
    let text = copriv(&["plan", "zoo:digits"]).ok();
    for word in ["stem.conv/truncate", "OT product", "by kind of layer", "P0→P1 MB", "100.0 %"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn the_plan_is_what_the_demo_plans() {
    let plan = copriv(&["plan", "zoo:digits", "--json"]).json();
    let demo = copriv(&["demo", "--json"]).json();
    for key in ["model", "suite", "bits", "frac", "layers", "total"] {
        assert_eq!(plan[key], demo[key], "{key}");
    }
}

#[test]
fn one_server_many_clients() {
    let server = Serving::start(&["zoo:digits"]);
    for shown in [1, 4, 6] {
        let answer = server.infer(&["--input", &digit(shown), "--json"]).json();
        assert_eq!(answer["label"], shown);
        assert_eq!(answer["as_planned"], true);
        assert_eq!(answer["logits"].as_array().unwrap().len(), 10);
        server.says("inference 1: ");
        server.says("left after 1 inference");
    }
    let text = server.infer(&["--input", &digit(4), "--suite", "cryptflow2"]).ok();
    assert!(text.contains("stem.conv") && text.contains("label 4"), "{text}");
    assert_eq!(server.infer(&["--input", &digit(6), "--quiet"]).ok(), "label 6\n");
    // At the same time.
    let address = &server.address;
    thread::scope(|scope| {
        let both = [1, 4].map(|shown| {
            scope.spawn(move || crate::common::infer(address, &["--input", &digit(shown), "--quiet"]).ok())
        });
        let [one, four] = both.map(|client| client.join().unwrap());
        assert_eq!((one.as_str(), four.as_str()), ("label 1\n", "label 4\n"));
    });
}

#[test]
fn a_server_for_one_client() {
    let mut server = Serving::start(&["zoo:digits", "--once", "--reveal", "label"]);
    let answer = server.infer(&["--input", &digit(4), "--json"]).json();
    assert_eq!((&answer["label"], &answer["logits"]), (&4.into(), &Value::Null));
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn a_shaped_link_takes_its_time() {
    let answer = copriv(&["demo", "--network", "wan", "--json"]).json();
    assert_eq!(
        (&answer["network"], &answer["bit_exact"], &answer["as_planned"]),
        (&"wan".into(), &1.into(), &1.into())
    );
    // A round waits for 20 ms at least, and for 40 ms where the peer answers.
    let rounds = answer["total"]["online"]["rounds"].as_u64().unwrap();
    let seconds = answer["measured"]["seconds"].as_f64().unwrap();
    assert!(seconds > 0.020 * rounds as f64, "{rounds} rounds in {seconds} s");
    assert_eq!(copriv(&["demo", "--network", "lan", "--json"]).json()["network"], "lan");
}

#[test]
fn runs_compare_with_the_clear() {
    let model = crate::common::repository("crates/import/assets/digits.onnx").display().to_string();
    let answer = copriv(&["run", &model, "--input", "random", "--seed", "5", "--json"]).json();
    check_plan(&answer, &model);
    check_measured(&answer);
    assert_eq!((&answer["bit_exact"], &answer["as_planned"]), (&true.into(), &true.into()));
    let text = copriv(&["run", "zoo:digits", "--input", &digit(1), "--reveal", "label"]).ok();
    assert!(text.contains("label 1, equal to the evaluation in the clear, bit for bit"), "{text}");
}

#[test]
fn the_zoo() {
    let zoo = copriv(&["zoo", "--json"]).json();
    let named =
        |name: &str| zoo.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap().clone();
    assert_eq!(named("zoo:digits")["input"], "1x28x28");
    let resnet = named("zoo:resnet18-cifar100");
    assert_eq!((&resnet["classes"], &resnet["relus"]), (&100.into(), &557_056.into()));
    assert!(copriv(&["zoo"]).ok().contains("zoo:mobilenetv2-imagenet"));
}

#[test]
fn benches_count_what_is_sent() {
    for (what, bytes) in [("ot", 16.0), ("nonlinear", 100.0), ("linear", 20.0)] {
        let bench = copriv(&["bench", what, "--seconds", "0.01", "--json"]).json();
        assert!(bench["machine"]["cores"].as_u64().unwrap() > 0);
        let rows = bench["rows"].as_array().unwrap();
        assert!(rows.len() >= 3);
        for row in rows {
            assert!(row["protocol"].is_string() && row["count"].as_u64().unwrap() > 0, "{row}");
            assert!(row["per_second"].as_f64().unwrap() > 0.0, "{row}");
            assert!(row["bytes_each"].as_f64().unwrap() > bytes, "{row}");
        }
    }
}

#[test]
fn help_teaches() {
    let help = copriv(&["--help"]).ok();
    for command in ["demo", "serve", "infer", "run", "plan", "zoo", "bench"] {
        assert!(help.contains(command));
        let help = copriv(&[command, "--help"]).ok();
        assert!(help.contains("Examples:"), "{help}");
    }
    assert!(copriv(&["--version"]).ok().starts_with("copriv "));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = command(&["plan", "zoo:digits"]).spawn().unwrap();
    drop(child.stdout.take());
    finish(child).ok();
}

/// The processes that `parent` has started.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    listed.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[cfg(target_os = "linux")]
fn until(what: &str, mut reached: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if reached() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{what}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_server_outlives_its_demo() {
    let mut demo = command(&["demo", "--images", "900"]).spawn().unwrap();
    let mut server = Vec::new();
    until("the demo starts a server", || {
        server = children(demo.id());
        !server.is_empty()
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    let path = format!("/proc/{}/status", server[0]);
    // Gone, or waiting to be reaped by whoever adopted it.
    let ended = || std::fs::read_to_string(&path).map_or(true, |status| status.contains("State:\tZ"));
    until("the server ends with the demo", ended);
}

#[cfg(target_os = "linux")]
#[test]
fn a_demo_whose_server_dies_says_so() {
    let demo = command(&["demo", "--images", "900"]).spawn().unwrap();
    let id = demo.id();
    until("the demo starts a server", || !children(id).is_empty());
    // Whether it is loading, greeting or computing by now: the demo must notice.
    thread::sleep(Duration::from_millis(500));
    let server = children(id)[0].to_string();
    std::process::Command::new("kill").args(["-9", &server]).status().unwrap();
    finish(demo).fails(1, &[]);
}
