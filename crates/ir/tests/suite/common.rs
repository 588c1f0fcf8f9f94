//! A network with every kind of layer.

use copriv_ir::{
    Activation, Axis, Error, Function, Graph, GraphBuilder, LowerOptions, Lowered, Op, Shape, Simplify, View,
    Window, lower, simplify,
};
use copriv_ring::Width;

pub const OPTIONS: LowerOptions = LowerOptions { width: Width::of(41), frac_bits: 12 };

pub fn every_layer() -> Result<Graph, Error> {
    let mut net = GraphBuilder::new("every layer", Shape::new(2, 7, 6))?;
    let x = net.conv("conv", net.input(), Window::square(3, 1, 1), 1, vec![0.25; 4 * 2 * 9], vec![0.5; 4])?;
    let bn = net.batch_norm("bn", x, vec![2.0; 4], vec![-1.0; 4])?;
    let r = net.relu("relu", bn)?;
    let d = net.conv("dw", r, Window::square(3, 1, 1), 4, vec![-0.125; 4 * 9], vec![0.0; 4])?;
    let c = net.clip("relu6", d, 0.0, 6.0)?;
    let a = net.add("add", c, r)?;
    let h = net.clip("clip", a, -1.0, 1.0)?;
    let cat = net.concat("concat", vec![h, a])?;
    let uneven = Window { kernel: [2, 3], stride: [2, 1], padding: [1, 0, 0, 2] };
    let m = net.max_pool("maxpool", cat, uneven)?;
    let p = net.avg_pool("avgpool", m, Window::square(2, 2, 0))?;
    let n = net.batch_norm("alone", p, vec![0.5; 8], vec![0.0; 8])?;
    let g = net.global_avg_pool("gap", n)?;
    let f = net.flatten("flatten", g)?;
    let y = net.linear("fc", f, vec![1.0; 3 * 8], vec![0.0; 3])?;
    net.finish(y)
}

pub fn lowered() -> Result<Lowered, Error> {
    lower(&every_layer()?, OPTIONS)
}

/// With the kinds of layers that only [`simplify`] makes, and headroom.
pub fn simplified() -> Result<Lowered, Error> {
    let options = Simplify { integer_bits: 4, ..Simplify::default() };
    simplify(&lowered()?, &options, &mut |_, input| u32::from(input.width == 6))
}

/// With activations of some elements: of any, of whole channels, of one.
pub fn partial() -> Result<Lowered, Error> {
    let mut net = GraphBuilder::new("partial", Shape::new(2, 3, 3))?;
    let conv = |net: &mut GraphBuilder, name: &str, x| {
        net.conv(name, x, Window::square(3, 1, 1), 1, vec![0.25; 4 * 9], vec![0.5; 2])
    };
    let input = net.input();
    let x = conv(&mut net, "first", input)?;
    let x = net.partial_relu("relu", x, (0..18).map(|i| i % 5 == 0).collect::<Vec<_>>())?;
    let x = conv(&mut net, "second", x)?;
    let relu6 = Activation::Clip { low: 0.0, high: 4.0 };
    let x = net.partial("relu6", x, relu6, (0..18).map(|i| i < 9).collect::<Vec<_>>())?;
    let x = conv(&mut net, "third", x)?;
    let clip = Activation::Clip { low: -1.0, high: 1.0 };
    let x = net.partial("clip", x, clip, (0..18).map(|i| i == 7).collect::<Vec<_>>())?;
    let x = net.max_pool("maxpool", x, Window::square(2, 1, 0))?;
    let x = net.partial_relu("last", x, vec![true, true, true, false, false, false, true, false])?;
    simplify(&lower(&net.finish(x)?, OPTIONS)?, &Simplify::default(), &mut |_, _| 0)
}

/// With what imported networks have beside that: products and weighted sums of values, smooth activations, views, means inside maps.
pub fn imported() -> Result<Lowered, Error> {
    let mut net = GraphBuilder::new("imported", Shape::new(2, 3, 3))?;
    let input = net.input();
    let x = net.smooth("gelu", input, Function::Gelu)?;
    let x = net.combine("leaky", [0.75, 0.25], input, x)?;
    let gate = net.global_avg_pool("squeeze", x)?;
    let gate = net.clip("excite", gate, 0.0, 1.0)?;
    let x = net.multiply("gate", x, gate)?;
    let square = net.multiply("square", x, x)?;
    let x = net.combine("difference", [1.0, -1.0], x, square)?;
    let axes =
        [Axis::whole(2, 9), Axis { size: 4, start: 2, step: -1, ..Axis::whole(3, 3) }, Axis::whole(3, 1)];
    let x = net.view("view", x, View::new(Shape::new(2, 4, 3), &axes).expect("three axes"))?;
    let x = net.push("inside", Op::AvgPoolInside(Window::square(3, 1, 1)), vec![x])?;
    let x = net.conv("last", x, Window::square(1, 1, 0), 1, vec![0.5; 4], vec![0.25; 2])?;
    simplify(&lower(&net.finish(x)?, OPTIONS)?, &Simplify::default(), &mut |_, _| 0)
}
