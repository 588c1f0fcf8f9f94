//! Which operator is evaluated by what.

use std::sync::Arc;

use super::super::import::Trouble;
use super::super::proto::NodeProto;
use super::call::Call;
use super::{Budget, Known};
use super::{
    activation, constant, conv, elementwise, gather, matrix, movement, pool, quantize, reduce, resize, shape,
};

/// The outputs of a node of the standard operators, as far as there are names for them; the inputs are those of the
/// node, `None` where one is left out.
///
/// # Errors
/// [`Trouble::Operator`] where the operator is not known; otherwise what is wrong with the node.
pub(in crate::onnx) fn evaluate(
    node: &NodeProto,
    inputs: &[Option<Arc<Known>>],
    opset: i64,
    budget: &mut Budget,
) -> Result<Vec<Known>, Trouble> {
    let call = &Call { node, inputs, opset };
    let outputs = match node.op_type() {
        "Dropout" => shape::dropout(call, budget)?,
        "MaxPool" => pool::max(call, budget)?,
        "Split" => movement::split(call, budget)?,
        _ => vec![one(call, budget)?],
    };
    match node.output.iter().skip(outputs.len()).find(|name| !name.is_empty()) {
        Some(_) => Err(format!("of {}, {} outputs are supported", node.op_type(), outputs.len()).into()),
        None => Ok(outputs),
    }
}

fn one(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    match call.node.op_type() {
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Sum" => elementwise::arithmetic(call, budget),
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => elementwise::compare(call, budget),
        "Pow" => elementwise::power(call, budget),
        "PRelu" => elementwise::prelu(call, budget),
        "Where" => elementwise::choose(call, budget),
        "Neg" | "Abs" | "Relu" => elementwise::map_numbers(call, budget),
        "Sqrt" | "Exp" | "Log" | "Erf" | "Floor" | "Ceil" | "Round" | "Reciprocal" | "Sigmoid" | "Tanh"
        | "HardSwish" | "HardSigmoid" | "LeakyRelu" | "Elu" | "Gelu" => activation::of_float(call, budget),
        "Clip" => activation::clip(call, budget),
        "Softmax" | "LogSoftmax" => activation::softmax(call, budget),
        "Conv" => conv::conv(call, budget),
        "ConvTranspose" => conv::conv_transpose(call, budget),
        "AveragePool" => pool::average(call, budget),
        "GlobalAveragePool" | "GlobalMaxPool" => reduce::global_pool(call, budget),
        "ReduceMean" | "ReduceSum" => reduce::reduce(call, budget),
        "BatchNormalization" => reduce::batch_norm(call, budget),
        "Gemm" => matrix::gemm(call, budget),
        "MatMul" => matrix::mat_mul(call, budget),
        "Concat" => movement::concat(call, budget),
        "Slice" => movement::slice(call, budget),
        "Pad" => movement::pad(call, budget),
        "Transpose" => movement::transpose(call, budget),
        "Expand" => movement::expand(call, budget),
        "Tile" => movement::tile(call, budget),
        "DepthToSpace" | "SpaceToDepth" => movement::depth_space(call, budget),
        "Gather" => gather::gather(call, budget),
        "GatherElements" => gather::gather_elements(call, budget),
        "Resize" | "Upsample" => resize::resize(call, budget),
        "Flatten" => shape::flatten(call, budget),
        "Reshape" => shape::reshape(call, budget),
        "Squeeze" => shape::squeeze(call, budget),
        "Unsqueeze" => shape::unsqueeze(call, budget),
        "Identity" => shape::identity(call, budget),
        "Constant" => constant::constant(call, budget),
        "ConstantOfShape" => constant::of_shape(call, budget),
        "Range" => constant::range(call, budget),
        "Cast" => constant::cast(call, budget),
        "Shape" => constant::shape(call),
        "Size" => constant::size(call),
        "QuantizeLinear" => quantize::quantize(call, budget),
        "DequantizeLinear" => quantize::dequantize(call, budget),
        _ => Err(Trouble::Operator),
    }
}
