//! Plans, reports and architectures as tables.

use crate::format::{bytes, megabytes, milliseconds, plural, seconds};
use crate::labels::Named;
use crate::party::Inference;
use crate::table::Column::{self, Number, Words};
use crate::table::Table;
use copriv_ir::{Architecture, Layer, LayerOp};
use copriv_runner::{PhaseCost, Plan, Report, Total};

/// Every layer of a plan: what runs it and what it costs in each phase.
pub fn plan(plan: &Plan) -> Table {
    let phases = has_preprocessing(&plan.total);
    let mut table = Table::new(&[&[Words("layer"), Words("op"), Words("protocol")], costs(phases)].concat());
    let rows = plan.layers.iter().map(|l| {
        (
            [l.name.clone(), l.op.clone(), l.protocol.clone()],
            Total { preprocessing: l.preprocessing, online: l.online },
        )
    });
    let total = ["total".into(), String::new(), String::new()];
    for (words, cost) in rows.chain([(total, plan.total)]) {
        table.row(words.into_iter().chain(cells(phases, cost)));
    }
    table
}

/// The columns of a cost: of each phase where there are two, of each direction where there is one.
fn costs(phases: bool) -> &'static [Column<'static>] {
    match phases {
        true => {
            &[Number("before\nMB"), Number("before\nrounds"), Number("online\nMB"), Number("online\nrounds")]
        }
        false => &[Number("P0→P1\nMB"), Number("P1→P0\nMB"), Number("rounds")],
    }
}

fn cells(phases: bool, Total { preprocessing, online }: Total) -> Vec<String> {
    match phases {
        true => [preprocessing, online]
            .into_iter()
            .flat_map(|cost| [megabytes(cost.bytes()), cost.rounds.to_string()])
            .collect(),
        false => phase(online).into(),
    }
}

/// The sums over the layers of each kind, the dearest first.
pub fn kinds(plan: &Plan) -> Table {
    let phases = has_preprocessing(&plan.total);
    let words: &[Column<'_>] = &[Words("op"), Number("layers")];
    let mut table = Table::new(&[words, costs(phases), &[Number("share")]].concat());
    let mut kinds: Vec<(&str, u64, Total)> = Vec::new();
    for layer in &plan.layers {
        match kinds.iter_mut().find(|(op, ..)| *op == layer.op) {
            Some((_, layers, sum)) => {
                *layers += 1;
                sum.preprocessing = sum.preprocessing + layer.preprocessing;
                sum.online = sum.online + layer.online;
            }
            None => {
                let cost = Total { preprocessing: layer.preprocessing, online: layer.online };
                kinds.push((&layer.op, 1, cost));
            }
        }
    }
    kinds.sort_by_key(|(.., cost)| std::cmp::Reverse(both(cost).bytes()));
    kinds.push(("total", plan.layers.len() as u64, plan.total));
    for (op, layers, cost) in kinds {
        let share = 100.0 * both(&cost).bytes() as f64 / both(&plan.total).bytes().max(1) as f64;
        let mut row = vec![op.to_owned(), layers.to_string()];
        row.extend(cells(phases, cost));
        row.push(format!("{share:.1} %"));
        table.row(row);
    }
    table
}

/// Every layer of an inference: what was counted, and whether it is what the plan says.
pub fn inference(inference: &Inference) -> Table {
    let Inference { plan, report, .. } = inference;
    let phases = has_preprocessing(&report.total);
    let words: &[Column<'_>] = &[Words("layer"), Words("protocol")];
    let mut table = Table::new(&[words, costs(phases), &[Words("as\nplanned"), Number("ms")]].concat());
    let verdict = |planned: Total, counted: Total| match planned == counted {
        true => "✓".to_owned(),
        false => format!("✗ planned {} B", both(&planned).bytes()),
    };
    for (planned, counted) in plan.layers.iter().zip(&report.layers) {
        let cost = Total { preprocessing: counted.preprocessing, online: counted.online };
        let foreseen = Total { preprocessing: planned.preprocessing, online: planned.online };
        let mut row = vec![counted.name.clone(), planned.protocol.clone()];
        row.extend(cells(phases, cost));
        let time = counted.preprocessing_seconds + counted.online_seconds;
        row.extend([verdict(foreseen, cost), milliseconds(time)]);
        table.row(row);
    }
    let mut row = vec!["total".to_owned(), String::new()];
    row.extend(cells(phases, report.total));
    row.extend([verdict(plan.total, report.total), milliseconds(report.seconds)]);
    table.row(row);
    table
}

/// The layers that a server has told of; what has no cost of its own is left out.
pub fn architecture(architecture: &Architecture) -> Table {
    let mut table = Table::new(&[Words("layer"), Words("op"), Words("output"), Words("")]);
    for layer in &architecture.layers {
        if !matches!(layer.op, LayerOp::Truncate { .. } | LayerOp::Shift { .. } | LayerOp::Flatten) {
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
        _ if layer.keep.is_some() => format!("of {} of {} elements", layer.kept(), layer.shape.len()),
        _ => String::new(),
    }
}

/// What the client's end of an inference counted, in one line.
pub fn summary(report: &Report) -> String {
    phases(report, "round")
}

/// What one end of an inference counted, in one line: in each phase in which anything was sent. `rounds` is what this end
/// calls one.
pub fn phases(report: &Report, rounds: &str) -> String {
    let Total { preprocessing, online } = report.total;
    if preprocessing == PhaseCost::default() || online == PhaseCost::default() {
        let cost = preprocessing + online;
        return format!(
            "{} to the client, {} to the server, {}, {}",
            bytes(cost.bytes_p0_to_p1),
            bytes(cost.bytes_p1_to_p0),
            plural(cost.rounds, rounds),
            seconds(report.seconds)
        );
    }
    let phase = |cost: PhaseCost, time| {
        format!("{}, {}, {}", bytes(cost.bytes()), plural(cost.rounds, rounds), seconds(time))
    };
    format!(
        "before the input: {}; online: {}",
        phase(preprocessing, report.preprocessing_seconds),
        phase(online, report.online_seconds)
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

/// A class with its name, if it has one.
pub fn label(label: usize, name: Option<&str>) -> String {
    name.map_or_else(|| format!("label {label}"), |name| format!("label {label}: {name}"))
}

/// The largest logits, a line each.
pub fn top(top: &[Named<'_>]) -> String {
    let line = |Named { index, logit, name }: &Named<'_>| {
        format!("  {index:>5}  {logit:+.4}  {}", name.unwrap_or_default())
    };
    top.iter().map(line).collect::<Vec<_>>().join("\n")
}
