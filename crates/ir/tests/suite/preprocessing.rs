//! What is said of pictures, as text and JSON, and what is refused.

use copriv_ir::{ChannelOrder, PixelRange, Preprocessing, PreprocessingError, Preset, Resize, Shape};
use proptest::prelude::*;

fn resizes() -> impl Strategy<Value = Resize> {
    let side = 1..=1u32 << 14;
    prop_oneof![
        Just(Resize::None),
        Just(Resize::Input),
        side.clone().prop_map(Resize::Shorter),
        [side.clone(), side].prop_map(Resize::Exact),
    ]
}

fn numbers(range: std::ops::Range<f32>) -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![
        range.clone().prop_map(|number| vec![number]),
        [range.clone(), range.clone(), range].prop_map(Vec::from)
    ]
}

proptest! {
    #[test]
    fn json_keeps_every_bit(
        resize in resizes(),
        mean in numbers(-65536.0..65536.0),
        std in numbers(1.0 / 65536.0..65536.0),
        byte: bool,
        bgr: bool,
    ) {
        let range = if byte { PixelRange::Byte } else { PixelRange::Unit };
        let channels = if bgr { ChannelOrder::Bgr } else { ChannelOrder::Rgb };
        let one = Preprocessing { resize, range, mean, std, channels };
        prop_assert_eq!(one.validate(), Ok(()));
        let json = serde_json::to_string(&one).unwrap();
        let again: Preprocessing = serde_json::from_str(&json).unwrap();
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!((bits(&again.mean), bits(&again.std)), (bits(&one.mean), bits(&one.std)));
        prop_assert_eq!(&again, &one);
        // Two parties that have read the same write the same.
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), json);
        for channel in 0..3 {
            prop_assert!([0, 1, 254, 255].iter().all(|&n| one.value(n, channel).is_finite()));
        }
    }

    #[test]
    fn sizes_are_read_as_they_are_written(resize in resizes()) {
        prop_assert_eq!(resize.to_string().parse(), Ok(resize));
    }
}

#[test]
fn presets() {
    let side = |side| Preset::Imagenet.of(Shape::new(3, side, side)).resize;
    assert_eq!([224, 256, 299, 32, 1].map(side), [256, 293, 342, 37, 1].map(Resize::Shorter));
    assert_eq!(Preset::Imagenet.of(Shape::new(3, 448, 224)).resize, Resize::Shorter(256));
    for preset in Preset::ALL {
        let channels = if preset == Preset::Mnist { 1 } else { 3 };
        let preprocessing = preset.of(Shape::new(channels, 32, 32));
        assert_eq!(preprocessing.check(Shape::new(channels, 32, 32)), Ok(()), "{preset}");
        assert_eq!(preset.name().parse(), Ok(preset));
        // From black to white they are some four deviations.
        let span = preprocessing.value(255, 0) - preprocessing.value(0, 0);
        assert!(preset == Preset::None || (3.0..5.0).contains(&span), "{preset}: {span}");
    }
    assert_eq!(Preset::None.of(Shape::new(7, 1, 1)), Preprocessing::default());
    assert_eq!(serde_json::from_str::<Preprocessing>("{}").unwrap(), Preprocessing::default());
    // Too large an input for a size that there is.
    assert!(Preset::Imagenet.of(Shape::new(3, 1 << 16, 1 << 16)).validate().is_err());
    assert!(Preset::Imagenet.of(Shape::new(3, 0, 0)).validate().is_err());
}

#[test]
fn in_words() {
    let imagenet = Preset::Imagenet.of(Shape::new(3, 224, 224));
    let words =
        "shorter side to 256, centre crop, (n/255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225), RGB";
    assert_eq!(imagenet.to_string(), words);
    assert_eq!(Preprocessing::default().to_string(), "not resized, n/255, RGB");
    let caffe = Preprocessing {
        resize: Resize::Exact([2, 3]),
        range: PixelRange::Byte,
        mean: vec![104.0, 117.0, 123.0],
        channels: ChannelOrder::Bgr,
        ..Preprocessing::default()
    };
    assert_eq!(caffe.to_string(), "resized to 2x3, centre crop, n - (104, 117, 123), BGR");
    let scaled = Preprocessing { std: vec![2.0], resize: Resize::Input, ..Preprocessing::default() };
    assert_eq!(scaled.to_string(), "resized to the input, n/255 / 2, RGB");
}

#[test]
fn what_nobody_can_mean_is_refused() {
    let with = |mean: &[f32], std: &[f32]| {
        Preprocessing { mean: mean.into(), std: std.into(), ..Preprocessing::default() }.validate()
    };
    assert_eq!(with(&[-0.5], &[0.25, 1.0, 2.0]), Ok(()));
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 70000.0] {
        assert!(matches!(with(&[wrong], &[1.0]), Err(PreprocessingError::Number { what: "mean", .. })));
        assert!(with(&[0.0, 0.0, wrong], &[1.0]).is_err() && with(&[0.0], &[wrong]).is_err());
    }
    for wrong in [0.0, -0.0, -1.0, f32::MIN_POSITIVE, 1e-5] {
        assert!(with(&[0.0], &[wrong]).is_err(), "{wrong}");
    }
    for count in [0, 2, 4, 1000] {
        assert!(with(&vec![0.5; count], &[1.0]).is_err() && with(&[0.5], &vec![0.5; count]).is_err());
    }
    for side in [0, (1 << 14) + 1, u32::MAX] {
        for resize in [Resize::Shorter(side), Resize::Exact([side, 1]), Resize::Exact([1, side])] {
            let error = Preprocessing { resize, ..Preprocessing::default() }.validate();
            assert_eq!(error, Err(PreprocessingError::Side { got: side }));
            assert!(resize.to_string().parse::<Resize>().is_err(), "{resize}");
        }
    }
    for wrong in ["", "x", "3x", "x3", "3x3x3", "-1", "1.5", "NONE", "99999999999999999999"] {
        assert!(wrong.parse::<Resize>().is_err(), "{wrong}");
    }
    let long = "\u{1b}".repeat(10_000).parse::<Preset>().unwrap_err().to_string();
    assert!(long.len() < 500 && !long.chars().any(char::is_control), "{long}");
}
