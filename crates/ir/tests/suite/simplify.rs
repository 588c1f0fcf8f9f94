//! What simplifying makes of networks; that they compute the same is tested in `copriv-plain`.

use crate::common::lowered;
use copriv_ir::{
    Architecture, Error, GraphBuilder, Layer, LayerOp, LowerOptions, Lowered, NodeId, Shape, Simplify,
    Window, lower, simplify, simplify_architecture,
};
use copriv_ring::Width;

const SAME: Window = Window::square(3, 1, 1);

/// A graph of one-channel 4 x 4 maps at f = 12, simplified; weights and biases are one.
fn simple(
    bits: u32,
    options: Simplify,
    headroom: u32,
    build: impl Fn(&mut GraphBuilder) -> Result<NodeId, Error>,
) -> Result<Lowered, Error> {
    let mut net = GraphBuilder::new("net", Shape::new(1, 4, 4))?;
    let output = build(&mut net)?;
    let lowered = lower(&net.finish(output)?, LowerOptions { width: Width::of(bits), frac_bits: 12 })?;
    let simple = simplify(&lowered, &options, &mut |_, _| headroom)?;
    let alone = simplify_architecture(&lowered.architecture, &options, &mut |_, _| headroom)?;
    assert_eq!(alone, simple.architecture);
    let again = simplify_architecture(&alone, &options, &mut |_, _| headroom)?;
    assert_eq!(again, alone);
    Ok(simple)
}

fn conv(net: &mut GraphBuilder, name: &str, x: NodeId) -> Result<NodeId, Error> {
    net.conv(name, x, SAME, 1, vec![1.0; 9], vec![1.0])
}

/// Each layer: name, kind, operands, fraction bits.
fn listing(net: &Architecture) -> Vec<String> {
    let name = |&i: &usize| net.layers[i].name.as_str();
    let line = |layer: &Layer| {
        let inputs: Vec<&str> = layer.inputs.iter().map(name).collect();
        format!("{} = {}({}) @ {}", layer.name, layer.op.kind(), inputs.join(", "), layer.frac_bits)
    };
    net.layers.iter().map(line).collect()
}

/// Two blocks of a ResNet, then its head.
fn residual(net: &mut GraphBuilder) -> Result<NodeId, Error> {
    let stem = conv(net, "stem", net.input())?;
    let mut x = net.relu("relu", stem)?;
    for block in ["a", "b"] {
        let y = conv(net, &format!("{block}.conv1"), x)?;
        let y = net.relu(format!("{block}.relu1"), y)?;
        let y = conv(net, &format!("{block}.conv2"), y)?;
        let y = net.add(format!("{block}.add"), y, x)?;
        x = net.relu(format!("{block}.relu2"), y)?;
    }
    let x = net.global_avg_pool("pool", x)?;
    net.linear("fc", x, vec![1.0; 2], vec![1.0; 2])
}

#[test]
fn a_residual_network() -> Result<(), Error> {
    let net = simple(41, Simplify::default(), 2, residual)?;
    let expected = [
        "input = input() @ 12",
        "stem = conv(input) @ 26",
        "relu = relu_truncate(stem) @ 12",
        "a.conv1 = conv(relu) @ 26",
        "a.relu1 = relu_truncate(a.conv1) @ 12",
        "a.conv2 = conv(a.relu1) @ 26",
        "a.add/shift = shift(relu) @ 26",
        "a.add = add(a.conv2, a.add/shift) @ 26",
        "a.relu2 = relu_truncate(a.add) @ 12",
        "b.conv1 = conv(a.relu2) @ 26",
        "b.relu1 = relu_truncate(b.conv1) @ 12",
        "b.conv2 = conv(b.relu1) @ 26",
        "b.add/shift = shift(a.relu2) @ 26",
        "b.add = add(b.conv2, b.add/shift) @ 26",
        "b.relu2 = relu(b.add) @ 26",
        "pool = avgpool(b.relu2) @ 30",
        "pool/truncate = truncate(pool) @ 12",
        "fc = linear(pool/truncate) @ 24",
        "fc/truncate = truncate(fc) @ 12",
    ];
    assert_eq!(listing(&net.architecture), expected);
    // Biases are shifted along with the headroom, and only they.
    let bias = |index: usize| net.weights.get(index).map(|w| (w.matrix[0], w.bias[0]));
    assert_eq!([bias(1), bias(17)], [Some((1 << 12, 1 << 26)), Some((1 << 12, 1 << 24))]);

    let apart = simple(41, Simplify { fuse_relu_truncate: false, ..Simplify::default() }, 2, residual)?;
    let kinds: Vec<_> = apart.architecture.layers.iter().map(|layer| layer.op.kind()).collect();
    assert_eq!(kinds[1..4], ["conv", "relu", "truncate"]);
    assert!(!kinds.contains(&"relu_truncate"));
    Ok(())
}

#[test]
fn without_room_nothing_is_put_off() -> Result<(), Error> {
    // 24 + 8 bits do not fit 31: sums and means are taken at scale 12, and there is no headroom.
    let net = simple(31, Simplify::default(), 2, residual)?;
    let all = listing(&net.architecture);
    let has = |line: &str| assert!(all.iter().any(|l| l == line), "{line} in {all:?}");
    has("a.conv2/truncate = truncate(a.conv2) @ 12");
    has("a.add = add(a.conv2/truncate, relu) @ 12");
    has("pool = avgpool(b.relu2) @ 16");
    // 24 + 4 + 4 bits do not fit 31 either, so the mean is not taken as it is.
    has("pool/truncate = truncate(pool) @ 12");
    let one_less = simple(32, Simplify::default(), 1, residual)?;
    assert!(listing(&one_less.architecture).contains(&"a.add = add(a.conv2, a.add/shift) @ 24".to_owned()));
    Ok(())
}

#[test]
fn pools() -> Result<(), Error> {
    let build = |net: &mut GraphBuilder| {
        let x = conv(net, "conv", net.input())?;
        let x = net.relu("relu", x)?;
        let x = net.max_pool("max", x, Window::square(2, 2, 0))?;
        let x = net.flatten("flatten", x)?;
        net.linear("fc", x, vec![1.0; 4], vec![1.0])
    };
    let expected = [
        "input = input() @ 12",
        "conv = conv(input) @ 24",
        "max = maxpool(conv) @ 24",
        "relu = relu_truncate(max) @ 12",
        "flatten = flatten(relu) @ 12",
        "fc = linear(flatten) @ 24",
        "fc/truncate = truncate(fc) @ 12",
    ];
    assert_eq!(listing(&simple(41, Simplify::default(), 0, build)?.architecture), expected);

    // A pool that does not shrink the map stays behind its ReLU; one that enlarges it behind the truncation.
    let build = |padding: usize| {
        move |net: &mut GraphBuilder| {
            let x = conv(net, "conv", net.input())?;
            let x = net.relu("relu", x)?;
            let window = Window { kernel: [2, 1], stride: [1, 1], padding: [1, 0, padding, 0] };
            net.max_pool("max", x, window)
        }
    };
    let expected =
        ["relu = relu(conv) @ 24", "max = maxpool(relu) @ 24", "max/truncate = truncate(max) @ 12"];
    assert_eq!(listing(&simple(41, Simplify::default(), 0, build(0))?.architecture)[2..], expected);
    let expected = ["relu = relu_truncate(conv) @ 12", "max = maxpool(relu) @ 12"];
    assert_eq!(listing(&simple(41, Simplify::default(), 0, build(1))?.architecture)[2..], expected);
    Ok(())
}

#[test]
fn means() -> Result<(), Error> {
    let product = |window| {
        move |net: &mut GraphBuilder| {
            let x = conv(net, "conv", net.input())?;
            let x = net.avg_pool("avg", x, window)?;
            net.conv("last", x, Window::square(1, 1, 0), 1, vec![1.0], vec![1.0])
        }
    };
    // Three by three is no power of two. In 48 bits the product with round(2^12 / 9) waits, in 41 only the sum.
    let nine = Window::square(3, 1, 0);
    let all = listing(&simple(48, Simplify::default(), 0, product(nine))?.architecture);
    let expected =
        ["avg = avgpool(conv) @ 36", "avg/truncate = truncate(avg) @ 12", "last = conv(avg/truncate) @ 24"];
    assert_eq!(all[2..5], expected);
    let all = listing(&simple(41, Simplify::default(), 0, product(nine))?.architecture);
    let expected = [
        "avg/sum = avgpool(conv) @ 24",
        "avg/sum/truncate = truncate(avg/sum) @ 12",
        "avg = avgpool(avg/sum/truncate) @ 24",
        "avg/truncate = truncate(avg) @ 12",
        "last = conv(avg/truncate) @ 24",
    ];
    assert_eq!(all[2..7], expected);

    // A mean of what is not pending is taken as it is, also through what may lie between.
    let absorbed = |net: &mut GraphBuilder| {
        let x = net.avg_pool("avg", net.input(), Window::square(2, 2, 0))?;
        let x = net.relu("relu", x)?;
        net.conv("last", x, Window::square(1, 1, 0), 1, vec![1.0], vec![1.0])
    };
    let net = simple(41, Simplify::default(), 1, absorbed)?;
    let expected = [
        "avg = avgpool(input) @ 14",
        "relu = relu(avg) @ 14",
        "last = conv(relu) @ 27",
        "last/truncate = truncate(last) @ 12",
    ];
    assert_eq!(listing(&net.architecture)[1..], expected);
    assert_eq!(net.weights.get(3).map(|w| w.bias[0]), Some(1 << 27));
    Ok(())
}

#[test]
fn concatenations() -> Result<(), Error> {
    let build = |equal: bool| {
        move |net: &mut GraphBuilder| {
            let squeeze = conv(net, "squeeze", net.input())?;
            let squeeze = net.relu("relu", squeeze)?;
            let left = conv(net, "left", squeeze)?;
            let left = net.relu("left.relu", left)?;
            let right = if equal { conv(net, "right", squeeze)? } else { net.input() };
            let right = net.relu("right.relu", right)?;
            let x = net.concat("concat", vec![left, right])?;
            net.conv("last", x, SAME, 1, vec![1.0; 18], vec![1.0])
        }
    };
    for (equal, right) in
        [(true, "right.relu = relu_truncate(right) @ 12"), (false, "right.relu = relu(input) @ 12")]
    {
        let all = listing(&simple(41, Simplify::default(), 0, build(equal))?.architecture);
        assert!(all.contains(&"left.relu = relu_truncate(left) @ 12".to_owned()), "{all:?}");
        assert!(all.contains(&right.to_owned()), "{all:?}");
    }
    let apart = Simplify { fuse_relu_truncate: false, ..Simplify::default() };
    let all = listing(&simple(41, apart, 0, build(true))?.architecture);
    assert!(all.contains(&"concat/truncate = truncate(concat) @ 12".to_owned()), "{all:?}");
    Ok(())
}

#[test]
fn clips() -> Result<(), Error> {
    let build = |net: &mut GraphBuilder| {
        let x = conv(net, "conv", net.input())?;
        net.clip("clip", x, -3.0, 100.0)
    };
    let op = |bits| -> Result<_, Error> {
        Ok(simple(bits, Simplify { integer_bits: 2, ..Simplify::default() }, 0, build)?.architecture.layers
            [2]
        .op)
    };
    assert_eq!(op(32)?, LayerOp::Clip { low: -3 << 24, high: 100 << 24 });
    // 100 does not fit the seven bits that are left.
    assert_eq!(op(31)?, LayerOp::Truncate { shift: 12 });

    // From 0 it is one layer with its truncation where the ring has room, and is asked to be.
    let build = |net: &mut GraphBuilder| {
        let x = conv(net, "conv", net.input())?;
        let x = net.clip("relu6", x, 0.0, 6.0)?;
        conv(net, "last", x)
    };
    let kinds = |options: Simplify| -> Result<Vec<_>, Error> {
        let net = simple(41, options, 0, build)?.architecture;
        Ok(net.layers[2..].iter().map(|layer| (layer.op.kind(), layer.frac_bits)).collect())
    };
    let last = [("conv", 24), ("truncate", 12)];
    let fused = [&[("relu6_truncate", 12)], &last[..]].concat();
    assert_eq!(kinds(Simplify::default())?, fused);
    let apart = [&[("relu6", 24), ("truncate", 12)], &last[..]].concat();
    assert_eq!(kinds(Simplify { fuse_clip_truncate: false, ..Simplify::default() })?, apart);
    let width = Width::of(41);
    let ring = |high, shift| LayerOp::clip_ring(width, high, shift).map(Width::bits);
    assert_eq!(ring(6 << 24, 12), Some(17));
    assert_eq!(
        (ring(1, 1), ring(2, 1), ring(6, 2), ring(0, 1), ring(-4, 1)),
        (None, Some(2), None, None, None)
    );
    assert_eq!(
        (ring(4 << 36, 36), ring(2 << 37, 37), ring(1 << 38, 38), ring(1 << 40, 64)),
        (Some(4), Some(3), Some(2), None)
    );
    assert_eq!((ring(8 << 36, 36), ring(4, 0)), (None, None));
    Ok(())
}

#[test]
fn what_several_read_is_truncated_once() -> Result<(), Error> {
    let build = |net: &mut GraphBuilder| {
        let x = conv(net, "conv", net.input())?;
        let relu = net.relu("relu", x)?;
        let sum = net.add("add", x, relu)?;
        let _dead = conv(net, "dead", sum)?;
        net.add("add", sum, sum)
    };
    let expected = [
        "input = input() @ 12",
        "conv = conv(input) @ 24",
        "conv/truncate = truncate(conv) @ 12",
        "relu = relu(conv/truncate) @ 12",
        "add = add(conv/truncate, relu) @ 12",
        "add (2) = add(add, add) @ 12",
    ];
    assert_eq!(listing(&simple(41, Simplify::default(), 0, build)?.architecture), expected);
    // What nothing reads is left out.
    let mut net = lowered()?;
    let dead = Layer {
        name: "dead".into(),
        op: LayerOp::Relu,
        inputs: vec![0],
        ..net.architecture.layers[0].clone()
    };
    for layer in &mut net.architecture.layers {
        layer.inputs.iter_mut().filter(|input| **input > 0).for_each(|input| *input += 1);
    }
    net.architecture.layers.insert(1, dead);
    net.weights.layers.insert(1, None);
    let simple = simplify(&net, &Simplify::default(), &mut |_, _| 0)?;
    assert_eq!(simple, simplify(&lowered()?, &Simplify::default(), &mut |_, _| 0)?);
    Ok(())
}

/// Truncations are fused with activations of some elements as with others, but their signs stay unknown, and a max pool after
/// one stays after it.
#[test]
fn activations_of_some_elements() -> Result<(), Error> {
    let net = crate::common::partial()?.architecture;
    let expected = [
        "input = input() @ 12",
        "first = conv(input) @ 24",
        "relu = relu_truncate(first) @ 12",
        "second = conv(relu) @ 24",
        "relu6 = relu6_truncate(second) @ 12",
        "third = conv(relu6) @ 24",
        "clip = clip(third) @ 24",
        "maxpool = maxpool(clip) @ 24",
        "last = relu_truncate(maxpool) @ 12",
    ];
    assert_eq!(listing(&net), expected);
    let kept: Vec<usize> = net.layers.iter().filter(|layer| layer.keep.is_some()).map(Layer::kept).collect();
    assert_eq!(kept, [4, 9, 1, 4]);
    assert!(net.nonnegative().iter().all(|known| !known));
    let build = |net: &mut GraphBuilder| {
        let x = net.relu("whole", net.input())?;
        let x = net.max_pool("pool", x, Window::square(2, 2, 0))?;
        let mut keep = vec![true; net.shape(x).len()];
        keep[0] = false;
        let x = net.partial_relu("relu", x, keep)?;
        net.max_pool("pool", x, Window::square(2, 1, 0))
    };
    let net = simple(41, Simplify::default(), 0, build)?.architecture;
    let expected = [
        "input = input() @ 12",
        "pool = maxpool(input) @ 12",
        "whole = relu(pool) @ 12",
        "relu = relu(whole) @ 12",
    ];
    assert_eq!(listing(&net)[..4], expected);
    // Of what is not negative a ReLU of some elements makes nothing negative.
    assert_eq!(net.nonnegative(), [false, false, true, true, true]);
    Ok(())
}

#[test]
fn headroom_is_asked_once_a_convolution() -> Result<(), Error> {
    let net = lowered()?;
    let mut asked = Vec::new();
    let simple = simplify(&net, &Simplify::default(), &mut |layer, input| {
        asked.push((layer.name.clone(), input));
        3
    })?;
    let expected =
        [("conv", Shape::new(2, 7, 6)), ("dw", Shape::new(4, 7, 6)), ("alone", Shape::new(8, 2, 3))];
    assert_eq!(asked, expected.map(|(name, shape)| (name.to_owned(), shape)));
    let again = simplify(&simple, &Simplify::default(), &mut |layer, _| panic!("{} has it", layer.name))?;
    assert_eq!(again, simple);
    // One that does not fit is not taken in part.
    for (headroom, taken) in [(9, 9), (10, 0), (u32::MAX, 0)] {
        let simple = simplify_architecture(&net.architecture, &Simplify::default(), &mut |_, _| headroom)?;
        let LayerOp::Conv(g) = simple.layers[1].op else { panic!("a convolution") };
        assert_eq!(g.headroom, taken);
    }
    Ok(())
}
