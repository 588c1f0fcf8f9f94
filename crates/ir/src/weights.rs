use crate::{Architecture, Error, Fault};
use std::fmt;

/// The server's secret half of a lowered network. `Debug` shows shapes, never weights.
#[derive(Clone, PartialEq, Eq)]
pub struct Weights {
    /// One entry per layer of the architecture, `Some` for the conv and linear ones.
    pub layers: Vec<Option<LayerWeights>>,
}

/// The weights of one layer, integers in two's complement. `Debug` shows the shape, never the weights.
#[derive(Clone, PartialEq, Eq)]
pub struct LayerWeights {
    /// Row-major [`matrix_shape`](crate::LayerOp::matrix_shape): out_channels x (in_channels / groups, kernel
    /// row, kernel column), or outputs x inputs.
    pub matrix: Vec<i64>,
    /// One per output channel or output, or of a convolution one per element of the output, at the scale of the layer's output.
    pub bias: Vec<i64>,
}

/// A network in fixed point: what is public, and what is the server's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lowered {
    /// Public.
    pub architecture: Architecture,
    /// Secret.
    pub weights: Weights,
}

impl Weights {
    /// The weights of layer `index`, where it has any.
    pub fn get(&self, index: usize) -> Option<&LayerWeights> {
        self.layers.get(index)?.as_ref()
    }
}

impl Lowered {
    /// Accepts a valid architecture whose weights fit it: lengths, `weight_bits` and the ring's width.
    ///
    /// # Errors
    /// [`Error`] naming the first layer at fault; it tells no weight but the one that does not fit.
    pub fn validate(&self) -> Result<(), Error> {
        self.architecture.validate()?;
        let layers = &self.architecture.layers;
        check_length("list of weights", layers.len(), self.weights.layers.len()).map_err(Error::Network)?;
        let width = self.architecture.width.bits();
        for (layer, weights) in layers.iter().zip(&self.weights.layers) {
            let check = || match (layer.op.matrix_shape(), layer.op.weight_bits(), weights) {
                (Some([rows, cols]), Some(weight_bits), Some(weights)) => {
                    // A valid architecture has at most MAX_WEIGHTS weights: the product does not overflow.
                    check_length("weight matrix", rows * cols, weights.matrix.len())?;
                    let map = weights.bias.len() == layer.shape.len();
                    check_length("bias", if map { layer.shape.len() } else { rows }, weights.bias.len())?;
                    check_fit("weight matrix", &weights.matrix, weight_bits)?;
                    check_fit("bias", &weights.bias, width)
                }
                (None, None, None) => Ok(()),
                _ => Err(Fault::WeightsPlace(layer.op.kind())),
            };
            check().map_err(|fault| fault.at(&layer.name))?;
        }
        Ok(())
    }
}

/// The least number of bits, at least 1, that holds `value` in two's complement.
pub(crate) fn signed_bits(value: i64) -> u32 {
    65 - (value ^ (value >> 63)).leading_zeros()
}

fn check_fit(what: &'static str, values: &[i64], width: u32) -> Result<(), Fault> {
    match values.iter().position(|&v| signed_bits(v) > width) {
        Some(index) => {
            Err(Fault::DoesNotFit { what, index, value: values[index] as f64, width, frac_bits: 0 })
        }
        None => Ok(()),
    }
}

pub(crate) fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), Fault> {
    if expected == got { Ok(()) } else { Err(Fault::Length { what, expected, got }) }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.layers).finish()
    }
}

impl fmt::Debug for LayerWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerWeights({} weights, {} biases)", self.matrix.len(), self.bias.len())
    }
}

#[cfg(test)]
mod tests {
    use super::signed_bits;

    #[test]
    fn bits_of_two_s_complement() {
        let cases =
            [(0, 1), (-1, 1), (1, 2), (-2, 2), (127, 8), (-128, 8), (128, 9), (i64::MIN, 64), (i64::MAX, 64)];
        for (value, bits) in cases {
            assert_eq!(signed_bits(value), bits, "{value}");
        }
    }
}
