//! Files of the program's own, made of whole ones and damaged where they have structure: in the header, in the JSON inside it, and in the
//! weights.

use copriv_import::{Fixed, Network, network};
use copriv_ir::{
    Activation, Axis, Function, Graph, GraphBuilder, LowerOptions, Op, Shape, View, lower, lower_scaled,
};
use copriv_ring::Width;
use serde_json::{Map, Value};

use crate::draw::Draw;
use crate::files::{OPTIONS, shorter, tiny};

/// Takes the file itself where the first byte is 0, and otherwise one that the bytes make.
pub fn run(data: &[u8]) -> bool {
    match data.split_first() {
        Some((0, file)) => check(file),
        Some((kind, choices)) => {
            let whole = whole();
            let mut file = whole[usize::from(*kind) % whole.len()].clone();
            let mut draw = Draw::new(choices);
            for _ in 0..1 + draw.below(4) {
                file = damaged(&file, &mut draw).unwrap_or(file);
            }
            check(&file)
        }
        None => false,
    }
}

/// What holds of every file, whatever the bytes.
fn check(file: &[u8]) -> bool {
    let network = match Network::decode(file, "fuzz") {
        Ok(network) => network,
        Err(error) => {
            assert!(error.to_string().len() < 4096);
            return false;
        }
    };
    let Network { graph, fixed, preprocessing } = &network;
    graph.validate().expect("what is read is valid");
    preprocessing.iter().for_each(|p| p.validate().expect("what is read is valid"));
    let again = network.encode("fuzz").expect("what is read can be written");
    assert!(Network::decode(&again, "fuzz").is_ok_and(|same| same == network), "it survives");
    if let Ok(lowered) = lower(graph, OPTIONS) {
        lowered.validate().expect("what is lowered is valid");
    }
    if let Some(fixed) = fixed
        && let Ok(width) = Width::new(fixed.bits)
    {
        let options = LowerOptions { width, frac_bits: fixed.frac_bits };
        if let Ok(lowered) = lower_scaled(graph, options, &fixed.weight_frac_bits, fixed.integer_bits) {
            lowered.validate().expect("what is lowered is valid");
        }
    }
    true
}

/// Whole files: with every operator, fixed point and preprocessing.
pub fn whole() -> Vec<Vec<u8>> {
    let graph = tiny();
    let nodes = graph.nodes.len();
    let fixed = Fixed { bits: 41, frac_bits: 12, integer_bits: 8, weight_frac_bits: vec![10; nodes] };
    let first = Network { fixed: Some(fixed), preprocessing: Some(shorter()), graph };
    [first, Network::from(rest())]
        .iter()
        .map(|network| network.encode("fuzz").expect("it is valid"))
        .collect()
}

/// The operators that [`tiny`] has not.
fn rest() -> Graph {
    let build = || {
        let mut net = GraphBuilder::new("rest", Shape::new(2, 2, 3))?;
        let x = net.input();
        let axes = [Axis::whole(2, 6), Axis { start: 2, step: -1, ..Axis::whole(3, 1) }, Axis::whole(2, 3)];
        let view = View::new(Shape::new(2, 3, 2), &axes).expect("three axes");
        let x = net.push("view", Op::View(view), vec![x])?;
        let keep: Vec<bool> = (0..12).map(|i| i % 3 == 0).collect();
        let activation = Activation::Clip { low: -1.0, high: 1.5 };
        let x = net.push("partial", Op::Partial { activation, keep: keep.into() }, vec![x])?;
        let y = net.push("smooth", Op::Smooth(Function::Gelu), vec![x])?;
        let x = net.push("combine", Op::Combine { factors: [0.25, -1.0] }, vec![x, y])?;
        let gate = net.global_avg_pool("mean", x)?;
        let x = net.multiply("gate", x, gate)?;
        net.finish(x)
    };
    let built: Result<Graph, copriv_ir::Error> = build();
    built.expect("the network is valid")
}

/// The file with one change.
fn damaged(file: &[u8], draw: &mut Draw) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk()?;
    let (header, tensors) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (mut header, mut tensors) = (serde_json::from_slice::<Value>(header).ok()?, tensors.to_vec());
    match draw.below(8) {
        0 => change(&mut header, draw),
        1 => {
            let (at, value) = (4 * draw.below(1 + tensors.len() / 4), draw.float());
            tensors.get_mut(at..at + 4)?.copy_from_slice(&value.to_le_bytes());
        }
        2 => tensors.truncate(draw.below(1 + tensors.len())),
        _ => {
            let text = header.get_mut("__metadata__")?.get_mut(network::KEY)?;
            let mut structure = serde_json::from_str::<Value>(text.as_str()?).ok()?;
            change(&mut structure, draw);
            *text = Value::String(structure.to_string());
        }
    }
    let header = header.to_string();
    Some([&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &tensors].concat())
}

/// Changes something in `value`.
fn change(value: &mut Value, draw: &mut Draw) {
    match value {
        Value::Array(list) if !list.is_empty() && !draw.one_in(16) => {
            let at = draw.below(list.len());
            match draw.below(12) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[at].clone()),
                2 => list.swap(0, at),
                _ => change(&mut list[at], draw),
            }
        }
        Value::Object(map) if !map.is_empty() && !draw.one_in(16) => {
            let at = draw.below(map.len());
            let Some(key) = map.keys().nth(at).cloned() else { return };
            match draw.below(16) {
                0 => drop(map.remove(&key)),
                1 => {
                    let value = map.remove(&key).unwrap_or_default();
                    let names = [
                        "relu", "max_pool", "avg_pool", "flatten", "concat", "linear", "smooth", "view",
                        "clip",
                    ];
                    map.insert(names[draw.below(names.len())].to_owned(), value);
                }
                _ => change(&mut map[&key], draw),
            }
        }
        other => {
            *other = match draw.below(10) {
                0 => Value::Null,
                1 => Value::String(
                    ["", "relu", "add", "flatten", "sigmoid", "global_avg_pool", "\u{7}"][draw.below(7)]
                        .to_owned(),
                ),
                2 => Value::Array(Vec::new()),
                3 => Value::Object(Map::new()),
                4 => f64::from(draw.float()).into(),
                5 | 6 => (draw.byte() % 16).into(),
                _ => draw.int().into(),
            }
        }
    }
}

/// Files as they are.
pub fn seeds() -> Vec<Vec<u8>> {
    whole().into_iter().map(|file| [&[0], &file[..]].concat()).collect()
}
