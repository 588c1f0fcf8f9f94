//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018).

use copriv_ir::{Error, Graph, NodeId, Window};

use super::builder::Builder;

/// Expansion, channels, repetitions and stride of the first.
type Stage = (usize, usize, usize, usize);

/// Table 2 of the paper.
const STAGES: [Stage; 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// The network of the paper but for the strides of its stem and of its first strided stage, 2 there.
pub(super) fn v2(net: Builder, strides: [usize; 2], classes: usize) -> Result<Graph, Error> {
    let mut stages = STAGES;
    stages[1].3 = strides[1];
    mobilenet(net, (32, strides[0]), &stages, 1280, classes)
}

/// Eight inverted residuals on maps of 14x14 and 7x7.
pub(super) fn digits(net: Builder) -> Result<Graph, Error> {
    mobilenet(net, (8, 2), &[(6, 8, 2, 1), (6, 12, 3, 2), (6, 16, 3, 1)], 64, 10)
}

/// A 3x3 stem of `stem.0` channels and stride `stem.1`, the stages, and a 1x1 convolution to `last` channels.
fn mobilenet(
    mut net: Builder,
    stem: (usize, usize),
    stages: &[Stage],
    last: usize,
    classes: usize,
) -> Result<Graph, Error> {
    let mut x = net.input();
    x = unit(&mut net, "features.0", x, stem.0, Window::square(3, stem.1, 1), 1)?;
    let mut feature = 1;
    for &(expansion, channels, repetitions, stride) in stages {
        for repetition in 0..repetitions {
            let stride = if repetition == 0 { stride } else { 1 };
            x = inverted_residual(&mut net, &format!("features.{feature}"), x, expansion, channels, stride)?;
            feature += 1;
        }
    }
    x = unit(&mut net, &format!("features.{feature}"), x, last, Window::square(1, 1, 0), 1)?;
    x = net.global_avg_pool("avgpool", x)?;
    x = net.linear("classifier.1", x, classes)?;
    net.finish(x)
}

/// Convolution, batch norm, ReLU6.
fn unit(
    net: &mut Builder,
    name: &str,
    x: NodeId,
    channels: usize,
    window: Window,
    groups: usize,
) -> Result<NodeId, Error> {
    let x = net.conv(&format!("{name}.0"), x, channels, window, groups)?;
    let x = net.batch_norm(&format!("{name}.1"), x, 1.0)?;
    net.relu6(&format!("{name}.2"), x)
}

fn inverted_residual(
    net: &mut Builder,
    name: &str,
    x: NodeId,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Result<NodeId, Error> {
    let inputs = net.channels(x);
    let wide = inputs * expansion;
    let mut part = 0;
    let mut next = || {
        part += 1;
        format!("{name}.conv.{}", part - 1)
    };
    let mut y = x;
    if expansion != 1 {
        y = unit(net, &next(), y, wide, Window::square(1, 1, 0), 1)?;
    }
    y = unit(net, &next(), y, wide, Window::square(3, stride, 1), wide)?;
    y = net.conv(&next(), y, channels, Window::square(1, 1, 0), 1)?;
    let residual = stride == 1 && inputs == channels;
    // Most blocks add; the linear output of the others needs half the variance of what a ReLU follows.
    y = net.batch_norm(&next(), y, if residual { 0.3 } else { 0.7 })?;
    if residual { net.add(&format!("{name}.add"), x, y) } else { Ok(y) }
}
