//! ResNets for small pictures (He, Zhang, Ren, Sun, CVPR 2016), shortcuts of option B.

use copriv_ir::{Error, Graph, NodeId, Window};

use super::builder::Builder;

/// The CIFAR form: stages of `width`, twice and four times as many channels with `n` blocks each, 6n + 2 layers, after a
/// stem of `stride`. The paper's width is 16, its stride 1.
pub(super) fn cifar(
    net: Builder,
    (width, stride): (usize, usize),
    n: usize,
    classes: usize,
) -> Result<Graph, Error> {
    resnet(net, stride, &[width, 2 * width, 4 * width], n, classes)
}

/// The ImageNet form but for its stem.
pub(super) fn resnet18(net: Builder, classes: usize) -> Result<Graph, Error> {
    resnet(net, 1, &[64, 128, 256, 512], 2, classes)
}

/// A 3x3 stem of `stride`, then stages of `blocks` blocks; each but the first halves the map.
fn resnet(
    mut net: Builder,
    stride: usize,
    stages: &[usize],
    blocks: usize,
    classes: usize,
) -> Result<Graph, Error> {
    // Branches of this size make the variance grow by e over the network, not by 2 in each block.
    let branch = 1.0 / ((stages.len() * blocks) as f32).sqrt();
    let mut x = net.conv("conv1", net.input(), stages[0], Window::square(3, stride, 1), 1)?;
    x = net.batch_norm("bn1", x, 1.0)?;
    x = net.relu("relu", x)?;
    for (stage, &channels) in stages.iter().enumerate() {
        for index in 0..blocks {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            x = block(&mut net, &format!("layer{}.{index}", stage + 1), x, channels, stride, branch)?;
        }
    }
    x = net.global_avg_pool("avgpool", x)?;
    x = net.linear("fc", x, classes)?;
    net.finish(x)
}

fn block(
    net: &mut Builder,
    name: &str,
    x: NodeId,
    channels: usize,
    stride: usize,
    branch: f32,
) -> Result<NodeId, Error> {
    let at = |part: &str| format!("{name}.{part}");
    let mut y = net.conv(&at("conv1"), x, channels, Window::square(3, stride, 1), 1)?;
    y = net.batch_norm(&at("bn1"), y, 1.0)?;
    y = net.relu(&at("relu1"), y)?;
    y = net.conv(&at("conv2"), y, channels, Window::square(3, 1, 1), 1)?;
    y = net.batch_norm(&at("bn2"), y, branch)?;
    let mut shortcut = x;
    if stride != 1 || net.channels(x) != channels {
        shortcut = net.conv(&at("downsample.0"), x, channels, Window::square(1, stride, 0), 1)?;
        shortcut = net.batch_norm(&at("downsample.1"), shortcut, 1.0)?;
    }
    y = net.add(&at("add"), y, shortcut)?;
    net.relu(&at("relu2"), y)
}
