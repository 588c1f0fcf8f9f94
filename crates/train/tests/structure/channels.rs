use crate::common::{Numbers, Outcome, costs, distance, network};
use copriv_ir::{Graph, NodeId, Op};
use copriv_plain::float::evaluate;
use copriv_train::blocks::{Without, blocks, without};
use copriv_train::channels::{Keep, groups, pruned, to_budget};
use copriv_train::cost::{Error, Objective, parameters};
use proptest::prelude::*;

/// `net` with zeros for the weights, biases and shifts of the last channels of each group, which are then the least important,
/// and how many are left of each.
fn zeroed(net: &Graph, seed: u64) -> (Graph, Vec<usize>) {
    let mut numbers = Numbers(seed);
    let groups = groups(net);
    let mut zero = net.clone();
    let mut counts = Vec::new();
    // A group's channels are those of each of its layers, in this order, but for depthwise convs on a concatenation.
    let plain = |id: &NodeId, n: usize| net.nodes[id.0].shape.channels == n;
    for group in &groups {
        let n = group.importance.len();
        let keep = if group.layers.iter().all(|id| plain(id, n)) { 1 + numbers.below(n) } else { n };
        counts.push(keep);
        for id in group.layers.iter().filter(|_| keep < n) {
            let mut open = vec![id.0];
            while let Some(at) = open.pop() {
                let (rows, shift) = match &mut zero.nodes[at].op {
                    Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => (Some(weight), bias),
                    Op::BatchNorm { shift, .. } => (None, shift),
                    _ => continue,
                };
                for values in rows.into_iter().chain([shift]) {
                    let row = values.len() / n;
                    values[keep * row..].fill(0.0);
                }
                let follows = |next: &usize| {
                    let node = &net.nodes[*next];
                    matches!(node.op, Op::BatchNorm { .. }) && node.inputs[0].0 == at
                };
                open.extend((0..net.nodes.len()).filter(follows));
            }
        }
    }
    (zero, counts)
}

#[test]
fn groups_of_the_zoo() -> Outcome<()> {
    for (name, sizes) in [
        // A stage's sums, then the inside of each of its blocks.
        ("zoo:resnet20-cifar10", vec![16, 16, 16, 16, 32, 32, 32, 32, 64, 64, 64, 64]),
        // The classifier's and the last conv's channels are the output's.
        ("zoo:squeezenet-cifar10", [vec![64], [32, 64, 64].repeat(2), [32, 128, 128].repeat(2)].concat()),
    ] {
        let net = copriv_import::load(name)?;
        let found: Vec<usize> = groups(&net).iter().map(|group| group.importance.len()).collect();
        assert_eq!(found, sizes, "{name}");
    }
    // The stem with its depthwise conv, 16 expansions, 7 stages, the head.
    let net = copriv_import::load("zoo:mobilenetv2-cifar100")?;
    let found = groups(&net);
    assert_eq!(found.len(), 25);
    // Expansion and depthwise conv go together.
    let of = |name: &str| {
        let at = net.nodes.iter().position(|node| node.name == name);
        found.iter().position(|group| group.layers.iter().any(|id| Some(id.0) == at))
    };
    assert_eq!(of("features.3.conv.0.0"), of("features.3.conv.1.0"));
    assert_eq!(of("features.2.conv.2"), of("features.3.conv.2"));
    assert_ne!(of("features.3.conv.2"), of("features.4.conv.2"));
    Ok(())
}

#[test]
fn zoo_without_zeros_is_the_same() -> Outcome<()> {
    for name in ["zoo:resnet20-cifar10", "zoo:mobilenetv2-cifar100", "zoo:squeezenet-cifar10"] {
        let (net, counts) = zeroed(&copriv_import::load(name)?, 3);
        let thin = pruned(&net, &Keep::Counts(counts))?;
        assert!(parameters(&thin) < parameters(&net));
        let input = Numbers(9).floats(net.input_shape().len(), 1.0);
        let off = distance(&evaluate(&net, &input)?, &evaluate(&thin, &input)?);
        assert!(off < 1e-4, "{name}: off by {off}");
    }
    Ok(())
}

#[test]
fn budgets_are_kept() -> Outcome<()> {
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    for objective in [Objective::Total, Objective::Online] {
        let mut costs = costs(objective);
        let whole = costs.structure(&net)?.of(objective);
        for global in [false, true] {
            let thin = to_budget(&net, &mut costs, whole / 2, global)?;
            let bytes = costs.structure(&thin)?.of(objective);
            assert!(bytes <= whole / 2, "{bytes} of {whole}");
            assert!(bytes >= whole * 4 / 10, "{bytes} of {whole}");
        }
        assert_eq!(to_budget(&net, &mut costs, whole, true)?, net);
        assert!(matches!(to_budget(&net, &mut costs, 1000, true), Err(Error::Infeasible { .. })));
    }
    Ok(())
}

/// Channels inside of what is merged cost nothing, so none of them goes.
#[test]
fn what_costs_nothing_is_kept() -> Outcome<()> {
    let net = copriv_import::load("zoo:mobilenetv2-digits")?;
    let blocks = blocks(&net);
    let linear = without(&net, &blocks, &vec![true; blocks.len()], Without::default())?;
    let mut costs = costs(Objective::Total);
    let whole = costs.structure(&linear)?.total;
    for global in [false, true] {
        let thin = to_budget(&linear, &mut costs, whole * 8 / 10, global)?;
        assert!(costs.structure(&thin)?.total <= whole * 8 / 10);
        let channels = |net: &Graph, name: &str| {
            net.nodes.iter().find(|node| node.name == name).map(|node| node.shape.channels)
        };
        for node in net.nodes.iter().filter(|node| matches!(node.op, Op::Conv { groups: 2.., .. })) {
            assert_eq!(channels(&thin, &node.name), Some(node.shape.channels), "{}", node.name);
        }
        assert!(parameters(&thin) < parameters(&linear));
    }
    Ok(())
}

#[test]
fn shares_are_checked() -> Outcome<()> {
    let net = network(3, 2)?;
    for share in [0.0, -1.0, 1.01, f64::NAN] {
        assert!(matches!(pruned(&net, &Keep::Each(share)), Err(Error::Fraction(_))));
        assert!(matches!(pruned(&net, &Keep::Global(share)), Err(Error::Fraction(_))));
    }
    assert!(matches!(pruned(&net, &Keep::Counts(vec![])), Err(Error::Count { .. })));
    assert_eq!(pruned(&net, &Keep::Each(1.0))?, net);
    assert_eq!(pruned(&net, &Keep::Global(1.0))?, net);
    Ok(())
}

proptest! {
    #[test]
    fn pruning_zeros_changes_nothing(seed: u64, units in 1..5usize) {
        let net = network(seed, units).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let (net, counts) = zeroed(&net, !seed);
        let thin = pruned(&net, &Keep::Counts(counts))?;
        let input = Numbers(seed ^ 1).floats(net.input_shape().len(), 1.0);
        let [a, b] = [&net, &thin].map(|net| evaluate(net, &input));
        let (a, b) = (a.map_err(|e| TestCaseError::fail(e.to_string()))?, b.map_err(|e| TestCaseError::fail(e.to_string()))?);
        prop_assert!(distance(&a, &b) < 1e-4, "{:?} and {:?}", a, b);
        for share in [0.01, 0.3, 0.8] {
            for keep in [Keep::Each(share), Keep::Global(share)] {
                let thin = pruned(&net, &keep)?;
                thin.validate()?;
                prop_assert_eq!(thin.output_shape(), net.output_shape());
            }
        }
    }
}
