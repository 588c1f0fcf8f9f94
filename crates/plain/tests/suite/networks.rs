//! Random small networks.

use copriv_ir::{Activation, Axis, Function, Graph, GraphBuilder, Op, Shape, View, Window};

/// Numbers in -1..=1 from a seed.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 33
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| (self.next() as f32 / (1u64 << 30) as f32 - 1.0) * scale).collect()
    }
}

/// Elements of a map that keep their activation: none, all, one, any, whole channels.
pub fn mask(numbers: &mut Numbers, shape: Shape) -> Vec<bool> {
    let (kind, one) = (numbers.below(6), numbers.below(shape.len()));
    let channels: Vec<bool> = (0..shape.channels).map(|_| numbers.below(2) == 0).collect();
    let kept = |i: usize| match kind {
        0 => false,
        1 => true,
        2 => i == one,
        3 => channels[i / shape.area()],
        _ => numbers.below(3) == 0,
    };
    (0..shape.len()).map(kept).collect()
}

/// A part of a map in another order, with zeros around it or repeated; few elements of many are left out.
pub fn view(numbers: &mut Numbers, Shape { channels, height, width }: Shape) -> View {
    let mut axis = |len: usize, stride: usize| {
        let whole = Axis::whole(len as u32, stride as u32);
        match numbers.below(6) {
            0 => Axis { size: whole.size + 1, start: -1, ..whole },
            1 if len > 1 => Axis { size: whole.size - 1, start: 1, ..whole },
            2 => Axis { start: len as i32 - 1, step: -1, ..whole },
            3 if len < 4 => Axis { size: 2 * whole.size, step: 1, start: -(len as i32), ..whole },
            _ => whole,
        }
    };
    let axes = [axis(channels, height * width), axis(height, width), axis(width, 1)];
    let orders = [[0, 1, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0]];
    let axes = orders[numbers.below(4)].map(|k| axes[k]);
    let [c, h, w] = axes.map(|axis| axis.size as usize);
    View::new(Shape::new(c, h, w), &axes).expect("three axes")
}

/// A network of up to `steps` random layers and a linear one; steps that do not fit the shapes are left out.
pub fn network(seed: u64, steps: usize) -> Result<Graph, copriv_ir::Error> {
    let numbers = &mut Numbers(seed);
    let input = Shape::new(1 + numbers.below(3), 1 + numbers.below(8), 1 + numbers.below(8));
    let mut net = GraphBuilder::new("random", input)?;
    let mut nodes = vec![net.input()];
    for step in 0..steps {
        // Mostly the newest value, so that networks grow deep; any value for the second operand.
        let x =
            if numbers.below(4) == 0 { nodes[numbers.below(nodes.len())] } else { nodes[nodes.len() - 1] };
        let name = format!("{step}");
        let shape = net.shape(x);
        let window = Window {
            kernel: [1 + numbers.below(3), 1 + numbers.below(3)],
            stride: [1 + numbers.below(2), 1 + numbers.below(2)],
            padding: [numbers.below(2), numbers.below(2), numbers.below(2), numbers.below(2)],
        };
        let made = match numbers.below(19) {
            kind @ 0..=3 => {
                let (groups, out) = match kind {
                    0 => (shape.channels, shape.channels),
                    1 if shape.channels % 2 == 0 => (2, 4),
                    _ => (1, 1 + numbers.below(5)),
                };
                // Kernel 3x3 with padding 1 keeps the shape, so that residuals occur.
                let window = if kind == 2 { Window::square(3, 1, 1) } else { window };
                let taps = shape.channels / groups * window.area();
                let weight = numbers.floats(out * taps, 2.0 / taps as f32);
                // A bias for each channel or for each element.
                let elements = window.output_shape(shape).map_or(1, |map| map.area());
                let biases = if numbers.below(4) == 0 { out * elements } else { out };
                let bias = numbers.floats(biases, 1.0);
                net.push(name, Op::Conv { window, groups, out_channels: out, weight, bias }, vec![x])
            }
            4 => {
                let scale = numbers.floats(shape.channels, 1.5);
                net.batch_norm(name, x, scale, numbers.floats(shape.channels, 1.0))
            }
            5 => net.relu(name, x),
            6 => net.clip(name, x, -0.5 * numbers.below(2) as f32, 1.0),
            12 => net.partial_relu(name, x, mask(numbers, shape)),
            13 => {
                let activation = Activation::Clip { low: -0.5 * numbers.below(2) as f32, high: 1.0 };
                net.partial(name, x, activation, mask(numbers, shape))
            }
            14 => net.view(name, x, view(numbers, shape)),
            15 => {
                let factors = [[1.0, -1.0], [0.01, 0.99], [-0.375, 1.25]][numbers.below(3)];
                let same = nodes.iter().rev().find(|&&y| y != x && net.shape(y) == shape);
                net.combine(name, factors, x, *same.unwrap_or(&x))
            }
            16 => net.smooth(name, x, Function::ALL[numbers.below(Function::ALL.len())]),
            17 => net.push(name, Op::AvgPoolInside(window), vec![x]),
            18 => {
                // Factors of at most 1, so that products of products stay small: means, or elements of another value.
                let same = nodes.iter().rev().find(|&&y| y != x && net.shape(y) == shape);
                let y = match same {
                    Some(&y) if numbers.below(2) == 0 => Ok(y),
                    _ => net.global_avg_pool(format!("{name}.mean"), x),
                };
                y.and_then(|y| net.clip(format!("{name}.factors"), y, -1.0, 1.0))
                    .and_then(|y| net.multiply(name, x, y))
            }
            7 => net.max_pool(name, x, window),
            8 => net.avg_pool(name, x, window),
            9 | 10 => {
                let same = nodes.iter().rev().find(|&&y| y != x && net.shape(y) == shape);
                net.add(name, x, *same.unwrap_or(&x))
            }
            _ => {
                let map = |s: Shape| (s.height, s.width);
                let same = nodes.iter().rev().find(|&&y| y != x && map(net.shape(y)) == map(shape));
                net.concat(name, vec![x, *same.unwrap_or(&x)])
            }
        };
        nodes.extend(made);
    }
    let mut x = nodes[nodes.len() - 1];
    if numbers.below(2) == 0 {
        x = net.global_avg_pool("gap", x)?;
    }
    let x = net.flatten("flatten", x)?;
    let inputs = net.shape(x).channels;
    let weight = numbers.floats(3 * inputs, 2.0 / inputs as f32);
    let y = net.linear("fc", x, weight, numbers.floats(3, 1.0))?;
    net.finish(y)
}
