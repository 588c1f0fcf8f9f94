//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018).

use copriv_ir::{Error, Graph, NodeId, Window};

use super::builder::Builder;

/// Table 2 of the paper: expansion, channels, repetitions, stride of the first.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// The network with the strides of its stem and of its first strided stage, 2 in the paper.
pub(super) fn v2(mut net: Builder, strides: [usize; 2], classes: usize) -> Result<Graph, Error> {
    let mut x = net.input();
    x = unit(&mut net, "features.0", x, 32, Window::square(3, strides[0], 1), 1)?;
    let mut feature = 1;
    for (stage, (expansion, channels, repetitions, stride)) in STAGES.into_iter().enumerate() {
        for repetition in 0..repetitions {
            let stride = match (stage, repetition) {
                (1, 0) => strides[1],
                (_, 0) => stride,
                _ => 1,
            };
            x = inverted_residual(&mut net, &format!("features.{feature}"), x, expansion, channels, stride)?;
            feature += 1;
        }
    }
    x = unit(&mut net, &format!("features.{feature}"), x, 1280, Window::square(1, 1, 0), 1)?;
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
    // Ten of the blocks add; the linear output of the others needs half the variance of what a ReLU follows.
    y = net.batch_norm(&next(), y, if residual { 0.3 } else { 0.7 })?;
    if residual { net.add(&format!("{name}.add"), x, y) } else { Ok(y) }
}
