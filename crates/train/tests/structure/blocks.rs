use crate::common::{Numbers, Outcome, costs, distance, network};
use copriv_ir::{Graph, GraphBuilder, Op, Shape, Window};
use copriv_plain::float::{evaluate, evaluate_all};
use copriv_train::blocks::{Block, Without, blocks, without};
use copriv_train::cost::{Error, Objective, relus};
use copriv_train::search::planned;
use proptest::prelude::*;

/// The masked network, by its definition: an activation that is dropped lets pass everything.
fn masked(net: &Graph, dropped: &[usize], input: &[f32]) -> Outcome<Vec<f32>> {
    let mut net = net.clone();
    for &at in dropped {
        net.nodes[at].op = Op::Clip { low: f32::MIN, high: f32::MAX };
    }
    Ok(evaluate(&net, input)?)
}

fn picture(net: &Graph, seed: u64) -> Vec<f32> {
    Numbers(seed).floats(net.input_shape().len(), 1.0)
}

#[test]
fn blocks_of_the_zoo() -> Outcome<()> {
    for (name, count, narrowed, ends) in [
        // The stem, and two of each basic block; dropping any narrows a conv but the last and those before a conv with a stride, which
        // would pass over elements.
        ("zoo:resnet20-cifar10", 19, 16, 0),
        ("zoo:resnet18-cifar100", 17, 13, 0),
        // The stem, the depthwise block, 16 inverted residuals, the head.
        ("zoo:mobilenetv2-cifar100", 19, 0, 16),
        ("zoo:minionn-cifar10", 7, 0, 0),
        ("zoo:squeezenet-cifar10", 14, 0, 0),
    ] {
        let net = copriv_import::load(name)?;
        let blocks = blocks(&net);
        assert_eq!(blocks.len(), count, "{name}");
        if name.contains("resnet") {
            assert_eq!(blocks.iter().filter(|block| !block.narrowed.is_empty()).count(), narrowed, "{name}");
        }
        assert_eq!(blocks.iter().filter(|block| block.end.is_some()).count(), ends, "{name}");
        assert_eq!(blocks.iter().map(|block| block.elements).sum::<usize>(), relus(&net), "{name}");
    }
    let net = copriv_import::load("zoo:mobilenetv2-cifar100")?;
    let blocks = blocks(&net);
    let end = |name: &str| {
        let block = blocks.iter().find(|block| block.name == name);
        block.and_then(|block| Some(net.nodes[block.end?.0].name.as_str()))
    };
    assert_eq!(end("features.2"), Some("features.2.conv.3"));
    assert_eq!(end("features.3"), Some("features.3.add"));
    Ok(())
}

#[test]
fn zoo_without_blocks_is_the_masked_zoo() -> Outcome<()> {
    for name in ["zoo:resnet20-cifar10", "zoo:mobilenetv2-cifar100", "zoo:squeezenet-cifar10"] {
        let net = copriv_import::load(name)?;
        let blocks = blocks(&net);
        let mut numbers = Numbers(7);
        let dropped: Vec<bool> = blocks.iter().map(|_| numbers.below(3) > 0).collect();
        let gone = || blocks.iter().zip(&dropped).filter(|(_, gone)| **gone).map(|(block, _)| block);
        let left = without(&net, &blocks, &dropped, Without::default())?;
        let input = picture(&net, 5);
        let nodes: Vec<usize> = gone().flat_map(|block| &block.activations).map(|id| id.0).collect();
        let expected = masked(&net, &nodes, &input)?;
        assert_eq!(evaluate(&left, &input)?, expected, "{name}");
        let (finished, bytes) = costs(Objective::Total).finished(&left)?;
        let off = distance(&expected, &evaluate(&finished, &input)?);
        assert!(off < 1e-3, "{name}: off by {off}");
        assert_eq!(costs(Objective::Total).of(&finished)?, bytes);
        assert_eq!(relus(&left) + gone().map(|block| block.elements).sum::<usize>(), relus(&net));
    }
    Ok(())
}

#[test]
fn consecutive_blocks_become_one_conv() -> Outcome<()> {
    // The seven activations of the first stage, shortcuts and stem included, leave a 3x3 conv of the stem.
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    let blocks = blocks(&net);
    let dropped: Vec<bool> = (0..blocks.len()).map(|at| at < 7).collect();
    let options = Without { narrow: true, ..Without::default() };
    let left = without(&net, &blocks, &dropped, options)?;
    let (finished, _) = costs(Objective::Total).finished(&left)?;
    let convs = |net: &Graph| net.nodes.iter().filter(|node| matches!(node.op, Op::Conv { .. })).count();
    // Of seven convs one, and nothing is added before it.
    assert_eq!(convs(&finished), convs(&net) - 6);
    assert!(matches!(finished.nodes[2].op, Op::Relu | Op::Conv { .. }), "{:?}", finished.nodes);
    let input = picture(&net, 3);
    let off = distance(&evaluate(&left, &input)?, &evaluate(&finished, &input)?);
    assert!(off < 1e-3, "off by {off}");
    Ok(())
}

/// Two 3x3 convs of few, many and few channels: a 5x5 of few costs less than both.
fn bottleneck(channels: [usize; 2], strides: [usize; 2]) -> Outcome<Graph> {
    let mut numbers = Numbers(11);
    let mut net = GraphBuilder::new("bottleneck", Shape::new(channels[0], 12, 10))?;
    let mut x = net.input();
    for (at, [from, to]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let (from, to) = (channels[from], channels[to]);
        let weight = numbers.floats(from * to * 9, 0.3);
        let window = Window::square(3, strides[at], 1);
        x = net.conv(format!("conv{at}"), x, window, 1, weight, numbers.floats(to, 0.1))?;
        x = net.batch_norm(format!("bn{at}"), x, numbers.floats(to, 1.0), numbers.floats(to, 0.1))?;
        x = net.relu(format!("relu{at}"), x)?;
    }
    Ok(net.finish(x)?)
}

#[test]
fn two_convs_become_a_larger_one_where_that_pays() -> Outcome<()> {
    for (channels, strides, pays) in
        [([4, 32], [1, 1], true), ([4, 32], [2, 1], true), ([4, 24], [1, 2], true), ([8, 8], [1, 1], false)]
    {
        let net = bottleneck(channels, strides)?;
        let mut costs = costs(Objective::Total);
        let how = Without { widen: true, ..Without::default() };
        let all = blocks(&net);
        assert_eq!(all[0].wide.map(|pair| pair.map(|id| id.0)), Some([1, 4]));
        let planned = planned(&net, all, &mut costs, how)?;
        assert_eq!(planned[0].wide.is_some(), pays, "{channels:?}");
        let left = without(&net, &planned, &[true, false], how)?;
        let (finished, _) = costs.finished(&left)?;
        let convs: Vec<&Op> =
            finished.nodes.iter().map(|node| &node.op).filter(|op| matches!(op, Op::Conv { .. })).collect();
        assert_eq!(convs.len(), if pays { 1 } else { 2 });
        // The same everywhere; and inside of the map what it was.
        let input = picture(&net, 3);
        let [wide, merged] = [&left, &finished].map(|net| evaluate(net, &input));
        let (wide, merged) = (wide?, merged?);
        assert!(distance(&wide, &merged) < 1e-4);
        let before = masked(&net, &[all_activations(&net)[0]], &input)?;
        let shape = net.output_shape();
        let mut differ = 0;
        for (at, (wide, before)) in wide.iter().zip(&before).enumerate() {
            let (row, column) = (at / shape.width % shape.height, at % shape.width);
            let inside = (1..shape.height - 1).contains(&row) && (1..shape.width - 1).contains(&column);
            let same = (wide - before).abs() < 1e-4;
            assert!(same || !inside, "{row} {column}: {wide} {before}");
            differ += usize::from(!same);
        }
        assert_eq!(differ > 0, pays);
    }
    // Between as many channels it never pays.
    for name in ["zoo:resnet20-digits", "zoo:mobilenetv2-digits"] {
        let net = copriv_import::load(name)?;
        let how = Without { narrow: true, widen: true, end_activation: true };
        let planned = planned(&net, blocks(&net), &mut costs(Objective::Total), how)?;
        let wide = |block: &&Block| block.wide.is_some() && block.narrowed.is_empty();
        assert_eq!(planned.iter().filter(wide).count(), 0, "{name}");
    }
    Ok(())
}

fn all_activations(net: &Graph) -> Vec<usize> {
    (0..net.nodes.len()).filter(|&at| net.nodes[at].op == Op::Relu).collect()
}

#[test]
fn an_activation_comes_at_the_end() -> Outcome<()> {
    let net = copriv_import::load("zoo:mobilenetv2-cifar100")?;
    let blocks = blocks(&net);
    let dropped: Vec<bool> = blocks.iter().map(|block| block.end.is_some()).collect();
    let options = Without { narrow: true, widen: false, end_activation: true };
    let left = without(&net, &blocks, &dropped, options)?;
    let added = left.nodes.iter().filter(|node| node.op == Op::Relu);
    assert_eq!(added.clone().count(), 16);
    let values = evaluate_all(&left, &picture(&net, 1))?;
    for (index, node) in left.nodes.iter().enumerate().filter(|(_, node)| node.op == Op::Relu) {
        let before: Vec<f32> = values[node.inputs[0].0].iter().map(|x| x.max(0.0)).collect();
        assert_eq!(values[index], before);
    }
    Ok(())
}

#[test]
fn foreign_blocks_are_refused() -> Outcome<()> {
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    let other = copriv_import::load("zoo:minionn-cifar10")?;
    let blocks = blocks(&net);
    let options = Without::default();
    assert!(matches!(without(&net, &blocks, &[true], options), Err(Error::Count { .. })));
    let all = vec![true; blocks.len()];
    assert!(matches!(without(&other, &blocks, &all, options), Err(Error::Block(_))));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn without_blocks_is_masked(seed: u64, units in 1..5usize, bits: u64, narrow: bool, widen: bool, online: bool) {
        let net = network(seed, units).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let blocks = blocks(&net);
        let mut all: Vec<usize> = blocks.iter().flat_map(|block| &block.activations).map(|id| id.0).collect();
        all.sort_unstable();
        let is = |op: &Op| matches!(op, Op::Relu | Op::Clip { .. });
        let activations: Vec<usize> = (0..net.nodes.len()).filter(|&at| is(&net.nodes[at].op)).collect();
        prop_assert_eq!(all, activations);

        let dropped: Vec<bool> = (0..blocks.len()).map(|at| bits >> (at % 64) & 1 == 1).collect();
        let gone = blocks.iter().zip(&dropped).filter(|(_, gone)| **gone);
        let nodes: Vec<usize> = gone.flat_map(|(block, _)| &block.activations).map(|id| id.0).collect();
        let input = picture(&net, !seed);
        let left = without(&net, &blocks, &dropped, Without::default())?;
        let expected = masked(&net, &nodes, &input).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let got = evaluate(&left, &input).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&got, &expected);

        // Whatever the options, what is finished is the same function.
        let options = Without { narrow, widen, end_activation: narrow };
        let left = without(&net, &blocks, &dropped, options)?;
        let got = evaluate(&left, &input).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let objective = if online { Objective::Online } else { Objective::Total };
        let (finished, _) = costs(objective).finished(&left)?;
        let merged = evaluate(&finished, &input).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert!(distance(&got, &merged) < 1e-3, "{:?} and {:?}", got, merged);

        // The outline of what is left is what is left of the outline.
        let outline = without(&net.outline(), &blocks, &dropped, options)?;
        prop_assert_eq!(outline, left.outline());
    }
}
