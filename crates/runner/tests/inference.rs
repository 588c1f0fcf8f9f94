//! Private inference equals the oracle bit for bit, and every byte and round was planned.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_bits::Block;
use copriv_channel::{Channel, memory};
use copriv_ir::{
    Activation, Axis, Function, Graph, GraphBuilder, LayerOp, LowerOptions, Lowered, Mask, NodeId, Op, Shape,
    View, Window, lower,
};
use copriv_plain::{Slack, argmax, deviation, evaluate_output};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_runner::{
    Client, Error, Inference, Model, Output, PhaseCost, Plan, Report, Reveal, Served, Server,
};
use copriv_runner::{Ot, Settings, Source, Stock, Store, Suite, Truncation, planner};
use copriv_wire::Role;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 7))
}

fn weights(prg: &mut Prg, len: usize) -> Vec<f32> {
    prg.words(len).iter().map(|&w| (w as i32 as f32) / 2f32.powi(32)).collect()
}

/// Both ends of a session: what the server has done, and what the client's part gives.
fn session<T: Send>(
    model: &Model,
    insist: Suite,
    client: impl FnOnce(&mut Client) -> T + Send,
) -> (Vec<Served>, T) {
    let (a, b) = memory();
    let (c0, c1) = (Channel::new(Role::P0, a), Channel::new(Role::P1, b));
    let seeds = SEEDS.fetch_add(2, Ordering::Relaxed);
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let mut server = Server::accept(c0, prg(seeds), model)?;
            let mut done = Vec::new();
            while let Some(served) = server.serve(&mut |_| ())? {
                done.push(served);
            }
            Ok::<_, Error>(done)
        });
        let client = scope.spawn(move || {
            let mut connected = Client::connect(c1, prg(seeds + 1), Some(insist)).unwrap();
            client(&mut connected)
        });
        let result = client.join().unwrap();
        (server.join().unwrap().unwrap(), result)
    })
}

/// Randomness that no other session has.
static SEEDS: AtomicU64 = AtomicU64::new(1);

/// Everything that must hold of one inference.
fn check_one(net: &Lowered, settings: &Settings, input: &RingVec, done: &Inference, served: &Served) {
    let plain = evaluate_output(net, input).unwrap();
    match (settings.reveal, &done.output) {
        (Reveal::Logits, Output::Logits(logits)) => assert_eq!(logits.words(), plain.words()),
        (Reveal::Label, Output::Label(label)) => assert_eq!(Some(*label), argmax(&plain)),
        _ => panic!("another output than asked for"),
    }
    let Served::Inference(served) = served else { panic!("{served:?}") };
    check_report(&done.plan, &done.report, served);
}

/// Planned = counted at the client = counted at the server.
fn check_report(plan: &Plan, report: &Report, served: &Report) {
    assert_eq!(plan.differences(report), Vec::<String>::new());
    assert_eq!(plan.total, report.total);
    for (own, other) in report.layers.iter().zip(&served.layers) {
        for (own, other) in [(own.preprocessing, other.preprocessing), (own.online, other.online)] {
            let bytes = |cost: PhaseCost| (cost.bytes_p0_to_p1, cost.bytes_p1_to_p0);
            assert_eq!(bytes(own), bytes(other), "both parties count the same");
        }
    }
}

/// Runs `inputs` in one session under every suite, and once more from a store.
fn check(net: &Lowered, reveal: Reveal, inputs: &[RingVec]) -> Vec<Report> {
    let ots = Ot::ALL.map(|ot| (Suite::Best, ot));
    let suites = [Suite::Cryptflow2, Suite::Copriv].map(|suite| (suite, Ot::default()));
    let settings = suites.into_iter().chain(ots).map(|(suite, ot)| Settings {
        suite,
        ot,
        ..Settings::new(suite, reveal)
    });
    settings.flat_map(|settings| check_suite(net, settings, inputs)).collect()
}

fn check_suite(net: &Lowered, settings: Settings, inputs: &[RingVec]) -> Vec<Report> {
    let suite = settings.suite;
    let prepared = planner::prepare(net, &settings).unwrap();
    let public = planner::prepare_architecture(&net.architecture, &settings).unwrap();
    assert_eq!(prepared.architecture, public, "the client can plan what the server runs");
    let model = Model::new(net, &settings).unwrap();
    let (served, inferred) = session(&model, suite, |client| {
        assert_eq!(client.offer().architecture, public);
        let infer = |x: &RingVec| client.infer(x, Source::OnTheFly, &mut |_| ());
        inputs.iter().map(infer).collect::<Result<Vec<_>, _>>().unwrap()
    });
    assert_eq!(served.len(), inputs.len());
    assert_eq!(Plan::new(&public, &settings).unwrap(), inferred[0].plan);
    for ((done, served), input) in inferred.iter().zip(&served).zip(inputs) {
        check_one(&prepared, &settings, input, done, served);
    }
    if settings.preprocesses() {
        check_stored(&prepared, &model, &settings, inputs);
    } else {
        assert!(inferred.iter().all(|done| done.report.total.preprocessing == PhaseCost::default()));
    }
    inferred.into_iter().map(|done| done.report).collect()
}

/// Preprocesses in one session, infers in another.
fn check_stored(prepared: &Lowered, model: &Model, settings: &Settings, inputs: &[RingVec]) {
    let folder = tempfile::tempdir().unwrap();
    let [here, there] = ["client", "server"].map(|name| Store::open(&folder.path().join(name)).unwrap());
    let model = model.clone().with_stock(Stock::new(there.clone(), inputs.len()).unwrap()).unwrap();
    let (served, made) = session(&model, settings.suite, |client| {
        let made: Vec<_> = inputs.iter().map(|_| client.preprocess(&here, &mut |_| ()).unwrap()).collect();
        assert!(matches!(client.preprocess(&here, &mut |_| ()), Err(Error::ServerIsFull)));
        made
    });
    for ((plan, report), served) in made.iter().zip(&served) {
        let Served::Preprocessing(served) = served else { panic!("{served:?}") };
        check_report(plan, report, served);
        assert_eq!(report.total.online, PhaseCost::default());
    }
    let (served, inferred) = session(&model, settings.suite, |client| {
        let inferred: Vec<_> =
            inputs.iter().map(|x| client.infer(x, Source::Store(&here), &mut |_| ()).unwrap()).collect();
        let more = client.infer(&inputs[0], Source::Store(&here), &mut |_| ());
        assert!(matches!(more, Err(Error::NoEntry)));
        inferred
    });
    for ((done, served), input) in inferred.iter().zip(&served).zip(inputs) {
        check_one(prepared, settings, input, done, served);
        let layers = done.report.layers.iter().skip(1);
        assert!(layers.map(|l| l.preprocessing).all(|cost| cost == PhaseCost::default()));
    }
    assert!([&here, &there].iter().all(|store| store.summary().unwrap().is_empty()), "all used up");
}

/// Elements that keep their activation: none, all, one, any, whole channels, all but one.
fn mask(prg: &mut Prg, shape: Shape, kind: usize) -> Vec<bool> {
    let words = prg.words(shape.len());
    let one = words[0] as usize % shape.len();
    let kept = |i: usize| match kind {
        0 => false,
        1 => true,
        2 => i == one,
        3 => words[i].is_multiple_of(3),
        4 => (i / shape.area()).is_multiple_of(2),
        _ => i != one,
    };
    (0..shape.len()).map(kept).collect()
}

/// A network with every kind of layer.
fn everything() -> Result<Graph, copriv_ir::Error> {
    layers(true)
}

/// With every kind of layer, products of values among them or not.
fn layers(products: bool) -> Result<Graph, copriv_ir::Error> {
    let mut r = prg(3);
    let mut net = GraphBuilder::new("everything", Shape::new(2, 9, 8))?;
    let uneven = Window { kernel: [3, 2], stride: [2, 1], padding: [1, 0, 1, 1] };
    let input = net.input();
    let a = net.conv("stem", input, uneven, 1, weights(&mut r, 6 * 2 * 6), weights(&mut r, 6))?;
    let a = net.batch_norm("stem.bn", a, weights(&mut r, 6), weights(&mut r, 6))?;
    let b = net.clip("relu6", a, 0.0, 6.0)?;
    // With a bias for each element.
    let bias = weights(&mut r, net.shape(b).len());
    let depthwise = Op::Conv {
        window: Window::square(3, 1, 1),
        groups: 6,
        out_channels: 6,
        weight: weights(&mut r, 54),
        bias,
    };
    let b = net.push("depthwise", depthwise, vec![b])?;
    let b = net.partial_relu("partial relu", b, mask(&mut r, net.shape(b), 3))?;
    let sum = net.add("add", a, b)?;
    let smooth = net.smooth("tanh", sum, Function::Tanh)?;
    let leaky = net.combine("leaky", [0.3, 0.7], sum, smooth)?;
    let leaky = match products {
        true => {
            let gate = net.global_avg_pool("squeeze", leaky)?;
            let gate = net.multiply("gate", leaky, gate)?;
            net.multiply("product", gate, smooth)?
        }
        false => leaky,
    };
    // The rows backwards, in a frame of zeros on three sides.
    let shape = net.shape(leaky);
    let [channels, height, width] = [shape.channels, shape.height, shape.width].map(|n| n as u32);
    let axes = [
        Axis::whole(channels, height * width),
        Axis { size: height + 2, start: height as i32, step: -1, ..Axis::whole(height, width) },
        Axis { size: width + 1, start: -1, ..Axis::whole(width, 1) },
    ];
    let padded = Shape::new(shape.channels, shape.height + 2, shape.width + 1);
    let view = net.view("view", leaky, View::new(padded, &axes).expect("three axes"))?;
    let c = net.relu("relu", view)?;
    let d = net.conv("grouped", c, Window::square(1, 1, 0), 2, weights(&mut r, 12), weights(&mut r, 4))?;
    let relu6 = Activation::Clip { low: 0.0, high: 6.0 };
    let d = net.partial("partial relu6", d, relu6, mask(&mut r, net.shape(d), 4))?;
    let c = net.concat("concat", vec![c, d])?;
    let c = net.max_pool("maxpool", c, Window::square(3, 2, 1))?;
    let c = net.avg_pool("avgpool", c, Window { kernel: [1, 3], stride: [1, 1], padding: [0, 1, 0, 1] })?;
    let c = net.push("inner", Op::AvgPoolInside(Window::square(3, 1, 1)), vec![c])?;
    let c = net.clip("clip", c, -0.5, 0.25)?;
    let e = net.global_avg_pool("mean", c)?;
    let f = net.flatten("flatten", e)?;
    let out = net.linear("classifier", f, weights(&mut r, 50), weights(&mut r, 5))?;
    net.finish(out)
}

#[test]
fn every_layer_at_several_widths() {
    for (bits, frac_bits) in [(32, 8), (37, 12), (41, 12), (64, 20)] {
        let width = Width::of(bits);
        let net = lower(&everything().unwrap(), LowerOptions { width, frac_bits }).unwrap();
        let inputs: Vec<RingVec> = (0..2)
            .map(|i| prg(i).ring(Width::of(frac_bits + 2), net.architecture.input_shape().len()))
            .map(|x| RingVec::from_signed(width, &x.to_signed()))
            .collect();
        for reveal in [Reveal::Logits, Reveal::Label] {
            let reports = check(&net, reveal, &inputs);
            let ops: Vec<&str> = reports[0].layers.iter().map(|l| l.op.as_str()).collect();
            for op in [
                "setup",
                "conv",
                "linear",
                "relu",
                "relu6",
                "truncate",
                "maxpool",
                "avgpool",
                "inner_avgpool",
                "tanh",
                "add",
                "multiply",
                "reveal",
            ] {
                assert!(ops.contains(&op), "{op}");
            }
        }
    }
}

/// What suite best may leave out changes the result by no more than the bound, never by nothing, and saves bytes. A product of values has
/// no bound below the ring's size.
#[test]
fn inexact_within_the_bound() {
    let width = Width::of(41);
    let net = lower(&layers(false).unwrap(), LowerOptions { width, frac_bits: 12 }).unwrap();
    let inputs: Vec<RingVec> = (0..3)
        .map(|i| prg(i).ring(Width::of(14), net.architecture.input_shape().len()))
        .map(|x| RingVec::from_signed(width, &x.to_signed()))
        .collect();
    let exact = Settings::new(Suite::Best, Reveal::Logits);
    let mut online = Vec::new();
    for (truncation, relu_drop_bits) in [
        (Truncation::Exact, 0),
        (Truncation::OneBit, 0),
        (Truncation::Exact, 16),
        (Truncation::OneBit, 6),
        (Truncation::OneBit, 16),
    ] {
        let settings = Settings { truncation, relu_drop_bits, ..exact };
        let prepared = planner::prepare(&net, &settings).unwrap();
        let slack = Slack { one_bit: truncation == Truncation::OneBit, drop_bits: relu_drop_bits };
        let bound = deviation(&prepared, slack).unwrap();
        assert!((bound == 0.0) == settings.is_exact() && bound < (1u64 << 36) as f64, "{bound}");
        let model = Model::new(&net, &settings).unwrap();
        let (served, inferred) = session(&model, Suite::Best, |client| {
            let infer = |x: &RingVec| client.infer(x, Source::OnTheFly, &mut |_| ()).unwrap();
            inputs.iter().map(infer).collect::<Vec<_>>()
        });
        let mut largest = 0;
        for ((done, served), input) in inferred.iter().zip(&served).zip(&inputs) {
            let Served::Inference(served) = served else { panic!("{served:?}") };
            check_report(&done.plan, &done.report, served);
            let Output::Logits(logits) = &done.output else { panic!("{:?}", done.output) };
            let plain = evaluate_output(&prepared, input).unwrap().to_signed();
            let far = logits.to_signed().into_iter().zip(plain).map(|(a, b)| a.abs_diff(b));
            largest = far.fold(largest, u64::max);
        }
        assert!(largest as f64 <= bound, "{settings:?}: {largest} is more than {bound}");
        assert_eq!(largest == 0, settings.is_exact(), "{settings:?}");
        online.push(inferred[0].report.total.online.bytes());
    }
    assert!(online[1..].iter().all(|&inexact| inexact < online[0]), "{online:?}");
    assert!(online[4] < online[3] && online[4] < online[2], "{online:?}");
}

#[test]
fn what_cannot_be_left_out() {
    let net = lower(&everything().unwrap(), LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap();
    let exact = Settings::new(Suite::Copriv, Reveal::Logits);
    for settings in [
        Settings { truncation: Truncation::OneBit, ..exact },
        Settings { relu_drop_bits: 1, ..exact },
        Settings { relu_drop_bits: 40, ..Settings::new(Suite::Best, Reveal::Logits) },
    ] {
        assert!(Model::new(&net, &settings).is_err(), "{settings:?}");
        assert!(Plan::new(&net.architecture, &settings).is_err(), "{settings:?}");
    }
    let most = Settings { relu_drop_bits: 39, ..Settings::new(Suite::Best, Reveal::Logits) };
    assert!(Plan::new(&net.architecture, &most).is_ok());
}

#[derive(Clone, Debug)]
struct Recipe {
    channels: usize,
    map: [usize; 2],
    layers: Vec<(u8, usize)>,
    seed: u64,
}

fn build(recipe: &Recipe) -> Result<Graph, copriv_ir::Error> {
    let mut r = prg(recipe.seed);
    let mut net = GraphBuilder::new("random", Shape::new(recipe.channels, recipe.map[0], recipe.map[1]))?;
    let mut x: NodeId = net.input();
    for (i, &(kind, size)) in recipe.layers.iter().enumerate() {
        let (name, shape) = (format!("{i}"), net.shape(x));
        let c = shape.channels;
        x = match kind {
            0 => {
                let k = size.min(shape.height + 2).min(shape.width + 2).min(3);
                let window = Window::square(k, 1 + size % 2, 1);
                net.conv(name, x, window, 1, weights(&mut r, size * c * k * k), weights(&mut r, size))?
            }
            1 => net.conv(name, x, Window::square(1, 1, 0), c, weights(&mut r, c), weights(&mut r, c))?,
            2 => net.relu(name, x)?,
            3 => net.add(name, x, x)?,
            4 if shape.height > 1 && shape.width > 1 => net.max_pool(name, x, Window::square(2, 1, 0))?,
            5 => net.global_avg_pool(name, x)?,
            7 => net.partial_relu(name, x, mask(&mut r, shape, size))?,
            8 => {
                let clip = Activation::Clip { low: if size % 2 == 0 { 0.0 } else { -0.5 }, high: 0.5 };
                net.partial(name, x, clip, mask(&mut r, shape, size))?
            }
            _ => net.clip(name, x, -0.5, 0.5)?,
        };
    }
    net.finish(x)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_networks(
        channels in 1usize..4, h in 1usize..7, w in 1usize..7, seed: u64, bits in 24u32..=64, label: bool,
        layers in proptest::collection::vec((0u8..9, 1usize..6), 1..5),
    ) {
        let graph = build(&Recipe { channels, map: [h, w], layers, seed }).unwrap();
        let width = Width::of(bits);
        let net = lower(&graph, LowerOptions { width, frac_bits: 8 }).unwrap();
        // Small values, and any: the protocols wrap as the oracle does.
        let len = net.architecture.input_shape().len();
        let small = RingVec::from_signed(width, &prg(seed).ring(Width::of(9), len).to_signed());
        let reveal = if label { Reveal::Label } else { Reveal::Logits };
        check(&net, reveal, &[small, prg(!seed).ring(width, len)]);
    }
}

/// Convolutions with a ReLU, a ReLU6 and another clip between them, each of the elements of a mask of this kind.
fn partial(shape: Shape, kind: usize) -> Graph {
    let build = || {
        let mut r = prg(kind as u64);
        let mut net = GraphBuilder::new("partial", shape)?;
        let mut x = net.input();
        for (name, activation) in [
            ("relu", Activation::Relu),
            ("relu6", Activation::Clip { low: 0.0, high: 0.5 }),
            ("clip", Activation::Clip { low: -0.25, high: 0.5 }),
        ] {
            let (c, k) = (shape.channels, 3.min(shape.height));
            let window = Window::square(k, 1, k / 2);
            let conv = format!("{name}.conv");
            x = net.conv(conv, x, window, 1, weights(&mut r, c * c * k * k), weights(&mut r, c))?;
            x = net.partial(name, x, activation, mask(&mut r, shape, kind))?;
        }
        let x = net.global_avg_pool("mean", x)?;
        net.finish(x)
    };
    let graph: Result<Graph, copriv_ir::Error> = build();
    graph.unwrap()
}

/// A map, a single channel and maps of one element; no element, all, one, any, whole channels, all but one.
#[test]
fn activations_of_some_elements() {
    let width = Width::of(37);
    for shape in [Shape::new(3, 4, 5), Shape::new(1, 5, 3), Shape::new(6, 1, 1)] {
        for kind in 0..6 {
            let net = lower(&partial(shape, kind), LowerOptions { width, frac_bits: 10 }).unwrap();
            let input =
                RingVec::from_signed(width, &prg(kind as u64).ring(Width::of(12), shape.len()).to_signed());
            check(&net, Reveal::Logits, &[input]);
        }
    }
}

/// What is fused with what, and what is said of it.
#[test]
fn activations_of_some_elements_are_planned() {
    let shape = Shape::new(3, 4, 4);
    let net = lower(&partial(shape, 4), LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap();
    let best = Settings::new(Suite::Best, Reveal::Logits);
    let one_bit = Settings { truncation: Truncation::OneBit, ..best };
    let protocols = |settings: &Settings| {
        let net = planner::prepare_architecture(&net.architecture, settings).unwrap();
        let kept = net.layers.iter().filter(|layer| layer.keep.is_some());
        let ops: Vec<LayerOp> = kept.map(|layer| layer.op).collect();
        let plan = Plan::new(&net, settings).unwrap();
        let rows = plan.layers.into_iter().filter(|row| row.protocol.contains("of 48 elements"));
        (ops, rows.map(|row| row.protocol).collect::<Vec<_>>())
    };
    let (ops, rows) = protocols(&best);
    assert!(matches!(
        ops[..],
        [LayerOp::ReluTruncate { .. }, LayerOp::ClipTruncate { .. }, LayerOp::Clip { .. }]
    ));
    assert!(rows[0].contains(", for 32 of 48 elements; truncation by 14 for the others"), "{rows:?}");
    assert!(
        rows[1].starts_with("two comparisons, truncation") && rows[2].ends_with(", for 32 of 48 elements")
    );
    assert!(protocols(&one_bit).1[0].ends_with("truncation by 14, last bit may be off for the others"));
    let (ops, rows) = protocols(&Settings::new(Suite::Copriv, Reveal::Logits));
    assert!(matches!(ops[..], [LayerOp::ReluTruncate { .. }, LayerOp::Clip { .. }, LayerOp::Clip { .. }]));
    assert_eq!(rows.len(), 3);
    let (ops, rows) = protocols(&Settings::new(Suite::Cryptflow2, Reveal::Logits));
    assert!(matches!(ops[..], [LayerOp::Relu, LayerOp::Clip { .. }, LayerOp::Clip { .. }]));
    assert!(rows.iter().all(|row| row.ends_with(", for 32 of 48 elements")), "{rows:?}");
}

/// Of all elements it costs what it costs without a mask, and otherwise the less the fewer they are: what is left is the truncation.
#[test]
fn the_fewer_activations_the_fewer_bytes() {
    let shape = Shape::new(4, 128, 128);
    let n = shape.len();
    let options = LowerOptions { width: Width::of(41), frac_bits: 12 };
    let net = |kept: Option<usize>, activation: Activation| {
        let mut net = GraphBuilder::new("one", shape).unwrap();
        let x =
            net.conv("conv", net.input(), Window::square(1, 1, 0), 4, vec![0.5; 4], vec![0.0; 4]).unwrap();
        let x = match kept {
            Some(kept) => {
                net.partial("y", x, activation, (0..n).map(|i| i < kept).collect::<Vec<_>>()).unwrap()
            }
            None => net.push("y", activation.into(), vec![x]).unwrap(),
        };
        lower(&net.finish(x).unwrap(), options).unwrap()
    };
    for settings in Suite::ALL
        .map(|suite| Settings::new(suite, Reveal::Logits))
        .into_iter()
        .chain([Settings { truncation: Truncation::OneBit, ..Settings::new(Suite::Best, Reveal::Logits) }])
    {
        for activation in [Activation::Relu, Activation::Clip { low: 0.0, high: 0.5 }] {
            let plan = |kept| {
                let net = planner::prepare(&net(kept, activation), &settings).unwrap();
                Plan::new(&net.architecture, &settings).unwrap()
            };
            assert_eq!(plan(Some(n)), plan(None));
            // Without what is said of the mask.
            let bytes = |kept| {
                let plan = plan(Some(kept));
                let rows = plan.layers[1..].iter().map(|row| row.preprocessing.bytes() + row.online.bytes());
                rows.sum::<u64>()
            };
            let costs: Vec<u64> = [0, 1, n / 4, n / 2, n - 1, n].map(bytes).to_vec();
            // All but one may cost a little more than all: two protocols in place of one. None is a truncation alone.
            let rises = costs[1..].windows(2).all(|pair| pair[0] < pair[1] + n as u64 / 8);
            let far = [costs[1], costs[2], costs[3], costs[5]].is_sorted_by(|few, more| few < more);
            assert!(rises && far, "{settings:?} {activation:?}: {costs:?}");
        }
    }
}

/// What is told of a mask: a digit for six elements.
#[test]
fn a_mask_is_told_in_few_bytes() {
    let keep = Mask::from((0..60_000).map(|i| i % 7 == 0).collect::<Vec<_>>());
    assert!(serde_json::to_vec(&keep).unwrap().len() < 10_050);
}

#[test]
fn a_wrong_input_is_refused_before_anything_is_sent() {
    let net = lower(&everything().unwrap(), LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap();
    let model = Model::new(&net, &Settings::new(Suite::Best, Reveal::Label)).unwrap();
    let (served, error) = session(&model, Suite::Best, |client| {
        client.infer(&RingVec::zeros(Width::of(41), 3), Source::OnTheFly, &mut |_| ()).unwrap_err()
    });
    assert!(error.to_string().contains("2x9x8"), "{error}");
    assert_eq!(served, []);
}
