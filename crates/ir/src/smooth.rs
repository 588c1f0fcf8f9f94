use crate::Fault;
use copriv_ring::Width;
use serde::{Deserialize, Serialize};

/// A smooth activation. In fixed point it is a function of straight pieces ([`pieces`](Self::pieces)) that differs from it by no more
/// than [`error`](Self::error).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// tanh(x).
    Tanh,
    /// x * sigmoid(x); also called swish.
    Silu,
    /// x * (1 + erf(x / sqrt 2)) / 2.
    Gelu,
    /// x * min(max(x + 3, 0), 6) / 6.
    HardSwish,
    /// x where it is positive, elsewhere exp(x) - 1.
    Elu,
}

/// A function of straight pieces: floor((`constant` + sum of d * relu(x - t)) / 2^`shift`) of an integer x, for the pairs [t, d] of
/// `knots`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pieces {
    /// Where two pieces meet, at the scale of x, and by how much the slope grows there, at a scale of `shift`.
    pub knots: Vec<[i64; 2]>,
    /// The value on the left of all knots, at the scale of x greater by `shift`.
    pub constant: i64,
    /// At least 1.
    pub shift: u32,
}

/// Fraction bits of the knots.
const KNOT_BITS: u32 = 6;

impl Function {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Sigmoid, Self::Tanh, Self::Silu, Self::Gelu, Self::HardSwish, Self::Elu];

    /// Fraction bits of the slopes.
    pub const SHIFT: u32 = 12;

    /// The name, in the words of a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::HardSwish => "hard_swish",
            Self::Elu => "elu",
        }
    }

    /// The function itself.
    pub fn value(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match self {
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Silu => x * sigmoid(x),
            Self::Gelu => x * 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Elu => {
                if x > 0.0 {
                    x
                } else {
                    x.exp_m1()
                }
            }
        }
    }

    /// By how much, at most, the pieces differ from the function, whatever x is, before the result is rounded down.
    ///
    /// ```
    /// use copriv_ir::Function;
    /// use copriv_ring::Width;
    /// let (x, f) = (1.5, 12);
    /// let pieces = Function::Sigmoid.pieces(Width::of(41), f)?;
    /// let y = pieces.value((x * 4096.0) as i64) as f64 / 4096.0;
    /// assert!((y - Function::Sigmoid.value(x)).abs() < Function::Sigmoid.error() + 1.0 / 4096.0);
    /// # Ok::<(), copriv_ir::Fault>(())
    /// ```
    pub const fn error(self) -> f64 {
        self.table().2
    }

    /// The number of knots: of ReLUs that an element takes.
    pub const fn knots(self) -> usize {
        self.table().1.len()
    }

    /// The pieces for x of `frac_bits` fraction bits. Where they meet and what slopes they have are minimax fits, found once with linear
    /// programming and rounded; they are the same for everyone.
    ///
    /// # Errors
    /// [`Fault::Range`] when there are too few fraction bits for the knots, or too many for the products in the ring.
    pub fn pieces(self, width: Width, frac_bits: u32) -> Result<Pieces, Fault> {
        let (left, table, _) = self.table();
        let (low, high) = (KNOT_BITS, width.bits().saturating_sub(Self::SHIFT + 3));
        if !(low..=high).contains(&frac_bits) {
            return Err(Fault::Range {
                what: "number of fraction bits of a smooth function",
                got: frac_bits.into(),
                low: low.into(),
                high: high.into(),
            });
        }
        let knots = table.iter().map(|&[t, d]| [i64::from(t) << (frac_bits - KNOT_BITS), d.into()]).collect();
        Ok(Pieces { knots, constant: left << (frac_bits + Self::SHIFT), shift: Self::SHIFT })
    }

    /// The value on the left; knots, at a scale of [`KNOT_BITS`], and by how much the slope grows there, at a scale of
    /// [`SHIFT`](Self::SHIFT); the largest difference.
    const fn table(self) -> (i64, &'static [[i16; 2]], f64) {
        match self {
            Self::Sigmoid => (
                0,
                &[
                    [-390, 34],
                    [-243, 119],
                    [-173, 190],
                    [-123, 229],
                    [-81, 260],
                    [-37, 181],
                    [37, -176],
                    [81, -265],
                    [123, -229],
                    [173, -190],
                    [243, -118],
                    [389, -35],
                ],
                0.0031,
            ),
            Self::Tanh => (
                -1,
                &[
                    [-194, 140],
                    [-121, 488],
                    [-86, 739],
                    [-62, 894],
                    [-41, 1036],
                    [-19, 768],
                    [18, -744],
                    [40, -974],
                    [61, -964],
                    [86, -771],
                    [121, -464],
                    [193, -148],
                ],
                0.00576,
            ),
            Self::Silu => (
                0,
                &[
                    [-416, -97],
                    [-262, -245],
                    [-139, 35],
                    [-79, 768],
                    [-44, 578],
                    [-14, 1026],
                    [14, 966],
                    [43, 580],
                    [78, 786],
                    [139, 31],
                    [262, -225],
                    [416, -107],
                ],
                0.01044,
            ),
            Self::Gelu => (
                0,
                &[
                    [-192, -151],
                    [-134, -333],
                    [-75, 196],
                    [-46, 740],
                    [-26, 691],
                    [-9, 859],
                    [8, 938],
                    [26, 710],
                    [46, 734],
                    [75, 196],
                    [134, -346],
                    [192, -138],
                ],
                0.00466,
            ),
            Self::HardSwish => (
                0,
                &[
                    [-192, -1739],
                    [-157, 875],
                    [-122, 618],
                    [-87, 875],
                    [-52, 618],
                    [-17, 867],
                    [17, 604],
                    [52, 878],
                    [87, 616],
                    [122, 877],
                    [157, 618],
                    [192, -1611],
                ],
                0.00913,
            ),
            Self::Elu => (
                -1,
                &[
                    [-411, 25],
                    [-267, 85],
                    [-201, 145],
                    [-158, 197],
                    [-125, 264],
                    [-100, 301],
                    [-78, 377],
                    [-60, 455],
                    [-44, 431],
                    [-30, 554],
                    [-17, 630],
                    [-5, 632],
                ],
                0.00232,
            ),
        }
    }
}

impl Pieces {
    /// The function of an integer that is far from the ends of its range.
    pub fn value(&self, x: i64) -> i64 {
        let sum = |sum: i64, &[t, d]: &[i64; 2]| sum + d * (x - t).max(0);
        self.knots.iter().fold(self.constant, sum) >> self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces, before rounding down, at steps of 1/1024 from -80 to 80; straight beyond.
    #[test]
    fn the_error_is_as_stated() {
        for function in Function::ALL {
            let (left, table, stated) = function.table();
            let pieces = |x: f64| {
                let knots = table.iter().map(|&[t, d]| f64::from(d) * (x - f64::from(t) / 64.0).max(0.0));
                left as f64 + knots.sum::<f64>() / 4096.0
            };
            let error = |i: i32| {
                let x = f64::from(i) / 1024.0;
                (pieces(x) - function.value(x)).abs()
            };
            let most = (-80 * 1024..=80 * 1024).map(error).fold(0.0, f64::max);
            assert!(most <= stated, "{function:?}: {most}");
            assert!(most > 0.98 * stated, "{function:?}: {most} only");
            let slope: i32 = table.iter().map(|&[_, d]| i32::from(d)).sum();
            let expected = function.value(80.0) - function.value(79.0);
            assert_eq!(f64::from(slope) / 4096.0, expected.round(), "{function:?}");
        }
    }

    #[test]
    fn integers_are_rounded_down() -> Result<(), Fault> {
        for function in Function::ALL {
            for frac_bits in [KNOT_BITS, 12, 26] {
                let pieces = function.pieces(Width::of(64), frac_bits)?;
                let scale = f64::from(frac_bits).exp2();
                for x in [-40.0, -3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 6.0, 40.0] {
                    let y = pieces.value((x * scale) as i64) as f64 / scale;
                    let above = function.value(x) - y;
                    let error = function.error();
                    assert!((-error..=error + 1.0 / scale).contains(&above), "{function:?}({x}) = {y}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn scales_that_have_no_place() {
        for (width, frac_bits) in [(41, 5), (41, 27), (16, 6), (2, 1)] {
            assert!(Function::Tanh.pieces(Width::of(width), frac_bits).is_err(), "{width} {frac_bits}");
        }
        assert!(Function::Tanh.pieces(Width::of(21), 6).is_ok());
    }
}
