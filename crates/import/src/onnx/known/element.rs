//! The types of elements, and the two wide types in which all of them are computed.

/// The elements of a [`Known`](super::Known) tensor.
///
/// 16-bit floats are held as [`F32`](Self::F32).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the types")]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    Bool(Vec<bool>),
}

impl Data {
    /// The number of elements.
    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the elements are called in messages.
    pub(in crate::onnx) fn name(&self) -> &'static str {
        fn name<T: Element>(_: &[T]) -> &'static str {
            T::NAME
        }
        each!(self, v => name(v))
    }

    /// The elements, each exactly: one type for what would otherwise be compiled for each of them.
    pub(super) fn numbers(&self) -> Box<dyn Iterator<Item = Number> + '_> {
        each!(self, v => Box::new(v.iter().map(|x| x.widen().number())))
    }
}

/// An element of any type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    Float(f64),
    Integer(i128),
}

/// A type of elements.
pub(super) trait Element: Copy + Default + PartialEq + 'static {
    /// In which it is computed.
    type Wide: Wide;
    const NAME: &'static str;

    fn wrap(elements: Vec<Self>) -> Data;
    fn of(data: &Data) -> Option<&[Self]>;
    fn widen(self) -> Self::Wide;
    /// Rounds a float, takes the low bits of an integer.
    fn narrow(wide: Self::Wide) -> Self;
}

macro_rules! element {
    ($type:ty, $variant:ident, $wide:ty, $name:literal, $widen:expr, $narrow:expr) => {
        impl Element for $type {
            type Wide = $wide;
            const NAME: &'static str = $name;

            fn wrap(elements: Vec<Self>) -> Data {
                Data::$variant(elements)
            }

            fn of(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$variant(elements) => Some(elements),
                    _ => None,
                }
            }

            fn widen(self) -> $wide {
                let widen: fn($type) -> $wide = $widen;
                widen(self)
            }

            fn narrow(wide: $wide) -> Self {
                let narrow: fn($wide) -> $type = $narrow;
                narrow(wide)
            }
        }
    };
}

element!(f32, F32, f64, "32-bit floats", f64::from, |w| w as f32);
element!(f64, F64, f64, "64-bit floats", |x| x, |w| w);
element!(i8, I8, i128, "8-bit integers", i128::from, |w| w as i8);
element!(i16, I16, i128, "16-bit integers", i128::from, |w| w as i16);
element!(i32, I32, i128, "32-bit integers", i128::from, |w| w as i32);
element!(i64, I64, i128, "64-bit integers", i128::from, |w| w as i64);
element!(u8, U8, i128, "unsigned 8-bit integers", i128::from, |w| w as u8);
element!(u16, U16, i128, "unsigned 16-bit integers", i128::from, |w| w as u16);
element!(u32, U32, i128, "unsigned 32-bit integers", i128::from, |w| w as u32);
element!(u64, U64, i128, "unsigned 64-bit integers", i128::from, |w| w as u64);
element!(bool, Bool, i128, "truth values", i128::from, |w| w != 0);

/// A type that holds all elements of its kind exactly: `f64` for floats, `i128` for integers.
pub(super) trait Wide: Copy + Default + PartialOrd + 'static {
    /// The operator of that name, where it is one of two numbers; `None` from it is a division by zero.
    fn operation(name: &str) -> Option<fn(Self, Self) -> Option<Self>>;
    /// Whether this is the type of integers.
    const INTEGER: bool;
    /// No number is below it.
    const LEAST: Self;
    /// An integer to the power of one that is not negative wraps; all else is computed in floats.
    fn power(self, exponent: Number) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, count: usize) -> Option<Self>;
    fn negative(self) -> Self;
    fn absolute(self) -> Self;
    fn to_f64(self) -> f64;
    /// Rounds towards zero to an integer.
    fn from_f64(value: f64) -> Self;
    fn to_i128(self) -> i128;
    fn number(self) -> Number;
    fn from_i128(value: i128) -> Self;
}

impl Wide for f64 {
    fn operation(name: &str) -> Option<fn(f64, f64) -> Option<f64>> {
        Some(match name {
            "Add" | "Sum" => |a, b| Some(a + b),
            "Sub" => |a, b| Some(a - b),
            "Mul" => |a, b| Some(a * b),
            "Div" => |a, b| Some(a / b),
            // Unlike those of the standard library, a NaN wins.
            "Min" => |a, b| Some(if a.is_nan() || a < b { a } else { b }),
            "Max" => |a, b| Some(if a.is_nan() || a > b { a } else { b }),
            "PRelu" => |x, slope| Some(if x < 0.0 { x * slope } else { x }),
            _ => return None,
        })
    }

    const INTEGER: bool = false;
    const LEAST: f64 = f64::NEG_INFINITY;

    fn power(self, exponent: Number) -> f64 {
        self.powf(match exponent {
            Number::Float(exponent) => exponent,
            Number::Integer(exponent) => exponent as f64,
        })
    }

    fn plus(self, other: f64) -> f64 {
        self + other
    }

    fn times(self, other: f64) -> f64 {
        self * other
    }

    fn over(self, count: usize) -> Option<f64> {
        Some(self / count as f64)
    }

    fn negative(self) -> f64 {
        -self
    }

    fn absolute(self) -> f64 {
        self.abs()
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn from_f64(value: f64) -> f64 {
        value
    }

    fn to_i128(self) -> i128 {
        self as i128
    }

    fn number(self) -> Number {
        Number::Float(self)
    }

    fn from_i128(value: i128) -> f64 {
        value as f64
    }
}

impl Wide for i128 {
    fn operation(name: &str) -> Option<fn(i128, i128) -> Option<i128>> {
        Some(match name {
            "Add" | "Sum" => |a, b| Some(a.wrapping_add(b)),
            "Sub" => |a, b| Some(a.wrapping_sub(b)),
            "Mul" => |a, b| Some(a.wrapping_mul(b)),
            "Div" => i128::checked_div,
            "Min" => |a, b| Some(a.min(b)),
            "Max" => |a, b| Some(a.max(b)),
            "PRelu" => |x, slope| Some(if x < 0 { x.wrapping_mul(slope) } else { x }),
            _ => return None,
        })
    }

    const INTEGER: bool = true;
    const LEAST: i128 = i128::MIN;

    fn power(mut self, exponent: Number) -> i128 {
        let whole = match exponent {
            Number::Float(_) => None,
            Number::Integer(exponent) => u128::try_from(exponent).ok(),
        };
        let Some(mut left) = whole else { return (self as f64).power(exponent) as i128 };
        let mut power = 1i128;
        while left > 0 {
            if left & 1 == 1 {
                power = power.wrapping_mul(self);
            }
            self = self.wrapping_mul(self);
            left >>= 1;
        }
        power
    }

    fn plus(self, other: i128) -> i128 {
        self.wrapping_add(other)
    }

    fn times(self, other: i128) -> i128 {
        self.wrapping_mul(other)
    }

    fn over(self, count: usize) -> Option<i128> {
        self.checked_div(count as i128)
    }

    fn negative(self) -> i128 {
        self.wrapping_neg()
    }

    fn absolute(self) -> i128 {
        self.wrapping_abs()
    }

    fn to_f64(self) -> f64 {
        self as f64
    }

    fn from_f64(value: f64) -> i128 {
        value as i128
    }

    fn to_i128(self) -> i128 {
        self
    }

    fn number(self) -> Number {
        Number::Integer(self)
    }

    fn from_i128(value: i128) -> i128 {
        value
    }
}
