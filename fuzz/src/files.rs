//! Files and what else is parsed: a network by its public half, models, weights, pictures, stored OTs.

use crate::Target;
use copriv_bits::{BitVec, Block};
use copriv_import::{onnx, picture, safetensors};
use copriv_ir::{Architecture, Graph, GraphBuilder, LowerOptions, Op, Preprocessing, Resize};
use copriv_ir::{Shape, Window, lower};
use copriv_ot::key_bits::{ReceiverBits, SenderBits};
use copriv_ot::stored::{ReceiverBatch, SenderBatch};
use copriv_ring::Width;
use copriv_runner::{Offer, Plan, Reveal, Settings, Suite};

pub const TARGETS: &[Target] = &[
    Target::parser("architecture", architecture, || {
        let lowered = lower(&tiny(), OPTIONS).expect("the network is valid");
        vec![serde_json::to_vec(&lowered.architecture).expect("it has a JSON form")]
    }),
    Target::parser("runner_offer", offer, || {
        let architecture = lower(&tiny(), OPTIONS).expect("the network is valid").architecture;
        let settings = Settings::new(Suite::default(), Reveal::Label);
        let offer = Offer { settings, architecture, store: None, preprocessing: None };
        let telling = Offer { preprocessing: Some(shorter()), ..offer.clone() };
        [offer, telling].iter().map(|offer| serde_json::to_vec(offer).expect("it has a JSON form")).collect()
    }),
    Target::parser("onnx", model, || vec![onnx::write(&tiny()), onnx::write_with(&tiny(), &shorter())]),
    Target::parser("onnx_model", crate::model::run, crate::model::seeds),
    Target::parser("network", crate::network::run, crate::network::seeds),
    Target::parser("safetensors", weights, || {
        vec![safetensors::write(&tiny()).expect("the network is valid")]
    }),
    Target::parser("picture", pixels, pictures),
    Target::parser("ot_stored_sender", stored_sender, || {
        let batch = SenderBatch { delta: Block::ONES, first_tweak: 5, q: vec![Block::ZERO; 13] };
        vec![batch.to_bytes().to_vec()]
    }),
    Target::parser("ot_stored_receiver", stored_receiver, || {
        let choices = BitVec::from_fn(13, |i| i % 2 == 0);
        vec![ReceiverBatch { first_tweak: 5, choices, t: vec![Block::ZERO; 13] }.to_bytes().to_vec()]
    }),
    Target::parser("ot_bits_sender", bits_sender, || vec![bits("CoPrvKBs", 8)]),
    Target::parser("ot_bits_receiver", bits_receiver, || vec![bits("CoPrvKBr", 5)]),
];

pub const OPTIONS: LowerOptions = LowerOptions { width: Width::of(41), frac_bits: 12 };

/// A network with every operator.
pub fn tiny() -> Graph {
    let build = || {
        let mut net = GraphBuilder::new("tiny", Shape::new(2, 6, 6))?;
        let x =
            net.conv("conv", net.input(), Window::square(3, 1, 1), 1, vec![0.25; 4 * 2 * 9], vec![0.5; 4])?;
        let x = net.batch_norm("bn", x, vec![1.5; 4], vec![-0.5; 4])?;
        let a = net.relu("relu", x)?;
        let b = net.clip("clip", x, 0.0, 6.0)?;
        let x = net.add("add", a, b)?;
        let c = net.max_pool("max", x, Window::square(2, 2, 0))?;
        let d = net.avg_pool("avg", x, Window::square(2, 2, 0))?;
        let x = net.concat("concat", vec![c, d])?;
        let x = net.global_avg_pool("pool", x)?;
        let x = net.flatten("flatten", x)?;
        let x = net.linear("fc", x, vec![0.125; 3 * 8], vec![0.0; 3])?;
        net.finish(x)
    };
    let built: Result<Graph, copriv_ir::Error> = build();
    built.expect("the network is valid")
}

/// How a picture of any size becomes an input of any number of channels.
pub fn shorter() -> Preprocessing {
    Preprocessing { resize: Resize::Shorter(3), mean: vec![0.5], ..Preprocessing::default() }
}

fn architecture(data: &[u8]) -> bool {
    let Ok(architecture) = serde_json::from_slice::<Architecture>(data) else { return false };
    if architecture.validate().is_err() {
        return false;
    }
    assert!(!architecture.input_shape().is_empty() && !architecture.output_shape().is_empty());
    assert_eq!(architecture.last_use().len(), architecture.layers.len());
    let again = serde_json::to_vec(&architecture).expect("it has a JSON form");
    assert!(serde_json::from_slice::<Architecture>(&again).is_ok_and(|same| same == architecture));
    true
}

fn offer(data: &[u8]) -> bool {
    let Ok(Offer { settings, architecture, .. }) = Offer::from_bytes(data) else { return false };
    let plan = Plan::new(&architecture, &settings).expect("a valid network can be planned");
    assert!(plan.total.online.bytes() > 0);
    true
}

fn model(data: &[u8]) -> bool {
    let accepted = crate::model::check(data, &onnx::Options::default());
    if let (Ok(Some(preprocessing)), true) = (onnx::preprocessing(data, "fuzz"), accepted) {
        preprocessing.validate().expect("what is read is valid");
        let again = onnx::write_with(&tiny(), &preprocessing);
        assert!(onnx::preprocessing(&again, "fuzz").is_ok_and(|same| same == Some(preprocessing)));
    }
    accepted
}

pub fn parameters(graph: &Graph) -> usize {
    let count = |op: &Op| match op {
        Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => weight.len() + bias.len(),
        Op::BatchNorm { scale, shift } => scale.len() + shift.len(),
        _ => 0,
    };
    graph.nodes.iter().map(|node| count(&node.op)).sum()
}

fn weights(data: &[u8]) -> bool {
    let mut graph = tiny();
    if safetensors::apply(&mut graph, data).is_err() {
        assert!(graph == tiny(), "an error leaves the network as it was");
        return false;
    }
    let mut again = tiny();
    let written = safetensors::write(&graph).expect("what is read can be written");
    safetensors::apply(&mut again, &written).expect("what is written can be read");
    assert!(again == graph, "weights survive");
    true
}

fn pixels(data: &[u8]) -> bool {
    let mut accepted = picture::decode_labels(data).is_ok();
    for shape in [Shape::new(1, 2, 3), Shape::new(3, 2, 3), Shape::vector(6)] {
        let one = picture::decode(data, shape).map(|pixels| vec![pixels]);
        let resized = picture::decode_with(data, shape, &shorter()).map(|pixels| vec![pixels]);
        for pictures in [one, resized, picture::decode_batch(data, shape)].into_iter().flatten() {
            assert!(pictures.iter().all(|pixels| pixels.len() == shape.len()));
            accepted = true;
        }
    }
    accepted
}

/// One of each format: npy, PNG, JPEG.
fn pictures() -> Vec<Vec<u8>> {
    let npy = |descr: &str, shape: &str, body: &[u8]| {
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        header.extend(std::iter::repeat_n(' ', 117 - header.len()));
        header.push('\n');
        [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes(), body].concat()
    };
    vec![
        npy("|u1", "2, 3", &[0, 50, 100, 150, 200, 255]),
        npy("<f4", "1, 2, 3", &[0; 24]),
        npy("|u1", "2, 3, 2, 3", &[9; 36]),
        npy("<i8", "2,", &[1; 16]),
        include_bytes!("../seeds/grey.png").to_vec(),
        include_bytes!("../seeds/colour.png").to_vec(),
        include_bytes!("../seeds/grey.jpg").to_vec(),
    ]
}

/// Planes of 13 bits.
fn bits(mark: &str, planes: usize) -> Vec<u8> {
    [mark.as_bytes(), &13u64.to_le_bytes(), &[0xA5, 0x1F].repeat(planes)].concat()
}

fn bits_sender(data: &[u8]) -> bool {
    let Ok(bits) = SenderBits::from_bytes(data) else { return false };
    assert!(bits.to_bytes()[..] == *data, "the only encoding of its value");
    true
}

fn bits_receiver(data: &[u8]) -> bool {
    let Ok(bits) = ReceiverBits::from_bytes(data) else { return false };
    assert!(bits.to_bytes()[..] == *data, "the only encoding of its value");
    true
}

fn stored_sender(data: &[u8]) -> bool {
    let Ok(batch) = SenderBatch::from_bytes(data) else { return false };
    assert!(batch.to_bytes()[..] == *data, "the only encoding of its value");
    true
}

fn stored_receiver(data: &[u8]) -> bool {
    let Ok(batch) = ReceiverBatch::from_bytes(data) else { return false };
    assert!(batch.to_bytes()[..] == *data, "the only encoding of its value");
    true
}
