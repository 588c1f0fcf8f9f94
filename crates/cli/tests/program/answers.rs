use crate::common::{Serving, command, copriv, digit, finish};
use serde_json::Value;
use std::thread;
use std::time::Duration;

/// In the order of `plan --compare`.
const SUITES: [&str; 3] = ["cryptflow2", "copriv", "best"];

#[track_caller]
fn check_phase(phase: &Value) {
    for key in ["bytes_p0_to_p1", "bytes_p1_to_p0", "rounds"] {
        assert!(phase[key].is_u64(), "{phase}");
    }
}

/// Asserts the shape of a plan and that its layers sum up to the total.
#[track_caller]
fn check_plan(plan: &Value, model: &str, suite: &str) {
    assert_eq!((&plan["model"], &plan["suite"]), (&model.into(), &suite.into()));
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
    assert_eq!(bytes(&plan["total"]["preprocessing"]) > 0, suite != "cryptflow2");
    assert!(bytes(&plan["total"]["online"]) > 0);
}

/// Of both directions.
fn bytes(phase: &Value) -> u64 {
    phase["bytes_p0_to_p1"].as_u64().unwrap() + phase["bytes_p1_to_p0"].as_u64().unwrap()
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
        assert!(counted["preprocessing_seconds"].is_f64() && counted["online_seconds"].is_f64());
    }
    assert_eq!(answer["total"], answer["measured"]["total"]);
    let mut seconds = 0.0;
    for phase in ["preprocessing", "online"] {
        let summary = &answer["phases"][phase];
        assert_eq!(summary["bytes"], bytes(&answer["total"][phase]));
        assert_eq!(summary["rounds"], answer["total"][phase]["rounds"]);
        let measured = answer["measured"][format!("{phase}_seconds")].as_f64().unwrap();
        assert!((summary["seconds"].as_f64().unwrap() - measured).abs() < 1e-6);
        seconds += measured;
    }
    assert!(seconds > 0.0);
    assert!((answer["measured"]["seconds"].as_f64().unwrap() - seconds).abs() < 1e-6);
    if cfg!(target_os = "linux") {
        for party in ["server", "client"] {
            assert!(answer["peak_memory_bytes"][party].as_u64().unwrap() > 1 << 20, "{answer}");
        }
    }
}

#[test]
fn demo_is_exact_and_as_planned() {
    for suite in SUITES {
        let answer = copriv(&["demo", "--suite", suite, "--images", "2", "--start", "3", "--json"]).json();
        check_plan(&answer, "zoo:digits", suite);
        check_measured(&answer);
        assert_eq!((&answer["bits"], &answer["frac"]), (&41.into(), &12.into()));
        for key in ["images", "labels_agree", "bit_exact", "as_planned"] {
            assert_eq!(answer[key], 2, "{suite} {key}");
        }
        assert!(answer["correct"].as_u64().unwrap() <= 2);
        assert_eq!(answer["network"], "none");
        let [before, online, all] =
            ["preprocessing_seconds_per_image", "online_seconds_per_image", "seconds_per_image"]
                .map(|key| answer[key].as_f64().unwrap());
        assert!(online > 0.0 && (before + online - all).abs() < 1e-6, "{before} + {online} = {all}");
    }
}

#[test]
fn demo_for_people() {
    for suite in SUITES {
        let text =
            copriv(&["demo", "--suite", suite, "--reveal", "label", "--bits", "37", "--frac", "10"]).ok();
        let words =
            ["private prediction", "equal bit for bit 1/1", "as planned 1/1", "stem.conv", "argmax", "✓"];
        for word in words.iter().chain(&[suite]) {
            assert!(text.contains(word), "{word:?} is not in {text}");
        }
        assert_eq!(text.contains("before the input"), suite != "cryptflow2", "{text}");
        assert!(!text.contains('✗') && !text.contains('\x1b'), "{text}");
    }
}

#[test]
fn plans_are_json() {
    for model in ["zoo:digits", "zoo:minionn-cifar10", "zoo:squeezenet-cifar10", "zoo:mobilenetv2-cifar100"] {
        for suite in SUITES {
            check_plan(&copriv(&["plan", model, "--suite", suite, "--json"]).json(), model, suite);
        }
        check_plan(&copriv(&["plan", model, "--json"]).json(), model, "best");
    }
    let plan =
        copriv(&["plan", "zoo:digits", "--json", "--bits", "32", "--frac", "8", "--reveal", "label"]).json();
    assert_eq!((&plan["bits"], &plan["frac"]), (&32.into(), &8.into()));
    assert!(plan["layers"].as_array().unwrap().iter().any(|layer| layer["op"] == "argmax"));
}

#[test]
fn plans_for_people() {
    for (suite, words) in [
        ("cryptflow2", ["stem.conv/truncate", "OT product", "P0→P1", "truncation by 12"]),
        ("copriv", ["F(2×2, 3×3)", "relu_truncate", "before", "online"]),
        ("best", ["F(4×4, 3×3)", "relu_truncate", "before", "digits"]),
    ] {
        let text = copriv(&["plan", "zoo:digits", "--suite", suite]).ok();
        for word in words.into_iter().chain(["by kind of layer", "100.0 %", suite]) {
            assert!(text.contains(word), "{word:?} is not in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}

#[test]
fn the_plan_is_what_the_demo_plans() {
    for suite in SUITES {
        let plan = copriv(&["plan", "zoo:digits", "--suite", suite, "--json"]).json();
        let demo = copriv(&["demo", "--suite", suite, "--json"]).json();
        for key in ["model", "suite", "ot", "bits", "frac", "layers", "total"] {
            assert_eq!(plan[key], demo[key], "{suite} {key}");
        }
    }
}

/// Sums `key` over all kinds of a compared suite.
fn over_kinds(suite: &Value, key: &[&str]) -> u64 {
    let of = |kind: &Value| key.iter().fold(kind, |value, key| &value[key]).as_u64().unwrap();
    suite["kinds"].as_array().unwrap().iter().map(of).sum()
}

#[test]
fn comparisons_are_json() {
    let model = "zoo:resnet20-cifar10";
    let answer = copriv(&["plan", model, "--compare", "--json"]).json();
    assert_eq!((&answer["model"], &answer["bits"], &answer["frac"]), (&model.into(), &41.into(), &12.into()));
    assert_eq!(answer["reveal"], "logits");
    let links = answer["links"].as_array().unwrap();
    assert_eq!(links.iter().map(|link| &link["name"]).collect::<Vec<_>>(), ["lan", "wan"]);
    let mut totals = Vec::new();
    for (suite, compared) in SUITES.into_iter().zip(answer["suites"].as_array().unwrap()) {
        assert_eq!(compared["suite"], suite);
        let plan = copriv(&["plan", model, "--suite", suite, "--json"]).json();
        assert_eq!(compared["total"], plan["total"]);
        let kinds = compared["kinds"].as_array().unwrap();
        let names: Vec<&str> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
        assert_eq!(names, ["conv_linear", "truncate", "relu", "relu_truncate", "pool", "residual", "other"]);
        assert_eq!(over_kinds(compared, &["layers"]), plan["layers"].as_array().unwrap().len() as u64);
        for phase in ["preprocessing", "online"] {
            for key in ["bytes_p0_to_p1", "bytes_p1_to_p0", "rounds"] {
                assert_eq!(plan["total"][phase][key], over_kinds(compared, &[phase, key]));
            }
        }
        for (index, link) in links.iter().enumerate() {
            let latency = &compared["latency"][index];
            assert_eq!(latency["link"], link["name"]);
            for phase in ["preprocessing", "online"] {
                let sent =
                    8.0 * bytes(&plan["total"][phase]) as f64 / link["bits_per_second"].as_f64().unwrap();
                let delays = over_kinds(compared, &["delays", phase]) as f64;
                let waited = delays * link["round_trip_seconds"].as_f64().unwrap() / 2.0;
                let seconds = latency[format!("{phase}_seconds")].as_f64().unwrap();
                assert!((seconds - sent - waited).abs() < 1e-6, "{seconds}, {sent}, {waited}");
            }
        }
        totals.push(bytes(&plan["total"]["preprocessing"]) + bytes(&plan["total"]["online"]));
        let ratio = compared["ratio"]["bytes"].as_f64().unwrap();
        assert!((ratio - totals[totals.len() - 1] as f64 / totals[0] as f64).abs() < 1e-9, "{ratio}");
    }
    assert!(totals[0] > totals[1] && totals[1] > totals[2], "{totals:?}");
}

#[test]
fn comparisons_for_people() {
    let text = copriv(&["plan", "zoo:digits", "--compare"]).ok();
    let words = [
        "cryptflow2",
        "copriv",
        "best",
        "activation, truncated",
        "3 Gbit/s, 0.8 ms",
        "200 Mbit/s, 40 ms",
        "1.000",
    ];
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    assert!(!text.contains("-0"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    let slow = ["plan", "zoo:digits", "--compare", "--bandwidth", "10 Mbit/s", "--rtt", "0.5s"];
    let text = copriv(&slow).ok();
    assert!(text.contains("10 Mbit/s, 500 ms") && !text.contains("40 ms"), "{text}");
    let link = &copriv(&[&slow[..], &["--json"]].concat()).json()["links"];
    assert_eq!(link[0]["name"], "given");
    assert_eq!((&link[0]["bits_per_second"], &link[0]["round_trip_seconds"]), (&10e6.into(), &0.5.into()));
}

#[test]
fn comparisons_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("figure.svg");
    let file = path.display().to_string();
    std::fs::write(&path, "what was there").unwrap();
    let text = copriv(&["plan", "zoo:digits", "--plot", &file]).ok();
    assert!(text.contains("stem.conv") && text.contains(&file), "{text}");
    let figure = std::fs::read_to_string(&path).unwrap();
    for word in ["<svg ", "zoo:digits", "cryptflow2", "copriv", "best", "57.2 MB", "pooling"] {
        assert!(figure.contains(word), "{word:?} is not in {figure}");
    }
    let args = ["plan", "zoo:digits", "--compare", "--json", "--plot", &file];
    assert_eq!(copriv(&args).json()["suites"][0]["suite"], "cryptflow2");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), figure);
    let nowhere = folder.path().join("none/figure.svg").display().to_string();
    copriv(&["plan", "zoo:digits", "--plot", &nowhere]).fails(1, &[&nowhere]);
}

#[test]
fn one_server_many_clients() {
    for suite in SUITES {
        one_server(suite);
    }
}

fn one_server(suite: &str) {
    let server = Serving::start(&["zoo:digits", "--suite", suite]);
    for shown in [1, 4, 6] {
        let answer = server.infer(&["--input", &digit(shown), "--json"]).json();
        assert_eq!((&answer["label"], &answer["suite"]), (&shown.into(), &suite.into()));
        assert!(answer["phases"]["online"]["bytes"].as_u64().unwrap() > 0);
        assert_eq!(answer["as_planned"], true);
        assert_eq!(answer["logits"].as_array().unwrap().len(), 10);
        server.says("inference 1: ");
        server.says("left after 1 inference");
    }
    let text = server.infer(&["--input", &digit(4), "--suite", suite]).ok();
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
    let rounds = |phase: &str| answer["total"][phase]["rounds"].as_u64().unwrap();
    let rounds = rounds("preprocessing") + rounds("online");
    let seconds = answer["measured"]["seconds"].as_f64().unwrap();
    assert!(seconds > 0.020 * rounds as f64, "{rounds} rounds in {seconds} s");
    assert_eq!(copriv(&["demo", "--network", "lan", "--json"]).json()["network"], "lan");
}

#[test]
fn runs_compare_with_the_clear() {
    let model = crate::common::repository("crates/import/assets/digits.onnx").display().to_string();
    for suite in SUITES {
        let args = ["run", &model, "--suite", suite, "--input", "random", "--seed", "5", "--json"];
        let answer = copriv(&args).json();
        check_plan(&answer, &model, suite);
        check_measured(&answer);
        assert_eq!((&answer["bit_exact"], &answer["as_planned"]), (&true.into(), &true.into()));
    }
    let text = copriv(&["run", "zoo:digits", "--input", &digit(1), "--reveal", "label"]).ok();
    assert!(text.contains("label 1, equal to the evaluation in the clear, bit for bit"), "{text}");
}

#[test]
fn what_is_left_out_is_told() {
    let args = ["--truncation", "one-bit", "--relu-drop-bits", "18"];
    let with = |start: &[&str]| copriv(&[start, &args].concat());
    let answer = with(&["demo", "--images", "3", "--json"]).json();
    assert_eq!((&answer["truncation"], &answer["relu_drop_bits"]), (&"one-bit".into(), &18.into()));
    assert_eq!((&answer["bit_exact"], &answer["as_planned"]), (&0.into(), &3.into()));
    let exact = copriv(&["demo", "--json"]).json();
    let online = |answer: &Value| bytes(&answer["total"]["online"]);
    assert!(4 * online(&answer) < 3 * online(&exact), "{} of {}", online(&answer), online(&exact));

    let run = with(&["run", "zoo:digits", "--input", "random", "--json"]).json();
    let number = |key: &str| run[key].as_f64().unwrap();
    assert_eq!((&run["bit_exact"], &run["within"]), (&false.into(), &true.into()));
    assert!(number("largest_difference") > 0.0 && number("largest_difference") < 0.1, "{run}");
    assert!(number("largest_difference") <= number("largest_allowed"), "{run}");

    for start in [&["plan", "zoo:digits"][..], &["demo"], &["run", "zoo:digits", "--input", "random"]] {
        let text = with(start).ok();
        for words in ["truncations may be one too low", "without 18 bits"] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }
    with(&["plan", "zoo:digits", "--suite", "copriv"]).fails(1, &["copriv is exact", "best"]);
    copriv(&["plan", "zoo:digits", "--relu-drop-bits", "60"]).fails(1, &["39 bits", "60"]);
    copriv(&["plan", "zoo:digits", "--truncation", "lazy"]).fails(2, &["lazy", "one-bit"]);
    // Beside it the others are what they always are.
    with(&["plan", "zoo:digits", "--compare"]).ok();

    let server = Serving::start(&[&["zoo:digits"], &args[..]].concat());
    assert!(server.infer(&["--input", &digit(4)]).ok().contains("truncations may be one too low"));
    let answer = server.infer(&["--input", &digit(4), "--json"]).json();
    assert_eq!((&answer["truncation"], &answer["relu_drop_bits"]), (&"one-bit".into(), &18.into()));
}

#[test]
fn the_zoo() {
    let zoo = copriv(&["zoo", "--json"]).json();
    let named =
        |name: &str| zoo.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap().clone();
    assert_eq!(named("zoo:digits")["input"], "1x28x28");
    let resnet = named("zoo:resnet18-cifar100");
    assert_eq!((&resnet["classes"], &resnet["relus"]), (&100.into(), &557_056.into()));
    for (name, macs) in
        [("zoo:mobilenetv2-digits", 1_300_000..1_500_000), ("zoo:resnet20-digits", 2_100_000..2_200_000)]
    {
        let entry = named(name);
        assert_eq!((&entry["input"], &entry["classes"]), (&"1x28x28".into(), &10.into()));
        assert!(macs.contains(&entry["macs"].as_u64().unwrap()), "{entry}");
    }
    assert!(copriv(&["zoo"]).ok().contains("zoo:mobilenetv2-imagenet"));
}

#[test]
fn help_teaches() {
    let help = copriv(&["--help"]).ok();
    for command in ["demo", "serve", "infer", "preprocess", "run", "plan", "zoo", "bench"] {
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
