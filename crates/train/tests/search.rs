//! Searches: the sign of the communication term, and budgets that hold.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use burn::tensor::{Device, Tensor};
use copriv_import::load;
use copriv_runner::{Reveal, Settings, Suite, Truncation};
use copriv_train::blocks::Without;
use copriv_train::cost::{Costs, Objective, Setting};
use copriv_train::data::{Data, Split};
use copriv_train::fit::{At, Method};
use copriv_train::network::{Network, floats};
use copriv_train::optimize::{Plan, Strategy, optimize};
use copriv_train::recipe::{Distill, Recipe};
use copriv_train::search::{Allowed, BlockSearch, Choice, PartSearch, activations, communication, masked};

fn setting() -> Setting {
    let settings = Settings { truncation: Truncation::OneBit, ..Settings::new(Suite::Best, Reveal::Logits) };
    Setting::new(settings)
}

/// Going down the gradient of the term raises the score of a block whose removal saves, and so drops it rather; it lowers that of one
/// whose removal costs. The published code of another method has this sign the wrong way round.
#[test]
fn the_communication_term_favours_what_saves() {
    let device = Device::flex();
    for scores in [[0.0, 0.0, 0.0], [-3.0, 2.0, 0.5]] {
        let scores = Tensor::<1>::from_floats(scores, &device).autodiff().require_grad();
        let mut gradients = communication(&[0.2, 0.0, -0.1], 0.5, scores.clone()).backward();
        let gradient = floats(&scores.grad_remove(&mut gradients).unwrap()).unwrap();
        assert_eq!(gradient, [-0.1, 0.0, 0.05], "no dead zone: the same at all scores");
    }
}

fn data() -> Data {
    let split = Split { validation: 0.3, test: 0.1, seed: 1 };
    Data::load(&"digits".parse().unwrap(), &split).unwrap().limit(100).unwrap()
}

fn plan(strategy: Strategy, objective: Objective, budget: &str) -> Plan {
    let recipe = Recipe {
        epochs: 2,
        batch: 10,
        rate: 0.01,
        warm_up: 0.0,
        distill: Some(Distill { weight: 0.7, temperature: 4.0 }),
        ..Recipe::default()
    };
    let mut plan = Plan::new(strategy, budget.parse().unwrap(), objective, setting(), recipe);
    plan.search.epochs = 3;
    plan.lambda = 1e-2;
    plan
}

fn run(strategy: Strategy, objective: Objective, budget: &str, network: &str) -> (f64, copriv_ir::Graph) {
    let folder = tempfile::tempdir().unwrap();
    let (net, data, plan) = (load(network).unwrap(), data(), plan(strategy, objective, budget));
    let done = optimize(&net, &data, "digits", &plan, folder.path(), false, &Device::flex(), false).unwrap();
    let bytes = |f: &copriv_train::optimize::Figures| match objective {
        Objective::Total => f.bytes_total,
        Objective::Online => f.bytes_online,
    };
    let result = done.result.unwrap();
    assert_eq!(
        (result.bytes_total, result.bytes_online),
        (done.optimized.bytes_total, done.optimized.bytes_online)
    );
    let graph = copriv_import::onnx::load(&done.network).unwrap();
    // What the result says is what the file costs.
    let again = Costs::new(setting(), objective).of(&graph).unwrap();
    assert_eq!((again.total, again.online), (result.bytes_total, result.bytes_online));
    (bytes(&done.optimized) as f64 / bytes(&done.original) as f64, graph)
}

#[test]
fn budgets_hold() {
    use Objective::{Online, Total};
    for (strategy, objective, budget, share, network) in [
        (Strategy::Blocks, Total, "50%", 0.50, "zoo:mobilenetv2-digits"),
        (Strategy::Blocks, Online, "50%", 0.50, "zoo:resnet20-digits"),
        (Strategy::Count, Total, "60%", 0.60, "zoo:mobilenetv2-digits"),
        (Strategy::SnlPixel, Online, "70%", 0.70, "zoo:resnet20-digits"),
        (Strategy::SnlChannel, Online, "70%", 0.70, "zoo:resnet20-digits"),
        (Strategy::Channels, Total, "50%", 0.50, "zoo:resnet20-digits"),
        (Strategy::ReluGreedy, Online, "80%", 0.80, "zoo:resnet20-digits"),
    ] {
        let (found, _) = run(strategy, objective, budget, network);
        assert!(found <= share && found > share * 0.4, "{strategy} {objective}: {found} of {share}");
    }
}

/// A search of fewer steps than there are between two choices ends within its budget too.
#[test]
fn a_short_search_holds_its_budget() {
    let net = load("zoo:resnet20-digits").unwrap();
    let mut costs = Costs::new(setting(), Objective::Total);
    let original = costs.structure(&net.outline()).unwrap().total;
    let limit = original / 2;
    let allowed = Allowed { bytes: limit, scale: 1.0, leeway: 1.0 };
    let how = Without { narrow: true, widen: false, end_activation: true };
    let mut search = BlockSearch::new(&net, &mut costs, allowed, how, Choice::Bytes, 0.1).unwrap();
    for steps in [1, 2, 9] {
        let mut network = Network::new(&net, &Device::flex()).unwrap();
        let harm = vec![1.0; search.blocks().len()];
        search.gate(&mut network, &harm);
        for step in 0..steps {
            search.before_step(At { step, steps, epoch_steps: steps }, &mut network).unwrap();
        }
        let left = search.result(&network).unwrap();
        let bytes = Costs::new(setting(), Objective::Total).structure(&left.outline()).unwrap().total;
        assert!(bytes <= limit, "{steps}: {bytes} of {limit}");
    }
}

/// What a checkpoint says of a search must fit it.
#[test]
fn a_state_of_another_search_is_refused() {
    let net = load("zoo:resnet20-digits").unwrap();
    let mut costs = Costs::new(setting(), Objective::Online);
    let mut search = PartSearch::new(&net, &mut costs, u64::MAX, true, 1e-5).unwrap();
    let state = search.state();
    search.restore(&state).unwrap();
    for settled in [serde_json::json!([]), serde_json::json!([[true]]), serde_json::json!(3)] {
        let mut state = state.clone();
        state["settled"] = settled;
        assert!(search.restore(&state).is_err(), "{state}");
    }
    assert!(search.restore(&serde_json::Value::Null).is_err());
}

/// A run goes on only as what it was.
#[test]
fn another_budget_is_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let (net, data) = (load("zoo:resnet20-digits").unwrap(), data());
    let go = |budget: &str, resume| {
        let plan = plan(Strategy::Channels, Objective::Total, budget);
        optimize(&net, &data, "digits", &plan, folder.path(), resume, &Device::flex(), false)
    };
    let first = go("60%", false).unwrap();
    let again = go("60%", true).unwrap();
    assert_eq!(first.optimized, again.optimized);
    assert!(go("50%", true).unwrap_err().to_string().contains("another method, budget"));
}

/// A run that was killed after its searches, before what they found was written, finds the same again.
#[test]
fn searches_that_are_done_are_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let (net, data) = (load("zoo:resnet20-digits").unwrap(), data());
    let plan = plan(Strategy::Blocks, Objective::Total, "50%");
    let go = |resume| optimize(&net, &data, "digits", &plan, folder.path(), resume, &Device::flex(), false);
    let first = go(false).unwrap();
    for place in ["search", "search.thin"] {
        assert!(folder.path().join(place).join("checkpoint.safetensors").exists(), "{place}");
    }
    let structure = folder.path().join("structure.onnx");
    let found = std::fs::read(&structure).unwrap();
    std::fs::remove_file(&structure).unwrap();
    let again = go(true).unwrap();
    assert!(std::fs::read(&structure).unwrap() == found, "the same structure and weights");
    assert_eq!((first.optimized, first.dropped), (again.optimized, again.dropped));
}

#[test]
fn a_budget_out_of_reach_says_what_is() {
    let net = load("zoo:resnet20-digits").unwrap();
    let mut costs = Costs::new(setting(), Objective::Total);
    let e = PartSearch::new(&net, &mut costs, 1000, false, 1e-5).err().unwrap().to_string();
    assert!(e.contains("the budget is 1000 bytes") && e.contains("--method blocks"), "{e}");
}

/// A masked graph computes what the gates with such alphas compute.
#[test]
fn masks_are_alphas_of_0_and_1() {
    let graph = load("zoo:resnet20-digits").unwrap();
    let mut net = Network::new(&graph, &Device::flex()).unwrap();
    net.gate_parts(&activations(&graph), false);
    let mut draw = copriv_train::data::Draw::new(3, &[77]);
    let keep: Vec<(copriv_ir::NodeId, Vec<bool>)> = activations(&graph)
        .into_iter()
        .map(|id| (id, (0..graph.nodes[id.0].shape.len()).map(|_| draw.below(2) == 0).collect()))
        .collect();
    net.set_alphas(
        &keep.iter().map(|(_, k)| k.iter().map(|&k| f32::from(u8::from(k))).collect()).collect::<Vec<_>>(),
    );
    let masked = Network::new(&masked(&graph, &keep).unwrap(), &Device::flex()).unwrap();
    let x = net.pictures((0..2 * 784).map(|_| draw.unit() as f32).collect());
    let mode = copriv_train::network::Mode::Evaluate;
    let [a, b] = [&net, &masked].map(|n| floats(&n.forward(x.clone(), &n.leaves(), mode).logits).unwrap());
    for (a, b) in a.iter().zip(&b) {
        assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} {b}");
    }
}
