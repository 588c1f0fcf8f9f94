//! Networks without batch norms.

use copriv_ir::{Error, Graph, NodeId, Window};

use super::builder::Builder;

/// Figure 13 of MiniONN (Liu, Juuti, Lu, Asokan, CCS 2017).
pub(super) fn minionn(mut net: Builder) -> Result<Graph, Error> {
    let three = Window::square(3, 1, 1);
    let one = Window::square(1, 1, 0);
    let mut x = net.input();
    for (index, (channels, window)) in
        [(64, three), (64, three), (64, three), (64, three), (64, three), (64, one), (16, one)]
            .into_iter()
            .enumerate()
    {
        let number = index + 1;
        x = net.conv(&format!("conv{number}"), x, channels, window, 1)?;
        x = net.relu(&format!("relu{number}"), x)?;
        if matches!(number, 2 | 4) {
            x = net.avg_pool(&format!("pool{}", number / 2), x, Window::square(2, 2, 0))?;
        }
    }
    x = net.flatten("flatten", x)?;
    x = net.linear("fc", x, 10)?;
    net.finish(x)
}

/// SqueezeNet for CIFAR-10: a stem, four fire modules, pools of 3x3 with stride 2 padded below and on the right.
pub(super) fn squeezenet(mut net: Builder) -> Result<Graph, Error> {
    let halve = Window { kernel: [3, 3], stride: [2, 2], padding: [0, 0, 1, 1] };
    let mut x = net.conv("conv1", net.input(), 64, Window::square(3, 1, 1), 1)?;
    x = net.relu("relu1", x)?;
    x = net.max_pool("pool1", x, halve)?;
    x = fire(&mut net, "fire2", x, 32, 64)?;
    x = fire(&mut net, "fire3", x, 32, 64)?;
    x = net.max_pool("pool2", x, halve)?;
    x = fire(&mut net, "fire4", x, 32, 128)?;
    x = fire(&mut net, "fire5", x, 32, 128)?;
    x = net.conv("conv2", x, 10, Window::square(1, 1, 0), 1)?;
    x = net.relu("relu2", x)?;
    x = net.global_avg_pool("pool3", x)?;
    net.finish(x)
}

/// Squeeze to `narrow` channels, then `wide` of 1x1 beside `wide` of 3x3.
fn fire(net: &mut Builder, name: &str, x: NodeId, narrow: usize, wide: usize) -> Result<NodeId, Error> {
    let one = Window::square(1, 1, 0);
    let mut branch = |part: &str, x, channels, window| {
        let y = net.conv(&format!("{name}.{part}"), x, channels, window, 1)?;
        net.relu(&format!("{name}.{part}_activation"), y)
    };
    let x = branch("squeeze", x, narrow, one)?;
    let left = branch("expand1x1", x, wide, one)?;
    let right = branch("expand3x3", x, wide, Window::square(3, 1, 1))?;
    net.concat(&format!("{name}.concat"), vec![left, right])
}
