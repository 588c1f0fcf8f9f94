use copriv_ir::{Graph, GraphBuilder, NodeId, Shape, Window};
use copriv_runner::{Reveal, Settings, Suite};
use copriv_train::cost::{Costs, Objective, Setting};
use std::error::Error;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Numbers from a seed.
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

pub fn costs(objective: Objective) -> Costs {
    Costs::new(Setting::new(Settings::new(Suite::Best, Reveal::Logits)), objective)
}

/// The largest difference of two outputs, where 1 is the largest output.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max)
}

struct Random {
    net: GraphBuilder,
    numbers: Numbers,
    step: usize,
}

impl Random {
    fn name(&mut self) -> String {
        self.step += 1;
        format!("n{}", self.step)
    }

    fn conv(&mut self, x: NodeId, out: usize, window: Window, groups: usize) -> Outcome<NodeId> {
        let taps = self.net.shape(x).channels / groups * window.area();
        let weight = self.numbers.floats(out * taps, 1.5 / (taps as f32).sqrt());
        let (name, bias) = (self.name(), self.numbers.floats(out, 0.3));
        let y = self.net.conv(name, x, window, groups, weight, bias)?;
        if self.numbers.below(3) == 0 {
            return Ok(y);
        }
        let (name, scale, shift) =
            (self.name(), self.numbers.floats(out, 1.2), self.numbers.floats(out, 0.3));
        Ok(self.net.batch_norm(name, y, scale, shift)?)
    }

    fn activation(&mut self, x: NodeId) -> Outcome<NodeId> {
        let name = self.name();
        Ok(if self.numbers.below(2) == 0 {
            self.net.relu(name, x)?
        } else {
            self.net.clip(name, x, 0.0, 1.0)?
        })
    }
}

/// A small network of basic blocks, inverted residuals, fire modules, plain layers and pools.
pub fn network(seed: u64, units: usize) -> Outcome<Graph> {
    let mut numbers = Numbers(seed);
    let input = Shape::new(1 + numbers.below(3), 6 + numbers.below(4), 6 + numbers.below(4));
    let mut r = Random { net: GraphBuilder::new("random", input)?, numbers, step: 0 };
    let one = Window::square(1, 1, 0);
    let mut x = r.conv(r.net.input(), 4, Window::square(3, 1, 1), 1)?;
    x = r.activation(x)?;
    for _ in 0..units {
        let channels = r.net.shape(x).channels;
        let stride = if r.net.shape(x).height > 3 { 1 + r.numbers.below(2) } else { 1 };
        let three = Window::square(3, stride, 1);
        x = match r.numbers.below(6) {
            0 | 1 => {
                let out = if stride == 1 { channels } else { channels + 1 };
                let mut y = r.conv(x, out, three, 1)?;
                y = r.activation(y)?;
                y = r.conv(y, out, Window::square(3, 1, 1), 1)?;
                let shortcut = if stride == 1 { x } else { r.conv(x, out, Window::square(1, stride, 0), 1)? };
                let name = r.name();
                y = r.net.add(name, y, shortcut)?;
                r.activation(y)?
            }
            2 | 3 => {
                let wide = channels * 2;
                let mut y = r.conv(x, wide, one, 1)?;
                y = r.activation(y)?;
                y = r.conv(y, wide, three, wide)?;
                y = r.activation(y)?;
                y = r.conv(y, channels, one, 1)?;
                let name = r.name();
                if stride == 1 { r.net.add(name, x, y)? } else { y }
            }
            4 => {
                let narrow = r.conv(x, 3, one, 1)?;
                let narrow = r.activation(narrow)?;
                let left = r.conv(narrow, 2, one, 1)?;
                let left = r.activation(left)?;
                let right = r.conv(narrow, 3, Window::square(3, 1, 1), 1)?;
                let right = r.activation(right)?;
                let name = r.name();
                r.net.concat(name, vec![left, right])?
            }
            _ => {
                let y = r.conv(x, 5, three, 1)?;
                let y = r.activation(y)?;
                let name = r.name();
                if r.net.shape(y).height > 3 { r.net.avg_pool(name, y, Window::square(2, 2, 0))? } else { y }
            }
        };
    }
    if r.numbers.below(2) == 0 {
        let name = r.name();
        x = r.net.global_avg_pool(name, x)?;
    } else {
        let name = r.name();
        x = r.net.flatten(name, x)?;
    }
    let inputs = r.net.shape(x).channels;
    let weight = r.numbers.floats(3 * inputs, 1.0 / (inputs as f32).sqrt());
    let bias = r.numbers.floats(3, 0.5);
    let y = r.net.linear("fc", x, weight, bias)?;
    Ok(r.net.finish(y)?)
}
