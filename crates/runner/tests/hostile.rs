//! What a hostile server may say of its network.

use copriv_ir::{
    Architecture, ConvGeometry, INTEGER_BITS, Layer, LayerOp, Preprocessing, Preset, Shape, Window,
};
use copriv_ring::Width;
use copriv_runner::{Error, Offer, Plan, Reveal, Settings, Suite};

fn layer(name: &str, op: LayerOp, input: Option<usize>, shape: Shape, frac_bits: u32) -> Layer {
    Layer { name: name.into(), op, inputs: input.into_iter().collect(), shape, frac_bits, keep: None }
}

/// A picture's shape, a convolution that pads it to 7828 x 7828, and a pool of 64 x 64 windows over that: a few hundred
/// bytes of JSON that would need two terabytes of indices.
fn greedy(pool: fn(Window) -> LayerOp) -> Architecture {
    let pad = Window { kernel: [1, 1], stride: [1, 1], padding: [3900; 4] };
    let conv =
        ConvGeometry { window: pad, groups: 1, in_channels: 1, out_channels: 1, weight_bits: 2, headroom: 0 };
    let input = Shape::new(1, 28, 28);
    let padded = pad.output_shape(input).expect("it fits");
    let window = Window::square(64, 1, 0);
    let layers = vec![
        layer("input", LayerOp::Input, None, input, 12),
        layer("conv", LayerOp::Conv(conv), Some(0), padded, 24),
        layer("pool", pool(window), Some(1), window.output_shape(padded).expect("it fits"), 24),
    ];
    Architecture {
        name: "greedy".into(),
        width: Width::of(41),
        frac_bits: 12,
        integer_bits: INTEGER_BITS,
        layers,
    }
}

#[test]
fn an_architecture_that_would_exhaust_the_memory_is_refused() {
    for pool in [LayerOp::MaxPool, |window| LayerOp::AvgPool { window, multiplier: 1, shift: 0 }] {
        let architecture = greedy(pool);
        let settings = Settings::new(Suite::Cryptflow2, Reveal::Label);
        assert!(Plan::new(&architecture, &settings).is_err());
        let offer = Offer { settings, architecture, store: None, preprocessing: None };
        let bytes = serde_json::to_vec(&offer).unwrap();
        assert!(bytes.len() < 2000);
        assert!(matches!(Offer::from_bytes(&bytes), Err(Error::Architecture(_))));
    }
}

/// As many convolutions of the same input as there may be, no two of the same padding.
fn many(kernel: [usize; 2], stride: [usize; 2]) -> Architecture {
    let input = Shape::new(1, 250, 250);
    let mut layers = vec![layer("input", LayerOp::Input, None, input, 12)];
    for i in 0..4000 {
        let window = Window { kernel, stride, padding: [i % 60, i / 60, kernel[0], kernel[1]] };
        let conv =
            ConvGeometry { window, groups: 1, in_channels: 1, out_channels: 1, weight_bits: 13, headroom: 2 };
        let shape = window.output_shape(input).expect("it fits");
        layers.push(layer("conv", LayerOp::Conv(conv), Some(0), shape, 24));
    }
    Architecture {
        name: "many".into(),
        width: Width::of(41),
        frac_bits: 12,
        integer_bits: INTEGER_BITS,
        layers,
    }
}

#[test]
fn no_architecture_keeps_the_planner_busy() {
    // The second has, for its tall kernel, transforms of gigabytes.
    for (kernel, stride) in [([7, 7], [2, 2]), ([1 << 16, 1], [1 << 15, 1]), ([16, 16], [15, 15])] {
        let architecture = many(kernel, stride);
        for suite in [Suite::Copriv, Suite::Best] {
            let start = std::time::Instant::now();
            Plan::new(&architecture, &Settings::new(suite, Reveal::Logits)).unwrap();
            assert!(start.elapsed().as_secs() < 30, "{suite}, {kernel:?}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn every_width_and_every_number_in_its_range_can_be_planned() {
    for bits in 2..=64 {
        let (last, high) = (bits - 1, i64::MAX >> (64 - bits));
        let (map, square) = (Shape::new(2, 3, 3), Window::square(3, 1, 1));
        let conv = |weight_bits, headroom| {
            LayerOp::Conv(ConvGeometry {
                window: square,
                groups: 1,
                in_channels: 2,
                out_channels: 2,
                weight_bits,
                headroom,
            })
        };
        let shifts = [1, last].map(|shift| (LayerOp::Truncate { shift }, last - shift));
        let both = [1, last].map(|shift| (LayerOp::ReluTruncate { shift }, last - shift));
        // From the narrowest clips to the widest that the ring has room for.
        let clip = |h: u32, shift: u32| {
            let op = LayerOp::ClipTruncate { high: 1i64.checked_shl(h + shift)?, shift };
            (h + 3 + shift <= last).then_some((op, last - shift))
        };
        let narrow = [(0, 1), (0, last.saturating_sub(3)), (last.saturating_sub(4), 1)];
        let narrow =
            narrow.into_iter().filter(|&(_, shift)| shift > 0).filter_map(|(h, shift)| clip(h, shift));
        let pools = [0, last]
            .map(|shift| (LayerOp::AvgPool { window: square, multiplier: high.max(1), shift }, last));
        let clips =
            [(LayerOp::Clip { low: -high - 1, high }, last), (LayerOp::Clip { low: 0, high: 0 }, last)];
        let others = [(LayerOp::Relu, last), (LayerOp::MaxPool(square), last)];
        let mut ops = [shifts, both, pools, clips, others].concat();
        ops.extend(narrow);
        ops.extend([1, bits].into_iter().map(|weight_bits| (conv(weight_bits, 0), last)));
        for (op, scale) in ops {
            let layers = vec![
                layer("input", LayerOp::Input, None, map, last),
                layer("layer", op, Some(0), map, scale),
            ];
            if op.is_activation() {
                // And of some elements alone.
                let mut layers = layers.clone();
                layers[1].keep = Some((0..map.len()).map(|i| i % 4 == 0).collect::<Vec<_>>().into());
                let (name, width) = ("partial".into(), Width::of(bits));
                plan_all(Architecture { name, width, frac_bits: last, integer_bits: INTEGER_BITS, layers });
            }
            plan_all(Architecture {
                name: "wide".into(),
                width: Width::of(bits),
                frac_bits: last,
                integer_bits: INTEGER_BITS,
                layers,
            });
        }
        for (op, scale) in [(conv(bits, last), last), (LayerOp::Shift { bits: last }, last)] {
            let layers =
                vec![layer("input", LayerOp::Input, None, map, 0), layer("layer", op, Some(0), map, scale)];
            plan_all(Architecture {
                name: "wide".into(),
                width: Width::of(bits),
                frac_bits: 0,
                integer_bits: INTEGER_BITS,
                layers,
            });
        }
    }
}

fn plan_all(architecture: Architecture) {
    for (suite, reveal) in
        Suite::ALL.into_iter().flat_map(|s| [Reveal::Logits, Reveal::Label].map(|r| (s, r)))
    {
        let plan = Plan::new(&architecture, &Settings::new(suite, reveal));
        assert!(plan.is_ok(), "{architecture:?}: {:?}", plan.err());
    }
}

#[test]
fn a_mask_that_does_not_fit_is_refused() {
    let shape = Shape::new(2, 3, 3);
    let offer = |op: LayerOp, scale: u32, elements: usize, kept: &str| {
        let layers =
            vec![layer("input", LayerOp::Input, None, shape, 12), layer("layer", op, Some(0), shape, scale)];
        let architecture = Architecture {
            name: "tiny".into(),
            width: Width::of(41),
            frac_bits: 12,
            integer_bits: INTEGER_BITS,
            layers,
        };
        let settings = Settings::new(Suite::Best, Reveal::Logits);
        let mut offer =
            serde_json::to_value(Offer { settings, architecture, store: None, preprocessing: None }).unwrap();
        offer["architecture"]["layers"][1]["keep"] = serde_json::json!({"elements": elements, "kept": kept});
        Offer::from_bytes(&serde_json::to_vec(&offer).unwrap())
    };
    let relu = |elements, kept| offer(LayerOp::ReluTruncate { shift: 3 }, 9, elements, kept);
    assert!(relu(18, "ABC").is_ok());
    // Of another length, of all, of none, or of a layer that is no activation.
    for (elements, kept) in [(17, "ABC"), (19, "ABCA"), (0, ""), (18, "///"), (18, "AAA")] {
        assert!(
            matches!(relu(elements, kept), Err(Error::Architecture(_) | Error::Offer(_))),
            "{elements} {kept}"
        );
    }
    assert!(matches!(relu(19, "ABCA"), Err(Error::Architecture(_))));
    assert!(matches!(offer(LayerOp::Truncate { shift: 3 }, 9, 18, "ABC"), Err(Error::Architecture(_))));
    // No text of a mask.
    for (elements, kept) in [(18, "AB"), (18, "ABCD"), (usize::MAX, "ABC"), (1 << 40, ""), (18, "A\u{1b}C")] {
        let error = relu(elements, kept).unwrap_err();
        assert!(matches!(error, Error::Offer(_)), "{error}");
        assert!(!error.to_string().chars().any(char::is_control));
    }
}

#[test]
fn a_long_identity_of_a_store_is_refused_in_few_words() {
    let architecture = Architecture {
        name: "tiny".into(),
        width: Width::of(41),
        frac_bits: 12,
        integer_bits: INTEGER_BITS,
        layers: vec![layer("input", LayerOp::Input, None, Shape::vector(1), 12)],
    };
    let offer = |store: String| {
        let settings = Settings::new(Suite::Best, Reveal::Logits);
        let offer =
            Offer { settings, architecture: architecture.clone(), store: Some(store), preprocessing: None };
        Offer::from_bytes(&serde_json::to_vec(&offer).unwrap())
    };
    assert!(offer("0".repeat(32)).is_ok());
    for wrong in [String::new(), "0".repeat(31), "x".repeat(1 << 20), "\u{1b}[2J".repeat(1000)] {
        let error = offer(wrong).unwrap_err().to_string();
        assert!(error.len() < 200 && !error.chars().any(char::is_control), "{error}");
    }
}

#[test]
fn what_is_told_of_pictures_is_checked() {
    let input = Shape::new(3, 8, 8);
    let architecture = Architecture {
        name: "tiny".into(),
        width: Width::of(41),
        frac_bits: 12,
        integer_bits: INTEGER_BITS,
        layers: vec![layer("input", LayerOp::Input, None, input, 12)],
    };
    let settings = Settings::new(Suite::Best, Reveal::Logits);
    let offer = Offer { settings, architecture, store: None, preprocessing: None };
    let json = serde_json::to_value(&offer).unwrap();
    assert!(json.get("preprocessing").is_none(), "left out where there is none");
    let with = |preprocessing: serde_json::Value| {
        let mut offer = json.clone();
        offer["preprocessing"] = preprocessing;
        Offer::from_bytes(&serde_json::to_vec(&offer).unwrap())
    };
    for preset in Preset::ALL.into_iter().filter(|preset| *preset != Preset::Mnist) {
        let preprocessing = preset.of(input);
        let got = with(serde_json::to_value(&preprocessing).unwrap()).unwrap();
        assert_eq!(got.preprocessing, Some(preprocessing));
    }
    assert!(with(serde_json::json!({"mean": [0.1]})).is_ok());
    for wrong in [
        serde_json::json!({"resize": {"shorter": 0}}),
        serde_json::json!({"resize": {"exact": [1, u32::MAX]}}),
        serde_json::json!({"mean": [1e30]}),
        serde_json::json!({"mean": []}),
        serde_json::json!({"mean": vec![0.5; 100_000]}),
        serde_json::json!({"std": [0.0]}),
        serde_json::json!({"std": [1.0, 1.0]}),
        serde_json::json!({"range": "\u{1b}[2J"}),
        serde_json::json!({"crop": 3}),
        serde_json::json!("imagenet"),
    ] {
        let error = with(wrong.clone()).unwrap_err();
        assert!(matches!(error, Error::Preprocessing(_) | Error::Offer(_)), "{error}");
        let text = error.to_string();
        assert!(text.len() < 400 && !text.chars().any(char::is_control), "{text:?}");
    }
    // Pixels for which the ring has no place: whoever learnt that from a picture would show it by leaving.
    let narrow = |std: f32, width: u32| {
        let mut offer = offer.clone();
        offer.architecture.width = Width::of(width);
        offer.preprocessing = Some(Preprocessing { std: vec![std], ..Preprocessing::default() });
        Offer::from_bytes(&serde_json::to_vec(&offer).unwrap())
    };
    assert!(narrow(1.0, 24).is_ok() && narrow(1.0 / 4096.0, 41).is_ok());
    assert!(matches!(narrow(1.0 / 4096.0, 24), Err(Error::Pixel { .. })));
    // Three numbers for a network of one channel.
    let mut grey = offer.clone();
    grey.architecture.layers[0].shape = Shape::new(1, 8, 8);
    grey.preprocessing = Some(Preset::Imagenet.of(input));
    let error = Offer::from_bytes(&serde_json::to_vec(&grey).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Preprocessing(_)), "{error}");
}

#[test]
fn an_offer_is_quoted_without_control_characters() {
    let error = Offer::from_bytes(b"{\"\\u001b[2Jsuite\":\"x\"}").unwrap_err();
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}
