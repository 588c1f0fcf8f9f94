//! The two 16-bit float formats that weights come in. Every value is exact in an f32.

/// IEEE 754 binary16.
pub(crate) fn f16(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    match exponent {
        // Zero and subnormals, fraction · 2^-24; negative zero keeps its sign.
        0 => f32::from_bits((fraction as f32 / (1 << 24) as f32).to_bits() | sign),
        31 => f32::from_bits(sign | 0xff << 23 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}

/// The upper half of an f32.
pub(crate) fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Rounds to the values of a binary16, to even where two are as near; above them all is infinite.
pub(crate) fn to_f16(mut values: Vec<f32>) -> Vec<f32> {
    for value in &mut values {
        // The distance of the values near this one: 2^-10 of its power of two, or that of the subnormals.
        let exponent = (value.to_bits() >> 23 & 0xff).max(127 - 14);
        let ulp = f32::from_bits((exponent - 10) << 23);
        if value.is_finite() {
            let rounded = (*value / ulp).round_ties_even() * ulp;
            *value = if rounded.abs() > 65504.0 { f32::INFINITY.copysign(rounded) } else { rounded };
        }
    }
    values
}

/// The same for [`bf16`].
pub(crate) fn to_bf16(mut values: Vec<f32>) -> Vec<f32> {
    for value in values.iter_mut().filter(|value| !value.is_nan()) {
        let bits = value.to_bits();
        *value = f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x03ff, 6.097_555e-5),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(f16(bits).to_bits(), f32::to_bits(value), "{bits:#06x}");
        }
        assert!(f16(0x7e00).is_nan());
        assert_eq!(bf16(0x3f80), 1.0);
        assert_eq!(bf16(0xc040), -3.0);
    }

    #[test]
    fn every_value_rounds_to_itself() {
        let all = |f: fn(u16) -> f32| (0..=u16::MAX).map(f).filter(|v| !v.is_nan()).collect::<Vec<f32>>();
        assert_eq!(to_f16(all(f16)), all(f16));
        assert_eq!(to_bf16(all(bf16)), all(bf16));
    }

    #[test]
    fn what_lies_between_rounds_to_the_nearer_or_even() {
        for (round, widen) in [(to_f16 as fn(_) -> Vec<f32>, f16 as fn(u16) -> f32), (to_bf16, bf16)] {
            for bits in (0..0x7b00).step_by(7) {
                let (low, high) = (widen(bits), widen(bits + 1));
                let middle = low + (high - low) / 2.0;
                let even = if bits % 2 == 0 { low } else { high };
                let [below, above] = [middle.next_down(), middle.next_up()];
                assert_eq!(round(vec![middle, -middle, below, above]), [even, -even, low, high], "{bits:#x}");
            }
        }
        assert_eq!(to_f16(vec![65519.9, 65520.0, -1e30]), [65504.0, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(to_bf16(vec![f32::MAX]), [f32::INFINITY]);
    }
}
