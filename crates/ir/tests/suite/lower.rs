//! Batch norm folding and the lowering.

use crate::common::{OPTIONS, every_layer, lowered};
use copriv_ir::{
    Error, Fault, GraphBuilder, LayerOp, LowerOptions, NodeId, Op, Shape, Window, fold_affine, lower,
};
use copriv_ring::Width;

#[test]
fn folds_into_the_only_reader() -> Result<(), Error> {
    let mut net = GraphBuilder::new("fold", Shape::new(2, 3, 3))?;
    let w: Vec<f32> = (0..2 * 2).map(|i| i as f32).collect();
    let x = net.conv("conv", net.input(), Window::square(1, 1, 0), 1, w, vec![1.0, -1.0])?;
    let x = net.batch_norm("bn1", x, vec![2.0, 3.0], vec![0.5, 0.25])?;
    let x = net.batch_norm("bn2", x, vec![-1.0, 0.0], vec![0.0, 7.0])?;
    let x = net.relu("relu", x)?;
    let folded = fold_affine(&net.finish(x)?)?;
    assert_eq!(folded.nodes.len(), 3);
    assert_eq!(folded.nodes[2].inputs, [NodeId(1)]);
    let Op::Conv { weight, bias, .. } = &folded.nodes[1].op else { panic!("a conv") };
    assert_eq!(weight, &[0.0, -2.0, 0.0, 0.0]);
    assert_eq!(bias, &[-2.5, 7.0]);
    Ok(())
}

#[test]
fn does_not_fold_what_others_read() -> Result<(), Error> {
    let mut net = GraphBuilder::new("shared", Shape::new(2, 3, 3))?;
    let c = net.conv("conv", net.input(), Window::square(1, 1, 0), 1, vec![1.0; 4], vec![0.0; 2])?;
    let b = net.batch_norm("bn", c, vec![2.0, 3.0], vec![0.5, 0.25])?;
    let x = net.add("sum", c, b)?;
    let first = net.batch_norm("on a sum", x, vec![2.0, 3.0], vec![0.5, 0.25])?;
    let folded = fold_affine(&net.finish(first)?)?;
    let depthwise = Op::Conv {
        window: Window::square(1, 1, 0),
        groups: 2,
        out_channels: 2,
        weight: vec![2.0, 3.0],
        bias: vec![0.5, 0.25],
    };
    let Op::Conv { weight, .. } = &folded.nodes[1].op else { panic!("a conv") };
    assert_eq!(weight, &[1.0; 4]);
    assert_eq!(folded.nodes[2].op, depthwise);
    assert_eq!(folded.nodes[4].op, depthwise);
    Ok(())
}

#[test]
fn a_fold_that_overflows_is_refused() -> Result<(), Error> {
    let mut net = GraphBuilder::new("huge", Shape::vector(1))?;
    let x = net.linear("fc", net.input(), vec![1e30], vec![0.0])?;
    let x = net.batch_norm("bn", x, vec![1e30], vec![0.0])?;
    let expected = Fault::NotFinite { what: "weight", index: 0 };
    assert_eq!(fold_affine(&net.finish(x)?), Err(Error::Node { node: "fc".into(), fault: expected }));
    Ok(())
}

#[test]
fn lowers_every_layer() -> Result<(), Error> {
    let net = lowered()?;
    net.validate()?;
    let layers = &net.architecture.layers;
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let expected = [
        "input",
        "conv",
        "conv/truncate",
        "relu",
        "dw",
        "dw/truncate",
        "relu6",
        "add",
        "clip",
        "concat",
        "maxpool",
        "avgpool",
        "alone",
        "alone/truncate",
        "gap",
        "flatten",
        "fc",
        "fc/truncate",
    ];
    assert_eq!(names, expected);
    for layer in layers {
        let product = layer.op.matrix_shape().is_some();
        assert_eq!(layer.frac_bits, if product { 24 } else { 12 }, "{}", layer.name);
    }
    assert_eq!(net.architecture.output_shape(), Shape::vector(3));
    assert_eq!(layers[6].op, LayerOp::Clip { low: 0, high: 6 << 12 });
    let LayerOp::AvgPool { multiplier: 1, shift: 2, .. } = layers[11].op else { panic!("a shift") };
    // 4 x 3 elements: no power of two.
    let LayerOp::AvgPool { multiplier, shift: 12, window } = layers[14].op else { panic!("a product") };
    assert_eq!(multiplier, (4096f64 / window.area() as f64).round() as i64);
    // The conv's weights are 0.25 * 2 and its bias 0.5 * 2 - 1.
    let conv = net.weights.get(1).expect("a conv has weights");
    assert!(conv.matrix.iter().all(|&w| w == 2048) && conv.bias.iter().all(|&b| b == 0));
    assert_eq!(layers[1].op.weight_bits(), Some(13));
    assert_eq!(format!("{conv:?}"), "LayerWeights(72 weights, 4 biases)");
    Ok(())
}

#[test]
fn last_use_is_the_last_reader() -> Result<(), Error> {
    let net = lowered()?.architecture;
    let last = net.last_use();
    assert_eq!(last[3], 7); // relu: read by dw and by add
    assert_eq!(last[7], 9); // add: read by clip and by concat
    assert_eq!(last[net.layers.len() - 1], net.layers.len() - 1);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<(), Error> {
    let graph = every_layer()?;
    let options = |bits, frac_bits| LowerOptions { width: Width::of(bits), frac_bits };
    let headroom = Fault::Headroom { width: 27, frac_bits: 12, least: 28 };
    assert_eq!(lower(&graph, options(27, 12)), Err(Error::Network(headroom)));
    assert!(lower(&graph, options(28, 12)).is_ok());
    for frac_bits in [0, 31, 64, u32::MAX] {
        assert!(lower(&graph, options(64, frac_bits)).is_err());
    }

    let mut net = GraphBuilder::new("large", Shape::vector(2))?;
    let x = net.linear("fc", net.input(), vec![1.0, -2e5], vec![0.0])?;
    let large = net.finish(x)?;
    let Err(error) = lower(&large, options(28, 12)) else { panic!("-2e5 * 2^12 does not fit 28 bits") };
    let text = "`fc`: element 1 of the weight is -200000; it does not fit 28 bits with 12 fraction bits: \
                choose a larger width or fewer fraction bits";
    assert_eq!(error.to_string(), text);
    assert!(lower(&large, options(41, 12)).is_ok());
    assert_eq!(lower(&large, options(41, 12))?.architecture.layers[1].op.weight_bits(), Some(31));

    let mut net = GraphBuilder::new("mean", Shape::new(1, 100, 99))?;
    let x = net.global_avg_pool("gap", net.input())?;
    let mean = net.finish(x)?;
    assert!(lower(&mean, options(32, 12)).is_err());
    // In a wider ring the reciprocal gets the digits that it needs: 2^20 / 9900 is 105.9.
    let LayerOp::AvgPool { multiplier, shift, .. } = lower(&mean, options(41, 12))?.architecture.layers[1].op
    else {
        panic!("a mean");
    };
    assert_eq!((multiplier, shift), (106, 20));
    Ok(())
}

#[test]
fn weights_must_fit_the_architecture() -> Result<(), Error> {
    let good = lowered()?;
    for at in 0..good.architecture.layers.len() {
        let mut net = good.clone();
        match &mut net.weights.layers[at] {
            weights @ None => *weights = good.weights.get(1).cloned(),
            weights => *weights = None,
        }
        assert!(net.validate().is_err());
        let Some(weights) = good.weights.get(at) else { continue };
        let bits = good.architecture.layers[at].op.weight_bits().unwrap_or(0);
        for (matrix, bias) in
            [(Some(1i64 << (bits - 1)), None), (Some(-(1 << (bits - 1)) - 1), None), (None, Some(1 << 40))]
        {
            let mut weights = weights.clone();
            weights.matrix[0] = matrix.unwrap_or(0);
            weights.bias[0] = bias.unwrap_or(0);
            let mut net = good.clone();
            net.weights.layers[at] = Some(weights);
            assert!(net.validate().is_err(), "layer {at}");
        }
        let mut net = good.clone();
        net.weights.layers[at].iter_mut().for_each(|weights| weights.matrix.push(0));
        assert!(net.validate().is_err(), "layer {at}");
        let mut net = good.clone();
        net.weights.layers[at].iter_mut().for_each(|weights| weights.bias.clear());
        assert!(net.validate().is_err(), "layer {at}");
    }
    let mut net = good;
    net.weights.layers.pop();
    assert!(net.validate().is_err());
    assert_eq!(OPTIONS.width, net.architecture.width);
    Ok(())
}
