//! Shape inference and validation of graphs.

use copriv_ir::limits::{MAX_ELEMENTS, MAX_NODES};
use copriv_ir::{
    Activation, ConvGeometry, Error, Fault, Graph, GraphBuilder, Node, NodeId, Op, Shape, Window,
};
use proptest::prelude::*;

fn fault<T: std::fmt::Debug>(result: Result<T, Error>) -> Fault {
    match result {
        Err(Error::Node { fault, .. } | Error::Network(fault)) => fault,
        Ok(value) => panic!("accepted {value:?}"),
    }
}

/// The first step of a one-node network.
fn one(input: Shape, op: Op) -> Result<Shape, Error> {
    let mut net = GraphBuilder::new("one", input)?;
    let y = net.push("y", op, vec![net.input()])?;
    Ok(net.shape(y))
}

fn conv(groups: usize, in_channels: usize, out_channels: usize, window: Window) -> Op {
    let weights = out_channels * (in_channels / groups) * window.area();
    Op::Conv { window, groups, out_channels, weight: vec![1.0; weights], bias: vec![0.0; out_channels] }
}

#[test]
fn windows_at_the_edges() -> Result<(), Fault> {
    let map = |h, w| Shape::new(5, h, w);
    let cases = [
        // 1x1 maps.
        (Window::square(1, 1, 0), map(1, 1), map(1, 1)),
        (Window::square(3, 1, 1), map(1, 1), map(1, 1)),
        (Window::square(3, 2, 1), map(1, 1), map(1, 1)),
        // The kernel is exactly the padded map.
        (Window::square(7, 1, 0), map(7, 7), map(1, 1)),
        (Window::square(7, 9, 1), map(5, 5), map(1, 1)),
        // Stride 2 on odd and even sizes.
        (Window::square(3, 2, 1), map(7, 8), map(4, 4)),
        (Window::square(1, 2, 0), map(7, 8), map(4, 4)),
        (Window::square(2, 2, 0), map(7, 8), map(3, 4)),
        (Window::square(7, 2, 3), map(224, 224), map(112, 112)),
        // Uneven padding: top, left, bottom, right.
        (Window { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1] }, map(8, 8), map(4, 4)),
        (Window { kernel: [2, 3], stride: [1, 1], padding: [1, 0, 0, 2] }, map(4, 4), map(4, 4)),
        (Window { kernel: [1, 5], stride: [1, 3], padding: [0, 4, 0, 3] }, map(2, 1), map(2, 2)),
    ];
    for (window, input, output) in cases {
        assert_eq!(window.output_shape(input)?, output, "{window:?} on {input}");
    }
    Ok(())
}

#[test]
fn windows_that_are_refused() {
    let map = Shape::new(1, 4, 4);
    let exceeds = Fault::KernelExceedsMap { kernel: [7, 7], padded: [6, 6] };
    assert_eq!(Window::square(7, 1, 1).output_shape(map), Err(exceeds));
    assert_eq!(Window::square(0, 1, 1).output_shape(map), Err(Fault::Zero("kernel")));
    assert_eq!(Window::square(1, 0, 1).output_shape(map), Err(Fault::Zero("stride")));
    for window in [Window::square(usize::MAX, 1, 0), Window::square(1, 1, usize::MAX)] {
        assert!(matches!(window.output_shape(map), Err(Fault::TooLarge { .. })));
        assert!(window.pool_shape(map).is_err());
    }
    // A pool window that would hold nothing but padding.
    assert!(matches!(Window::square(2, 1, 2).pool_shape(map), Err(Fault::PoolPadding { .. })));
    assert!(Window::square(2, 1, 1).pool_shape(map).is_ok());
}

#[test]
fn groups_and_depthwise() -> Result<(), Error> {
    let x = Shape::new(6, 5, 5);
    let w = Window::square(3, 1, 1);
    for (groups, out) in [(1, 4), (2, 4), (3, 9), (6, 6), (6, 12)] {
        assert_eq!(one(x, conv(groups, 6, out, w))?, Shape::new(out, 5, 5));
    }
    assert!(matches!(fault(one(x, conv(4, 6, 8, w))), Fault::Groups { .. }));
    assert!(matches!(fault(one(x, conv(3, 6, 8, w))), Fault::Groups { .. }));
    let none = Op::Conv { window: w, groups: 0, out_channels: 6, weight: vec![], bias: vec![] };
    assert!(matches!(fault(one(x, none)), Fault::Groups { .. }));

    let depthwise =
        ConvGeometry { window: w, groups: 6, in_channels: 6, out_channels: 6, weight_bits: 8, headroom: 0 };
    assert!(depthwise.is_depthwise());
    assert_eq!(depthwise.taps(), 9);
    assert_eq!(ConvGeometry { groups: 2, ..depthwise }.taps(), 27);
    Ok(())
}

#[test]
fn parameters_that_are_refused() {
    let x = Shape::new(2, 3, 3);
    let w = Window::square(3, 1, 1);
    let short = Op::Conv { window: w, groups: 1, out_channels: 2, weight: vec![0.0; 35], bias: vec![0.0; 2] };
    assert_eq!(fault(one(x, short)), Fault::Length { what: "weight", expected: 36, got: 35 });
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let norm = Op::BatchNorm { scale: vec![1.0, bad], shift: vec![0.0; 2] };
        assert_eq!(fault(one(x, norm)), Fault::NotFinite { what: "scale", index: 1 });
        assert!(one(x, Op::Clip { low: 0.0, high: bad }).is_err());
    }
    assert_eq!(fault(one(x, Op::Clip { low: 1.0, high: 0.0 })), Fault::EmptyClip);
    for (activation, len) in [
        (Activation::Relu, 17),
        (Activation::Relu, 19),
        (Activation::Relu, 0),
        (Activation::Clip { low: 0.0, high: 1.0 }, 2),
    ] {
        let short = Op::Partial { activation, keep: vec![true; len].into() };
        assert_eq!(fault(one(x, short)), Fault::Length { what: "mask", expected: 18, got: len });
    }
    let partial =
        |low, high| Op::Partial { activation: Activation::Clip { low, high }, keep: vec![true; 18].into() };
    assert_eq!(fault(one(x, partial(1.0, 0.0))), Fault::EmptyClip);
    assert!(one(x, partial(f32::NAN, 0.0)).is_err());
    assert_eq!(one(x, partial(0.0, 1.0)), Ok(x));
    let linear = Op::Linear { outputs: 1, weight: vec![0.0; 18], bias: vec![0.0] };
    assert_eq!(fault(one(x, linear)), Fault::NotAVector(x));
    assert_eq!(fault(one(x, Op::Input)), Fault::InputPlace);
}

#[test]
fn sizes_that_are_refused() -> Result<(), Error> {
    assert_eq!(fault(GraphBuilder::new("zero", Shape::new(3, 0, 3))), Fault::Zero("height"));
    for huge in
        [Shape::vector(MAX_ELEMENTS + 1), Shape::new(3, 1 << 16, 1 << 16), Shape::new(usize::MAX, 2, 2)]
    {
        assert!(matches!(fault(GraphBuilder::new("huge", huge)), Fault::TooLarge { .. }));
    }
    // 2^36 weights, before anyone asks how many were given.
    let linear = Op::Linear { outputs: 1 << 18, weight: vec![], bias: vec![] };
    assert!(matches!(fault(one(Shape::vector(1 << 18), linear)), Fault::TooLarge { .. }));
    // Five tensors of 2^28.
    let mut net = GraphBuilder::new("total", Shape::vector(MAX_ELEMENTS))?;
    let mut x = net.input();
    for _ in 0..3 {
        x = net.relu("relu", x)?;
    }
    assert!(matches!(fault(net.relu("relu", x)), Fault::TooLarge { .. }));
    let mut net = GraphBuilder::new("nodes", Shape::vector(1))?;
    for _ in 1..MAX_NODES {
        net.relu("relu", NodeId(0))?;
    }
    assert!(matches!(fault(net.relu("relu", NodeId(0))), Fault::TooLarge { .. }));
    assert_eq!(fault(GraphBuilder::new("\u{1b}[2J", Shape::vector(1))), Fault::ControlCharacter);
    Ok(())
}

#[test]
fn operands() -> Result<(), Error> {
    let mut net = GraphBuilder::new("operands", Shape::new(2, 4, 4))?;
    let x = net.input();
    let half = net.max_pool("half", x, Window::square(2, 2, 0))?;
    let Err(error) = net.add("sum", x, half) else { panic!("shapes differ") };
    assert_eq!(error.to_string(), "`sum`: the shape should be 2x4x4 but is 2x2x2");
    assert!(matches!(fault(net.concat("cat", vec![x, half])), Fault::ShapeMismatch { .. }));
    assert!(matches!(fault(net.concat("cat", vec![])), Fault::Arity { .. }));
    assert!(matches!(fault(net.push("relu", Op::Relu, vec![x, x])), Fault::Arity { .. }));
    assert!(matches!(fault(net.push("relu", Op::Relu, vec![])), Fault::Arity { .. }));
    assert_eq!(fault(net.relu("relu", NodeId(9))), Fault::Reference(9));
    let cat = net.concat("cat", vec![x, x, x])?;
    assert_eq!(net.shape(cat), Shape::new(6, 4, 4));
    let flat = net.flatten("flat", cat)?;
    assert_eq!(net.shape(flat), Shape::vector(96));
    // What the output does not need is left out.
    let graph = net.finish(half)?;
    assert_eq!(graph.nodes.len(), 2);
    graph.validate()
}

#[test]
fn a_graph_made_by_hand_is_checked() -> Result<(), Error> {
    let good = crate::common::every_layer()?;
    good.validate()?;
    assert_eq!(fault(Graph { name: String::new(), nodes: vec![] }.validate()), Fault::Empty);
    for at in 1..good.nodes.len() {
        let broken = |change: &dyn Fn(&mut Node)| {
            let mut graph = good.clone();
            change(&mut graph.nodes[at]);
            assert!(graph.validate().is_err(), "node {at}");
        };
        broken(&|node| node.inputs[0] = NodeId(at));
        broken(&|node| node.inputs[0] = NodeId(at + 1));
        broken(&|node| node.inputs.clear());
        broken(&|node| node.shape.channels += 1);
        broken(&|node| node.shape.height = 0);
        broken(&|node| node.op = Op::Input);
    }
    Ok(())
}

proptest! {
    /// Any numbers at all: a shape within the limits, or an error.
    #[test]
    fn no_window_panics(
        sizes in prop::array::uniform11(
            prop_oneof![0..9usize, any::<usize>(), Just(usize::MAX), Just(1usize << 16)]
        )
    ) {
        let [c, h, w, kh, kw, sh, sw, a, b, d, e] = sizes;
        let window = Window { kernel: [kh, kw], stride: [sh, sw], padding: [a, b, d, e] };
        for shape in [window.output_shape(Shape::new(c, h, w)), window.pool_shape(Shape::new(c, h, w))] {
            prop_assert!(shape.is_err() || shape.is_ok_and(|s| (1..=MAX_ELEMENTS).contains(&s.len())));
        }
    }

    /// The output size is the number of places the kernel can stand in.
    #[test]
    fn output_size_counts_places(
        h in 1..12usize, k in 1..6usize, s in 1..5usize, [p, q] in prop::array::uniform2(0..4usize)
    ) {
        let window = Window { kernel: [k, 1], stride: [s, 1], padding: [p, 0, q, 0] };
        let places = (0..h + p + q).step_by(s).filter(|y| y + k <= h + p + q).count();
        match window.output_shape(Shape::new(1, h, 1)) {
            Ok(shape) => prop_assert_eq!(shape.height, places),
            Err(_) => prop_assert_eq!(places, 0),
        }
    }
}
