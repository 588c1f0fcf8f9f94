//! Training: gradients against differences, and runs that are interrupted against runs that are not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use burn::tensor::{Device, Tensor};
use copriv_ir::{Axis, Function, Graph, GraphBuilder, Op, Shape, View, Window};
use copriv_train::Error;
use copriv_train::augment::Augment;
use copriv_train::blocks::{Without, blocks};
use copriv_train::data::{Data, Pictures, Pixels, Split};
use copriv_train::fit::{At, Method, Outcome, Place, evaluate, fit};
use copriv_train::loss::{cross_entropy, distillation};
use copriv_train::network::{Mode, Network, Role, floats};
use copriv_train::progress::Progress;
use copriv_train::recipe::{Distill, Recipe, Rule};
use copriv_train::search::activations;
use std::path::Path;
use std::time::Duration;

/// Numbers that look random, the same each time.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut draw = copriv_train::data::Draw::new(seed, &[99]);
    (0..count).map(|_| draw.unit() as f32 * 2.0 - 1.0).collect()
}

/// A residual network with an inverted residual, of all that has parameters.
fn small() -> Graph {
    let mut net = GraphBuilder::new("small", Shape::new(2, 6, 5)).unwrap();
    let x = net.input();
    let x = net.conv("stem", x, Window::square(3, 1, 1), 1, noise(4 * 2 * 9, 1), noise(4, 2)).unwrap();
    let x =
        net.batch_norm("bn", x, noise(4, 3).iter().map(|v| 1.0 + v / 4.0).collect(), noise(4, 4)).unwrap();
    let x = net.relu("relu", x).unwrap();
    let y = net.conv("conv1", x, Window::square(3, 1, 1), 1, noise(4 * 4 * 9, 5), noise(4, 6)).unwrap();
    let y = net.relu("relu1", y).unwrap();
    let y = net.conv("conv2", y, Window::square(3, 1, 1), 1, noise(4 * 4 * 9, 7), noise(4, 8)).unwrap();
    let x = net.add("add", x, y).unwrap();
    let y = net.conv("expand", x, Window::square(1, 1, 0), 1, noise(8 * 4, 9), noise(8, 10)).unwrap();
    let y = net.clip("clip1", y, 0.0, 6.0).unwrap();
    let y = net.conv("depthwise", y, Window::square(3, 2, 1), 8, noise(8 * 9, 11), noise(8, 12)).unwrap();
    let y = net.clip("clip2", y, 0.0, 6.0).unwrap();
    let x = net.conv("project", y, Window::square(1, 1, 0), 1, noise(3 * 8, 13), noise(3, 14)).unwrap();
    let x = net.global_avg_pool("pool", x).unwrap();
    let x = net.linear("logits", x, noise(9, 15), noise(3, 16)).unwrap();
    net.finish(x).unwrap()
}

fn loss(net: &Network, leaves: &[Tensor<1>], mode: Mode) -> Tensor<1> {
    let x = net.pictures(noise(4 * 60, 20));
    cross_entropy(net.forward(x, leaves, mode).logits, &[0, 1, 2, 1], 0.1)
}

fn gradients(net: &Network, mode: Mode) -> Vec<Vec<f32>> {
    let leaves = net.tracked();
    let mut gradients = loss(net, &leaves, mode).backward();
    leaves.iter().map(|l| l.grad_remove(&mut gradients).map_or(Vec::new(), |g| floats(&g).unwrap())).collect()
}

/// Of some elements of each parameter, the gradient and the difference of the loss on both sides. Where an activation turns between
/// them, differences over two distances disagree and say nothing; that is rare.
fn check_gradients(net: &Network, mode: Mode) {
    let found = gradients(net, mode);
    let (mut checked, mut turns) = (0, 0);
    for (at, parameter) in net.parameters().iter().enumerate() {
        let values = floats(&parameter.value).unwrap();
        for element in (0..values.len()).step_by(values.len().div_ceil(7)) {
            let at_offset = |offset: f32| {
                let mut moved = values.clone();
                moved[element] += offset;
                let mut leaves = net.leaves();
                leaves[at] = Tensor::from_floats(moved.as_slice(), net.device());
                f64::from(loss(net, &leaves, mode).into_scalar::<f32>())
            };
            let over = |step: f32| (at_offset(step) - at_offset(-step)) / f64::from(2.0 * step);
            let [far, near] = [1.0 / 128.0, 1.0 / 512.0].map(over);
            let close = |a: f64, b: f64| (a - b).abs() < 2e-3 + 0.02 * b.abs();
            if !close(far, near) {
                turns += 1;
                continue;
            }
            checked += 1;
            // A turn closer than both is left in; a gradient that is wrong is rarely so by this little.
            let gradient = f64::from(found[at].get(element).copied().unwrap_or(0.0));
            assert!(
                (gradient - near).abs() < 5e-3 + 0.06 * near.abs(),
                "{}[{element}]: gradient {gradient}, difference {near}",
                parameter.name
            );
        }
    }
    assert!(checked > 2 * turns, "{checked} checked, {turns} at a turn");
}

#[test]
fn gradients_are_differences() {
    let net = Network::new(&small(), &Device::flex()).unwrap();
    check_gradients(&net, Mode::Train);
    check_gradients(&net, Mode::Evaluate);
}

#[test]
fn gradients_of_parts_of_activations_are_differences() {
    for by_channel in [false, true] {
        let mut net = Network::new(&small(), &Device::flex()).unwrap();
        net.gate_parts(&activations(&small()), by_channel);
        let mut alphas: Vec<Vec<f32>> = net.alphas().unwrap().into_iter().map(|(_, a)| a).collect();
        for (index, alphas) in alphas.iter_mut().enumerate() {
            alphas.iter_mut().zip(noise(1000, 30 + index as u64)).for_each(|(a, n)| *a = 0.5 + n);
        }
        net.set_alphas(&alphas);
        check_gradients(&net, Mode::Train);
    }
}

/// A block's score moves the loss as its activations would if they were a little less there, whether the block is dropped or
/// not: the gradient for the scores goes straight through the choice.
#[test]
fn scores_have_the_gradient_of_the_part_that_is_dropped() {
    let graph = small();
    let all = blocks(&graph);
    for dropped in
        [vec![false; all.len()], vec![true; all.len()], (0..all.len()).map(|i| i % 2 == 0).collect()]
    {
        let mut gated = Network::new(&graph, &Device::flex()).unwrap();
        gated.gate_blocks(all.clone(), Without::default(), &vec![0.0; all.len()]);
        gated.drop_blocks(&dropped);
        let scores = gradients(&gated, Mode::Train).pop().unwrap();

        let mut parts = Network::new(&graph, &Device::flex()).unwrap();
        parts.gate_parts(&activations(&graph), true);
        let alphas: Vec<(copriv_ir::NodeId, Vec<f32>)> = parts.alphas().unwrap();
        let part = |id| {
            let block = all.iter().position(|b| b.activations.contains(&id)).unwrap();
            (block, if dropped[block] { 0.0 } else { 1.0 })
        };
        parts.set_alphas(&alphas.iter().map(|(id, a)| vec![part(*id).1; a.len()]).collect::<Vec<_>>());
        let by_alpha = gradients(&parts, Mode::Train);
        let first = by_alpha.len() - alphas.len();
        let mut expected = vec![0.0; all.len()];
        for ((id, _), gradient) in alphas.iter().zip(&by_alpha[first..]) {
            expected[part(*id).0] -= gradient.iter().sum::<f32>();
        }
        for (score, expected) in scores.iter().zip(&expected) {
            assert!((score - expected).abs() < 1e-4 + 1e-3 * expected.abs(), "{scores:?} {expected:?}");
        }
        assert!(scores.iter().all(|&s| s != 0.0), "no block without a gradient: {scores:?}");
    }
}

/// What is computed with blocks dropped is what the network without them computes.
#[test]
fn gates_compute_the_network_without_the_blocks() {
    let graph = small();
    let all = blocks(&graph);
    for (narrow, end_activation) in [(false, false), (true, false), (false, true), (true, true)] {
        let how = Without { narrow, widen: false, end_activation };
        for bits in 0..1u32 << all.len() {
            let dropped: Vec<bool> = (0..all.len()).map(|i| bits >> i & 1 == 1).collect();
            let mut gated = Network::new(&graph, &Device::flex()).unwrap();
            gated.gate_blocks(all.clone(), how, &vec![0.0; all.len()]);
            gated.drop_blocks(&dropped);
            let without = copriv_train::blocks::without(&graph, &all, &dropped, how).unwrap();
            let without = Network::new(&without, &Device::flex()).unwrap();
            let x = gated.pictures(noise(2 * 60, 40));
            let [a, b] = [&gated, &without]
                .map(|net| floats(&net.forward(x.clone(), &net.leaves(), Mode::Evaluate).logits).unwrap());
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{dropped:?} {how:?}: {a} {b}");
            }
        }
    }
}

/// A graph computes what the network of it computes, before and after its batch norms are calibrated.
#[test]
fn a_network_is_its_graph() {
    let graph = small();
    let picture = noise(60, 50);
    let expected = copriv_plain::float::evaluate(&graph, &picture).unwrap();
    let mut net = Network::new(&graph, &Device::flex()).unwrap();
    for calibrated in [false, true] {
        if calibrated {
            let batches: Vec<_> = (0..3).map(|i| net.pictures(noise(8 * 60, 60 + i))).collect();
            net.calibrate(batches.into_iter()).unwrap();
        }
        let x = net.pictures(picture.clone());
        let logits = floats(&net.forward(x, &net.leaves(), Mode::Evaluate).logits).unwrap();
        let again = copriv_plain::float::evaluate(&net.graph().unwrap(), &picture).unwrap();
        for ((a, b), c) in logits.iter().zip(&expected).zip(&again) {
            assert!((a - b).abs() < 1e-4 && (c - b).abs() < 1e-4, "{a} {b} {c}");
        }
    }
    // Calibrated, a batch like those it was calibrated on is normalised as the running statistics would.
    let x = net.pictures((0..3).flat_map(|i| noise(8 * 60, 60 + i)).collect());
    let [train, evaluate] = [Mode::Train, Mode::Evaluate]
        .map(|mode| floats(&net.forward(x.clone(), &net.leaves(), mode).logits).unwrap());
    for (a, b) in train.iter().zip(&evaluate) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn losses_are_their_definitions() {
    let device = Device::flex();
    let logits = Tensor::<2>::from_floats([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], &device);
    let teacher = Tensor::<2>::from_floats([[0.5, 1.0, 0.0], [1.0, 1.0, 1.0]], &device);
    let softmax = |row: &[f64], t: f64| {
        let sum: f64 = row.iter().map(|v| (v / t).exp()).sum();
        row.iter().map(|v| (v / t).exp() / sum).collect::<Vec<_>>()
    };
    let (a, b) = ([1.0, 2.0, 0.5], [0.0, -1.0, 3.0]);
    let (pa, pb) = (softmax(&a, 1.0), softmax(&b, 1.0));
    let smooth = |p: &[f64], label: usize| {
        (0..3).map(|c| -(if c == label { 0.9 } else { 0.0 } + 0.1 / 3.0) * p[c].ln()).sum::<f64>()
    };
    let expected = (smooth(&pa, 1) + smooth(&pb, 0)) / 2.0;
    let found = cross_entropy(logits.clone(), &[1, 0], 0.1).into_scalar::<f32>();
    assert!((f64::from(found) - expected).abs() < 1e-5, "{found} {expected}");

    let divergence = |student: &[f64], teacher: &[f64]| {
        let (p, q) = (softmax(teacher, 4.0), softmax(student, 4.0));
        p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum::<f64>()
    };
    let expected = 16.0 * (divergence(&a, &[0.5, 1.0, 0.0]) + divergence(&b, &[1.0; 3])) / 2.0;
    let found = distillation(logits.clone(), teacher, 4.0).into_scalar::<f32>();
    assert!((f64::from(found) - expected).abs() < 1e-5, "{found} {expected}");
    assert!(distillation(logits.clone(), logits, 2.0).into_scalar::<f32>().abs() < 1e-6);
}

/// 60 pictures of three classes that can be told apart.
fn data() -> Data {
    let labels: Vec<u16> = (0..60).map(|i| i % 3).collect();
    let mut pixels = noise(60 * 60, 70);
    for (picture, &label) in pixels.chunks_mut(60).zip(&labels) {
        picture.iter_mut().skip(usize::from(label) * 20).take(20).for_each(|p| *p += 1.5);
    }
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    let pictures =
        Pictures::new("made", Shape::new(2, 6, 5), classes, Pixels::Floats(pixels), labels).unwrap();
    Data::new(pictures, &Split { validation: 0.2, test: 0.0, seed: 3 }).unwrap()
}

fn recipe(rule: Rule) -> Recipe {
    let rate = if rule == Rule::Adam { 0.01 } else { 0.05 };
    Recipe {
        epochs: 4,
        batch: 10,
        rule,
        rate,
        warm_up: 0.5,
        clip: 2.0,
        smoothing: 0.1,
        ema: 0.9,
        augment: Augment { crop: 1, flip: true, erase: 0.2 },
        ..Recipe::default()
    }
}

const SGD: Rule = Rule::Sgd { momentum: 0.9, nesterov: true };

/// Ends a training before a step, as a kill would.
struct Killed(u64);

impl Method for Killed {
    fn before_step(&mut self, at: At, _: &mut Network) -> Result<(), Error> {
        if at.step >= self.0 { Err(Error::Device("killed".into())) } else { Ok(()) }
    }
}

/// A training with a checkpoint after each step, until a step if there is one.
fn run(
    folder: &Path,
    recipe: &Recipe,
    resume: bool,
    until: Option<u64>,
) -> Result<(Network, Outcome), Error> {
    let device = Device::flex();
    let teacher = Network::new(&small(), &device)?;
    let mut net = Network::new(&small(), &device)?;
    net.initialise(recipe.seed)?;
    let place = Place { resume, every: Duration::ZERO, ..Place::new(folder) };
    let mut method = Killed(until.unwrap_or(u64::MAX));
    let outcome = fit(&mut net, &data(), recipe, Some(&teacher), &mut method, &place, &Progress::hidden())?;
    Ok((net, outcome))
}

fn bits(net: &Network) -> Vec<u32> {
    let statistics = net.statistics().iter().flat_map(|s| [&s.mean, &s.variance]);
    let all = net.parameters().iter().map(|p| &p.value).chain(statistics);
    all.flat_map(|t| floats(t).unwrap()).map(f32::to_bits).collect()
}

fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

#[test]
fn a_run_that_is_interrupted_is_the_run_that_is_not() {
    for rule in [SGD, Rule::Adam] {
        let recipe = Recipe { distill: Some(Distill { weight: 0.5, temperature: 2.0 }), ..recipe(rule) };
        on_one_thread(|| {
            let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let (expected, outcome) = run(whole.path(), &recipe, false, None).unwrap();
            assert_eq!(outcome.steps, 20);
            // In the middle of an epoch, where one begins, in the next step.
            for until in [8, 15, 16] {
                assert!(run(parts.path(), &recipe, true, Some(until)).is_err());
            }
            let (found, outcome) = run(parts.path(), &recipe, true, None).unwrap();
            assert_eq!(outcome.steps, 20);
            assert_eq!(bits(&found), bits(&expected));
            let metrics =
                |folder: &tempfile::TempDir| std::fs::read(folder.path().join("metrics.jsonl")).unwrap();
            assert_eq!(metrics(&parts), metrics(&whole));
        });
    }
}

#[test]
fn training_learns() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { epochs: 30, augment: Augment::NONE, ..recipe(SGD) };
    let (net, outcome) = run(folder.path(), &recipe, false, None).unwrap();
    let (_, accuracy) = evaluate(&net, &data(), copriv_train::data::Part::Validation).unwrap();
    assert!(accuracy > 0.9, "{accuracy}");
    assert_eq!(accuracy, outcome.validation);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &recipe(SGD), false, Some(3)).err().unwrap();
    let other = Recipe { rate: 0.06, ..recipe(SGD) };
    assert!(matches!(run(folder.path(), &other, true, None), Err(Error::Checkpoint { .. })));
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &recipe(SGD), false, Some(3)).err().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for end in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(
            matches!(run(folder.path(), &recipe(SGD), true, None), Err(Error::Checkpoint { .. })),
            "{end}"
        );
    }
    for at in (0..whole.len().min(1500)).step_by(37) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        // A changed number is no fault of the file; all else must be an error and not a panic.
        let _ = run(folder.path(), &recipe(SGD), true, Some(4));
    }
}

#[test]
fn divergence_is_an_error_and_the_checkpoint_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let wild = Recipe { rate: 1e3, clip: 0.0, smoothing: 0.0, warm_up: 4.0, ..recipe(SGD) };
    let e = match run(folder.path(), &wild, false, None) {
        Err(e) => e,
        // Batch norms may hold even this; then the rates were not wild enough for the test.
        Ok((_, outcome)) => panic!("it did not diverge: {outcome:?}"),
    };
    assert!(matches!(e, Error::Diverged { .. } | Error::Graph(_)), "{e}");
    assert!(e.to_string().contains("--rate"), "{e}");
    // All numbers of the checkpoint are numbers, so that a gentler run could begin there.
    let file = std::fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    for (name, tensor) in tensors.tensors() {
        let (numbers, _) = tensor.data().as_chunks::<4>();
        assert!(numbers.iter().all(|&b| f32::from_le_bytes(b).is_finite()), "{name}");
    }
}

/// Metrics that are lost do not end a run; those that are torn are cut at a line.
#[test]
fn lost_metrics_are_done_without() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &recipe(SGD), false, Some(12)).err().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let lines = std::fs::read(&path).unwrap();
    for left in [lines.len() - 3, 0] {
        std::fs::write(&path, &lines[..left]).unwrap();
        run(folder.path(), &recipe(SGD), true, Some(12)).err().unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    run(folder.path(), &recipe(SGD), true, None).unwrap();
    let records = copriv_train::curves::read(&path).unwrap();
    assert_eq!(records.last().unwrap().step, 20);
}

#[test]
fn a_network_with_nan_is_refused() {
    let mut graph = small();
    let Op::Conv { weight, .. } = &mut graph.nodes[1].op else { panic!() };
    weight[3] = f32::NAN;
    assert!(matches!(Network::new(&graph, &Device::flex()), Err(Error::Graph(_))));
}

/// Pictures of one class are no data; a network for more classes than there are is refused too.
#[test]
fn other_classes_are_refused() {
    let pictures = |classes: &[&str], labels: Vec<u16>| {
        let classes = classes.iter().map(|c| (*c).to_owned()).collect();
        Pictures::new("made", Shape::new(2, 6, 5), classes, Pixels::Floats(noise(600, 1)), labels)
    };
    let e = pictures(&["a"], vec![0; 10]).unwrap_err();
    assert!(e.to_string().contains("one class"), "{e}");
    let two = pictures(&["a", "b"], (0..10).map(|i| i % 2).collect()).unwrap();
    let data = Data::new(two, &Split { validation: 0.2, test: 0.0, seed: 3 }).unwrap();
    let net = Network::new(&small(), &Device::flex()).unwrap();
    let e = evaluate(&net, &data, copriv_train::data::Part::Validation).unwrap_err();
    assert!(matches!(e, Error::Mismatch(_)) && e.to_string().contains("3 classes"), "{e}");
}

#[test]
fn initial_weights_have_the_variance_of_he() {
    let graph = copriv_import::load("zoo:resnet20-cifar10").unwrap();
    let mut net = Network::new(&graph, &Device::flex()).unwrap();
    net.initialise(5).unwrap();
    let weight = net
        .parameters()
        .iter()
        .filter(|p| p.role == Role::Weight && p.name.contains("conv"))
        .max_by_key(|p| p.value.dims()[0])
        .unwrap();
    let values = floats(&weight.value).unwrap();
    let variance = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / values.len() as f64;
    // The largest convolution reads 64 channels by 3x3.
    assert!((variance / (2.0 / 576.0) - 1.0).abs() < 0.05, "{variance}");
}

/// What training does not change computes what it does in the graph.
#[test]
fn operations_without_weights() {
    let mut net = GraphBuilder::new("others", Shape::new(2, 5, 6)).unwrap();
    let mut x = net.input();
    for (index, function) in Function::ALL.into_iter().enumerate() {
        let smooth = net.smooth(format!("smooth{index}"), x, function).unwrap();
        x = net.combine(format!("mix{index}"), [0.75, 0.5], smooth, x).unwrap();
    }
    let mean = net.global_avg_pool("mean", x).unwrap();
    let x = net.multiply("gate", x, mean).unwrap();
    let x = net.multiply("square", x, x).unwrap();
    // Rows backwards in a frame of zeros, columns and channels changed about.
    let axes =
        [Axis::whole(6, 1), Axis { size: 7, start: 5, step: -1, ..Axis::whole(5, 6) }, Axis::whole(2, 30)];
    let x = net.view("view", x, View::new(Shape::new(6, 7, 2), &axes).unwrap()).unwrap();
    let x = net.push("inner", Op::AvgPoolInside(Window::square(3, 2, 1)), vec![x]).unwrap();
    let x = net.flatten("flatten", x).unwrap();
    let inputs = net.shape(x).channels;
    let x = net.linear("fc", x, noise(3 * inputs, 5), vec![0.5; 3]).unwrap();
    let graph = net.finish(x).unwrap();
    let picture = noise(60, 7);
    let expected = copriv_plain::float::evaluate(&graph, &picture).unwrap();
    let net = Network::new(&graph, &Device::flex()).unwrap();
    let x = net.pictures(picture);
    let logits = floats(&net.forward(x, &net.leaves(), Mode::Evaluate).logits).unwrap();
    assert_eq!(logits.len(), expected.len());
    for (got, expected) in logits.iter().zip(&expected) {
        assert!((got - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{got} is not {expected}");
    }
}
