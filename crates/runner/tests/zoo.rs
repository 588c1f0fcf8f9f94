//! What the suites cost on the zoo's networks at 41 bits.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_ir::{GraphBuilder, LowerOptions, Lowered, Shape, Window, lower};
use copriv_ring::Width;
use copriv_runner::{Ot, Plan, Reveal, Settings, Suite, Truncation, planner};
use std::cmp::Ordering;

fn network(name: &str) -> Lowered {
    let graph = copriv_import::load(name).unwrap();
    lower(&graph, LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap()
}

/// With IKNP, the dearest OTs: what holds with them holds with others.
fn plan(net: &Lowered, suite: Suite) -> Plan {
    plan_on(net, suite, Ot::Iknp)
}

fn plan_on(net: &Lowered, suite: Suite, ot: Ot) -> Plan {
    let settings = Settings { ot, ..Settings::new(suite, Reveal::Logits) };
    Plan::new(&planner::prepare_architecture(&net.architecture, &settings).unwrap(), &settings).unwrap()
}

fn gigabytes_of_convolutions(plan: &Plan) -> f64 {
    let convolutions = plan.layers.iter().filter(|l| l.op == "conv");
    convolutions.map(|l| l.preprocessing.bytes() + l.online.bytes()).sum::<u64>() as f64 / 1e9
}

#[test]
fn a_planner_that_remembers_plans_the_same() {
    for suite in Suite::ALL {
        let settings = Settings::new(suite, Reveal::Label);
        let mut planner = planner::Planner::new(settings);
        for name in ["zoo:resnet20-cifar10", "zoo:minionn-cifar10", "zoo:resnet20-cifar10"] {
            let net = network(name);
            let prepared = planner::prepare_architecture(&net.architecture, &settings).unwrap();
            let plan = planner.plan(&net.architecture).unwrap();
            assert_eq!(plan, Plan::new(&prepared, &settings).unwrap(), "{name} {suite}");
            // The layers by themselves are all but the set-up and what is revealed, and the lumps in which OTs are drawn.
            let [before, online] = planner.layers(&net.architecture).unwrap();
            let layers =
                plan.layers.iter().filter(|l| !matches!(l.op.as_str(), "setup" | "argmax" | "reveal"));
            assert_eq!(online, layers.map(|l| l.online.bytes()).sum::<u64>(), "{name} {suite}");
            let total = plan.total.preprocessing.bytes();
            assert!(before <= total && before * 10 >= total * 9, "{name} {suite}: {before} of {total}");
        }
    }
}

/// Layers that differ in their masks alone cost what each keeps, in one network and to a planner that remembers another.
#[test]
fn masks_of_one_shape_cost_what_each_keeps() {
    let settings = Settings { truncation: Truncation::OneBit, ..Settings::new(Suite::Best, Reveal::Logits) };
    let masked = |shares: [usize; 2]| {
        let mut net = GraphBuilder::new("masked", Shape::new(4, 8, 8)).unwrap();
        let mut x = net.input();
        for (index, share) in shares.into_iter().enumerate() {
            let weights = vec![0.1; 4 * 4 * 9];
            x = net
                .conv(format!("conv{index}"), x, Window::square(3, 1, 1), 1, weights, vec![0.0; 4])
                .unwrap();
            let keep: Vec<bool> = (0..256).map(|i| i % 256 < share).collect();
            x = net.partial_relu(format!("relu{index}"), x, keep).unwrap();
        }
        let graph = net.finish(x).unwrap();
        lower(&graph, LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap().architecture
    };
    let mut planner = planner::Planner::new(settings);
    let online = |plan: &Plan| -> Vec<u64> {
        plan.layers.iter().filter(|l| l.op.contains("relu")).map(|l| l.online.bytes()).collect()
    };
    for shares in [[250, 10], [10, 250], [128, 128], [40, 200]] {
        let architecture = masked(shares);
        let plan = planner.plan(&architecture).unwrap();
        let prepared = planner::prepare_architecture(&architecture, &settings).unwrap();
        assert_eq!(plan, Plan::new(&prepared, &settings).unwrap(), "{shares:?}");
        let [first, second] = online(&plan)[..] else { panic!("{plan:?}") };
        // The last ReLU is not truncated, so those of as many elements differ a little.
        match shares[0].cmp(&shares[1]) {
            Ordering::Less => assert!(first < second, "{shares:?}: {first} {second}"),
            Ordering::Greater => assert!(first > second, "{shares:?}: {first} {second}"),
            Ordering::Equal => {}
        }
    }
}

/// The baseline's published size; the most that the others may take.
#[test]
fn convolutions() {
    for (name, baseline, copriv, best) in [
        ("zoo:resnet18-cifar100", 60.0..=65.0, 29.6, 15.5),
        ("zoo:resnet32-cifar100", 7.7..=8.5, 3.95, 1.75),
        ("zoo:resnet18-tinyimagenet", 240.0..=249.0, 117.0, 57.0),
    ] {
        let net = network(name);
        let bits = net.architecture.layers.iter().filter_map(|l| l.op.weight_bits()).max();
        assert!(bits <= Some(13), "{name}: weights of {bits:?} bits");
        let [got, got_copriv, got_best] =
            Suite::ALL.map(|suite| gigabytes_of_convolutions(&plan(&net, suite)));
        assert!(baseline.contains(&got), "{name}: {got} GB");
        assert!(got_copriv <= copriv, "{name}: {got_copriv} GB under copriv");
        assert!(got_best <= best, "{name}: {got_best} GB under best");
    }
}

#[test]
fn totals() {
    for name in ["zoo:resnet18-cifar100", "zoo:resnet32-cifar100"] {
        let net = network(name);
        let [baseline, copriv, best] = Suite::ALL.map(|suite| plan(&net, suite).total);
        let all = |total: copriv_runner::Total| (total.preprocessing + total.online).bytes() as f64;
        assert!(all(copriv) <= all(baseline) / 2.1, "{name}: {} of {}", all(copriv), all(baseline));
        assert!(all(best) <= all(copriv));
        assert!(best.online.bytes() < copriv.online.bytes());
        if name == "zoo:resnet18-cifar100" {
            assert!(copriv.online.bytes() <= 500_000_000, "{} bytes online", copriv.online.bytes());
        }
    }
}

#[test]
fn cheap_ots_leave_little() {
    let net = network("zoo:resnet18-cifar100");
    let plan = plan_on(&net, Suite::Best, Ot::Silent);
    assert!(plan.total.online.bytes() <= 32_000_000, "{} bytes online", plan.total.online.bytes());
    let linear = |op: &str| ["conv", "linear"].contains(&op);
    let nonlinear = plan.layers.iter().filter(|l| !linear(&l.op));
    let before: u64 = nonlinear.map(|l| l.preprocessing.bytes()).sum();
    assert!(before <= 10_000_000, "{before} bytes before, for all but linear layers");
}
