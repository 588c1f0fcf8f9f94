//! Merged layers compute what the layers did, everywhere.

use crate::networks::Numbers;
use copriv_ir::{Graph, GraphBuilder, NodeId, Op, Shape, Window, fold_affine, merge_linear, merge_outline};
use copriv_plain::float;
use proptest::prelude::*;

/// Within rounding of what the two networks give on the same input.
fn same(a: &Graph, b: &Graph, seed: u64) -> Result<(), TestCaseError> {
    let input = Numbers(!seed).floats(a.input_shape().len(), 1.0);
    let [x, y] = [a, b].map(|net| float::evaluate(net, &input));
    let (x, y) = (x?, y?);
    prop_assert_eq!(x.len(), y.len());
    let scale = x.iter().fold(1f32, |scale, x| scale.max(x.abs()));
    for (i, (x, y)) in x.iter().zip(&y).enumerate() {
        prop_assert!((x - y).abs() <= 2e-5 * scale, "output {}: {} and {} (scale {})", i, x, y, scale);
    }
    Ok(())
}

/// Merges all that can be.
fn all(net: &Graph) -> Result<Graph, copriv_ir::Error> {
    merge_linear(net, &mut |net| net.nodes.len() as u64)
}

fn conv(
    net: &mut GraphBuilder,
    numbers: &mut Numbers,
    x: NodeId,
    window: Window,
    groups: usize,
    out: usize,
) -> Result<NodeId, copriv_ir::Error> {
    let shape = net.shape(x);
    let taps = shape.channels / groups * window.area();
    let weight = numbers.floats(out * taps, 1.5 / taps as f32);
    let map = if numbers.below(3) == 0 { window.output_shape(shape).map_or(1, Shape::area) } else { 1 };
    let op = Op::Conv { window, groups, out_channels: out, weight, bias: numbers.floats(out * map, 1.0) };
    let name = format!("{}", numbers.next());
    net.push(name, op, vec![x])
}

/// A chain of linear layers of any geometry, with some sums.
fn chain(seed: u64, steps: usize) -> Result<Graph, copriv_ir::Error> {
    let numbers = &mut Numbers(seed);
    let input = Shape::new(1 + numbers.below(4), 3 + numbers.below(6), 3 + numbers.below(6));
    let mut net = GraphBuilder::new("chain", input)?;
    let mut x = net.input();
    for step in 0..steps {
        let shape = net.shape(x);
        let padding = [0, 1, 2, 3].map(|_| if numbers.below(2) == 0 { 0 } else { numbers.below(3) });
        let kernel = [1 + numbers.below(3), 1 + numbers.below(3)];
        let stride = [1 + numbers.below(2), 1 + numbers.below(2)];
        let window = Window { kernel, stride, padding };
        let out = 1 + numbers.below(6);
        let made = match numbers.below(8) {
            0 => conv(&mut net, numbers, x, Window::square(1, 1, 0), 1, out),
            1 => conv(&mut net, numbers, x, window, shape.channels, shape.channels),
            2 => conv(&mut net, numbers, x, window, 1, out),
            3 if shape.channels % 2 == 0 => conv(&mut net, numbers, x, window, 2, 4),
            4 => {
                let scale = numbers.floats(shape.channels, 1.5);
                net.batch_norm(format!("bn{step}"), x, scale, numbers.floats(shape.channels, 1.0))
            }
            5 => {
                // A 3x3 conv beside the identity, or beside a 1x1 or 5x5 conv.
                let groups = if numbers.below(2) == 0 { 1 } else { shape.channels };
                let a = conv(&mut net, numbers, x, Window::square(3, 1, 1), groups, shape.channels)?;
                let b = match numbers.below(3) {
                    0 => x,
                    1 => conv(&mut net, numbers, x, Window::square(1, 1, 0), 1, shape.channels)?,
                    _ => conv(&mut net, numbers, x, Window::square(5, 1, 2), shape.channels, shape.channels)?,
                };
                net.add(format!("add{step}"), a, b)
            }
            6 => {
                let a = conv(&mut net, numbers, x, Window::square(3, 2, 1), 1, 3)?;
                let b = conv(&mut net, numbers, x, Window::square(1, 2, 0), 1, 3)?;
                net.add(format!("add{step}"), a, b)
            }
            _ => net.relu(format!("relu{step}"), x),
        };
        if let Ok(made) = made {
            x = made;
        }
    }
    net.finish(x)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn merged_networks_are_the_same(seed: u64, steps in 0..9usize) {
        let net = chain(seed, steps)?;
        let merged = all(&net)?;
        prop_assert!(merged.nodes.len() <= fold_affine(&net)?.nodes.len());
        same(&net, &merged, seed)?;
        // Nothing is left to merge.
        prop_assert_eq!(all(&merged)?, merged);
    }

    /// Whatever the costs say.
    #[test]
    fn whatever_it_costs(seed: u64, steps in 0..9usize, salt: u64) {
        let net = chain(seed, steps)?;
        let mut costs = Numbers(salt);
        same(&net, &merge_linear(&net, &mut |_| costs.next() % 100)?, seed)?;
        // Without weights the same is merged into the same.
        let mut by_shape = |net: &Graph| format!("{net:?}").bytes().map(u64::from).sum::<u64>() % 1000;
        let outline = merge_outline(&net, &mut by_shape)?;
        prop_assert_eq!(outline, merge_linear(&net, &mut by_shape)?.outline());
    }

    /// 1x1, depthwise 3x3, 1x1, with batch norms and a skip: one conv, with a map of biases only where the border needs it.
    #[test]
    fn inverted_residuals_are_one_conv(seed: u64, channels in 1..5usize, stride in 1..3usize, padding in 0..2usize, side in 3..8usize) {
        let numbers = &mut Numbers(seed);
        let mut net = GraphBuilder::new("block", Shape::new(channels, side, side + 1))?;
        let input = net.input();
        let norm = |net: &mut GraphBuilder, x, numbers: &mut Numbers| {
            let channels = net.shape(x).channels;
            let scale = numbers.floats(channels, 1.5);
            let name = format!("bn{}", numbers.next());
            net.batch_norm(name, x, scale, numbers.floats(channels, 1.0))
        };
        let inner = 6 * channels;
        let x = conv(&mut net, numbers, input, Window::square(1, 1, 0), 1, inner)?;
        let x = norm(&mut net, x, numbers)?;
        let x = conv(&mut net, numbers, x, Window::square(3, stride, padding), inner, inner)?;
        let x = norm(&mut net, x, numbers)?;
        let x = conv(&mut net, numbers, x, Window::square(1, 1, 0), 1, channels)?;
        let mut x = norm(&mut net, x, numbers)?;
        let skip = stride == 1 && padding == 1;
        if skip {
            x = net.add("skip", x, input)?;
        }
        let net = net.finish(x)?;
        let merged = all(&net)?;
        prop_assert_eq!(merged.nodes.len(), 2);
        let Op::Conv { window, groups: 1, .. } = &merged.nodes[1].op else { panic!("a conv") };
        prop_assert_eq!(window.kernel, [3, 3]);
        same(&net, &merged, seed)?;
    }
}

#[test]
fn padding_between_convs_keeps_them_apart() -> Result<(), copriv_ir::Error> {
    let numbers = &mut Numbers(1);
    let build = |first: Window, second: Window, numbers: &mut Numbers| {
        let mut net = GraphBuilder::new("two", Shape::new(2, 6, 6))?;
        let x = conv(&mut net, numbers, NodeId(0), first, 1, 3)?;
        let x = conv(&mut net, numbers, x, second, 1, 2)?;
        net.finish(x)
    };
    let (padded, inside) = (Window::square(3, 1, 1), Window::square(3, 1, 0));
    assert_eq!(all(&build(padded, padded, numbers)?)?.nodes.len(), 3, "the border would differ");
    let merged = all(&build(Window::square(3, 1, 2), inside, numbers)?)?;
    let Op::Conv { window, .. } = &merged.nodes[1].op else { panic!("a conv") };
    assert_eq!(*window, Window::square(5, 1, 2), "padded first it is one conv");
    // A layer that others read too stays.
    let mut net = GraphBuilder::new("fork", Shape::new(2, 6, 6))?;
    let a = conv(&mut net, numbers, NodeId(0), Window::square(1, 1, 0), 1, 2)?;
    let b = conv(&mut net, numbers, a, padded, 1, 2)?;
    let relu = net.relu("relu", b)?;
    let x = net.add("add", relu, a)?;
    let net = net.finish(x)?;
    assert_eq!(all(&net)?, net);
    Ok(())
}
