//! Plans, reports and architectures as tables.

use crate::format::{bytes, megabytes, milliseconds, plural, seconds};
use crate::party::Inference;
use crate::table::Column::{Number, Words};
use crate::table::Table;
use copriv_ir::{Architecture, Layer, LayerOp};
use copriv_runner::{LayerCost, PhaseCost, Plan, Total};

/// Every layer of a plan: what runs it and what it costs in each phase.
pub fn plan(plan: &Plan) -> Table {
    let phases = has_preprocessing(&plan.total);
    let mut columns = vec![Words("layer"), Words("op"), Words("protocol")];
    if phases {
        let before = ["before: P0→P1 MB", "P1→P0 MB", "rounds"].map(Number);
        columns.extend(before);
        columns.push(Number("online: P0→P1 MB"));
    } else {
        columns.push(Number("P0→P1 MB"));
    }
    columns.extend([Number("P1→P0 MB"), Number("rounds")]);
    let mut table = Table::new(&columns);
    let total = LayerCost {
        name: "total".into(),
        op: String::new(),
        protocol: String::new(),
        preprocessing: plan.total.preprocessing,
        online: plan.total.online,
    };
    for layer in plan.layers.iter().chain([&total]) {
        let mut row = vec![layer.name.clone(), layer.op.clone(), layer.protocol.clone()];
        if phases {
            row.extend(phase(layer.preprocessing));
        }
        row.extend(phase(layer.online));
        table.row(row);
    }
    table
}

/// The sums over the layers of each kind, the dearest first.
pub fn kinds(plan: &Plan) -> Table {
    let columns = [
        Words("op"),
        Number("layers"),
        Number("P0→P1 MB"),
        Number("P1→P0 MB"),
        Number("rounds"),
        Number("share"),
    ];
    let mut kinds: Vec<(&str, u64, PhaseCost)> = Vec::new();
    for layer in &plan.layers {
        let cost = layer.preprocessing + layer.online;
        match kinds.iter_mut().find(|(op, ..)| *op == layer.op) {
            Some((_, layers, sum)) => (*layers, *sum) = (*layers + 1, *sum + cost),
            None => kinds.push((&layer.op, 1, cost)),
        }
    }
    kinds.sort_by_key(|(.., cost)| std::cmp::Reverse(cost.bytes()));
    let all = both(&plan.total);
    let mut table = Table::new(&columns);
    kinds.push(("total", plan.layers.len() as u64, all));
    for (op, layers, cost) in kinds {
        let share = 100.0 * cost.bytes() as f64 / all.bytes().max(1) as f64;
        let mut row = vec![op.to_owned(), layers.to_string()];
        row.extend(phase(cost));
        row.push(format!("{share:.1} %"));
        table.row(row);
    }
    table
}

/// Every layer of an inference: what was counted, and whether it is what the plan says.
pub fn inference(inference: &Inference) -> Table {
    let columns = [
        Words("layer"),
        Words("op"),
        Words("protocol"),
        Number("P0→P1 MB"),
        Number("P1→P0 MB"),
        Number("rounds"),
        Words("as planned"),
        Number("ms"),
    ];
    let Inference { plan, report, .. } = inference;
    let mut table = Table::new(&columns);
    let verdict = |planned: PhaseCost, counted: PhaseCost| match planned == counted {
        true => "✓".to_owned(),
        false => format!("✗ planned {} B, {} B", planned.bytes_p0_to_p1, planned.bytes_p1_to_p0),
    };
    for (planned, counted) in plan.layers.iter().zip(&report.layers) {
        let (cost, foreseen) =
            (counted.preprocessing + counted.online, planned.preprocessing + planned.online);
        let mut row = vec![counted.name.clone(), counted.op.clone(), planned.protocol.clone()];
        row.extend(phase(cost));
        row.extend([verdict(foreseen, cost), milliseconds(counted.seconds)]);
        table.row(row);
    }
    let (cost, foreseen) = (both(&report.total), both(&plan.total));
    let mut row = vec!["total".to_owned(), String::new(), String::new()];
    row.extend(phase(cost));
    row.extend([verdict(foreseen, cost), milliseconds(report.seconds)]);
    table.row(row);
    table
}

/// The layers that a server has told of; what has no cost of its own is left out.
pub fn architecture(architecture: &Architecture) -> Table {
    let mut table = Table::new(&[Words("layer"), Words("op"), Words("output"), Words("")]);
    for layer in &architecture.layers {
        if !matches!(layer.op, LayerOp::Truncate { .. } | LayerOp::Flatten) {
            let row = [layer.name.clone(), layer.op.kind().into(), layer.shape.to_string(), details(layer)];
            table.row(row);
        }
    }
    table
}

fn details(layer: &Layer) -> String {
    match layer.op {
        LayerOp::Conv(g) => {
            let [height, width] = g.window.kernel;
            let stride = g.window.stride[0];
            let groups = if g.groups == 1 { String::new() } else { format!(", {} groups", g.groups) };
            format!("{height}x{width}, stride {stride}{groups}, weights of {} bits", g.weight_bits)
        }
        LayerOp::Linear { inputs, outputs, weight_bits } => {
            format!("{inputs} to {outputs}, weights of {weight_bits} bits")
        }
        LayerOp::MaxPool(window) | LayerOp::AvgPool { window, .. } => {
            format!("{}x{}, stride {}", window.kernel[0], window.kernel[1], window.stride[0])
        }
        _ => String::new(),
    }
}

/// What the client's end of an inference counted, in one line.
pub fn summary(cost: PhaseCost, time: f64) -> String {
    traffic(cost, "round", time)
}

/// What one end of an inference counted, in one line.
pub fn traffic(cost: PhaseCost, rounds: &str, time: f64) -> String {
    format!(
        "{} to the client, {} to the server, {}, {}",
        bytes(cost.bytes_p0_to_p1),
        bytes(cost.bytes_p1_to_p0),
        plural(cost.rounds, rounds),
        seconds(time)
    )
}

/// Both phases together.
pub fn both(total: &Total) -> PhaseCost {
    total.preprocessing + total.online
}

fn has_preprocessing(total: &Total) -> bool {
    total.preprocessing != PhaseCost::default()
}

fn phase(cost: PhaseCost) -> [String; 3] {
    [megabytes(cost.bytes_p0_to_p1), megabytes(cost.bytes_p1_to_p0), cost.rounds.to_string()]
}
