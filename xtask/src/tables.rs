//! The tables of costs in the README, written from what the program plans and counts.

use serde_json::Value;
use std::fmt::Write;
use std::process::Command;

/// Help of the command.
pub const HELP: &str = "\
Writes the tables between `<!-- begin: NAME -->` and `<!-- end: NAME -->` in README.md from `copriv plan --json`
and `copriv bench counts --json`.

  --check   writes nothing and fails when a table is not what it would write
";

const ZOO: [&str; 8] = [
    "zoo:minionn-cifar10",
    "zoo:squeezenet-cifar10",
    "zoo:resnet20-cifar10",
    "zoo:resnet32-cifar100",
    "zoo:resnet18-cifar100",
    "zoo:resnet18-tinyimagenet",
    "zoo:mobilenetv2-cifar100",
    "zoo:mobilenetv2-imagenet",
];

/// The rings of the table of operations.
const WIDTHS: [u64; 2] = [41, 32];

/// What the code of others sends for an operation.
struct Other {
    operation: &'static str,
    /// The row it stands in.
    width: u64,
    whose: &'static str,
    /// The ring it was measured in.
    ring: u64,
    /// Both directions together.
    bits: f64,
}

/// Measured with their code, the bytes of both directions: 65,536 ReLUs and truncations, the 16,384 windows of a map of 32x32x64,
/// one argmax.
const OTHERS: [Other; 14] = [
    other("ReLU", 41, CRYPTFLOW2, 41, 44_007_424, 65_536),
    other("ReLU", 41, OPENCHEETAH, 37, 3_719_248, 65_536),
    other("ReLU", 32, SPU, 32, 3_194_880, 65_536),
    other("truncation by 12", 41, CRYPTFLOW2, 41, 55_083_008, 65_536),
    other("truncation by 12, one comparison", 41, CRYPTFLOW2, 41, 47_325_184, 65_536),
    // Of this one bits are known.
    other("truncation by 12, x >= 0 known, last bit may be off", 41, OPENCHEETAH, 37, 20, 8),
    other("truncation by 12, x >= 0 known, last bit may be off", 41, SPU, 64, 139_264, 65_536),
    other("ReLU, then truncation by 12", 41, CRYPTFLOW2, 41, 58_523_648, 65_536),
    other("max pool 2x2", 41, CRYPTFLOW2, 41, 33_005_568, 16_384),
    other("max pool 2x2", 41, OPENCHEETAH, 37, 2_789_616, 16_384),
    other("max pool 2x2", 41, SPU, 64, 4_841_472, 16_384),
    other("argmax of 100", 41, CRYPTFLOW2, 41, 223_704, 1),
    other("argmax of 100", 41, OPENCHEETAH, 37, 15_622, 1),
    other("argmax of 100", 41, SPU, 64, 36_448, 1),
];

const CRYPTFLOW2: &str = "CrypTFlow2";
const OPENCHEETAH: &str = "OpenCheetah";
const SPU: &str = "SPU";

const fn other(
    operation: &'static str,
    width: u64,
    whose: &'static str,
    ring: u64,
    bytes: u64,
    count: u64,
) -> Other {
    Other { operation, width, whose, ring, bits: (8 * bytes) as f64 / count as f64 }
}

/// Runs the command.
pub fn run(arguments: &[&str]) -> Result<bool, String> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => return Err(format!("unknown arguments {arguments:?}; see --help")),
    };
    let path = crate::root().join("README.md");
    let before = std::fs::read_to_string(&path).map_err(|e| format!("README.md: {e}"))?;
    let tables = [("digits", layers("zoo:digits")?), ("zoo", suites(&ZOO)?), ("operations", operations()?)];
    let after = tables.iter().try_fold(before.clone(), |text, (name, table)| replace(&text, name, table))?;
    if before == after {
        println!("tables: README.md is up to date");
        return Ok(true);
    }
    if check {
        println!("tables: README.md is not what `cargo xtask tables` would write: run it");
        return Ok(false);
    }
    std::fs::write(&path, after).map_err(|e| format!("README.md: {e}"))?;
    println!("tables: README.md written");
    Ok(true)
}

/// `text` with what stands between the marks of `name` replaced by `table`.
fn replace(text: &str, name: &str, table: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let parts = text.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) = parts.ok_or_else(|| format!("README.md has no marks for the table {name}"))?;
    Ok(format!("{head}{begin}{table}{end}{tail}"))
}

/// What `copriv plan` prints of `model` as JSON with further `options`.
fn plan(model: &str, options: &[&str]) -> Result<Value, String> {
    copriv(&[&["plan", model], options].concat())
}

/// What the program prints as JSON.
fn copriv(arguments: &[&str]) -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut program = Command::new(cargo);
    program.current_dir(crate::root()).args(["run", "--release", "--quiet", "--"]);
    let output = program.args(arguments).arg("--json").output().map_err(|e| format!("cargo run: {e}"))?;
    let command = || format!("copriv {}", arguments.join(" "));
    if !output.status.success() {
        return Err(format!("{}: {}", command(), String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| format!("{}: {e}", command()))
}

/// What one phase, or both, put on the wire.
#[derive(Clone, Copy, Default)]
struct Sent {
    to_client: u64,
    to_server: u64,
    rounds: u64,
}

impl Sent {
    fn read(phase: &Value) -> Option<Self> {
        let number = |key: &str| phase[key].as_u64();
        let (to_client, to_server) = (number("bytes_p0_to_p1")?, number("bytes_p1_to_p0")?);
        Some(Self { to_client, to_server, rounds: number("rounds")? })
    }

    /// Of something with both phases: each.
    fn phases(value: &Value) -> Option<[Self; 2]> {
        Some([Self::read(&value["preprocessing"])?, Self::read(&value["online"])?])
    }

    fn bytes(self) -> u64 {
        self.to_client + self.to_server
    }
}

/// A row for each layer of a network, a group of columns for each phase.
fn layers(model: &str) -> Result<String, String> {
    let plan = plan(model, &["--suite", "best"])?;
    let mut table = String::from(
        "| layer | operation | protocol | before: bytes to the client | to the server | rounds \
         | online: bytes to the client | to the server | rounds |\n",
    );
    table += "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    let mut row = |words: [&str; 3], phases: [Sent; 2]| {
        let cells = phases.map(|Sent { to_client, to_server, rounds }| {
            format!("{} | {} | {rounds}", thousands(to_client), thousands(to_server))
        });
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {} | {} |", words.join(" | "), cells.join(" | "));
    };
    for layer in plan["layers"].as_array().ok_or("a plan without layers")? {
        let read = || {
            let words = [layer["name"].as_str()?, layer["op"].as_str()?, layer["protocol"].as_str()?];
            Some((words, Sent::phases(layer)?))
        };
        let (words, phases) = read().ok_or_else(|| format!("a layer of {model}: {layer}"))?;
        row(words, phases);
    }
    let total = Sent::phases(&plan["total"]).ok_or_else(|| format!("the total of {model}"))?;
    row(["total", "", ""], total);
    Ok(table)
}

/// A row for each network: GB and rounds under each suite.
fn suites(models: &[&str]) -> Result<String, String> {
    let mut table = String::new();
    for model in models {
        let plan = plan(model, &["--compare"])?;
        let suites = plan["suites"].as_array().ok_or("a comparison without suites")?;
        if table.is_empty() {
            table = header(suites);
        }
        let cells: Option<String> = suites.iter().map(cells).collect();
        table += &format!("| {model} |{}\n", cells.ok_or_else(|| format!("a suite of {model}: {plan}"))?);
    }
    Ok(table)
}

/// The columns of [`suites`].
fn header(suites: &[Value]) -> String {
    let mut titles = String::from("| network |");
    let mut lines = String::from("| --- |");
    for suite in suites {
        let name = suite["suite"].as_str().unwrap_or_default();
        let columns: &[&str] = match preprocesses(suite) {
            true => &["conv", "total", "before", "online", "rounds"],
            false => &["conv", "total", "rounds"],
        };
        titles += &format!(" {name}: {} |", columns.join(" | "));
        lines += &" ---: |".repeat(columns.len());
    }
    format!("{titles}\n{lines}\n")
}

/// One suite's part of a row.
fn cells(suite: &Value) -> Option<String> {
    let [before, online] = Sent::phases(&suite["total"])?;
    let conv = suite["kinds"].as_array()?.iter().find(|kind| kind["kind"] == "conv_linear")?;
    let [conv_before, conv_online] = Sent::phases(conv)?;
    let gb = |bytes: u64| format!(" {:.3} |", bytes as f64 / 1e9);
    let mut cells = gb(conv_before.bytes() + conv_online.bytes()) + &gb(before.bytes() + online.bytes());
    if preprocesses(suite) {
        cells += &(gb(before.bytes()) + &gb(online.bytes()));
    }
    cells += &format!(" {} |", before.rounds + online.rounds);
    Some(cells)
}

fn preprocesses(suite: &Value) -> bool {
    suite["suite"] != "cryptflow2"
}

/// A row for each operation in each ring: bits and rounds with the OTs of the baseline and of `best`, and bits of others' code.
fn operations() -> Result<String, String> {
    let counts = copriv(&["bench", "counts"])?;
    let rows = counts["rows"].as_array().ok_or("counts without rows")?;
    let drawn = counts["drawn"]["bits_each"].as_f64().ok_or("counts without the price of an OT")?;
    let mut table = format!(
        "| operation | l | cryptflow2: bits | rounds | best: bits before (OTs at {drawn:.2}) | online | total | rounds \
         | others: bits |\n"
    );
    table += "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n";
    for pair in rows.chunks(2).filter(|pair| WIDTHS.iter().any(|&width| pair[0]["width"] == width)) {
        table += &operation(pair).ok_or_else(|| format!("an operation: {pair:?}"))?;
    }
    Ok(table)
}

/// One row of [`operations`], from those of the baseline and of `best`.
fn operation(pair: &[Value]) -> Option<String> {
    let [baseline, best] = pair else { return None };
    let same = |key| (baseline[key] == best[key]).then_some(&best[key]);
    let (name, width) = (same("operation")?.as_str()?, same("width")?.as_u64()?);
    if (&baseline["suite"], &best["suite"]) != (&"cryptflow2".into(), &"best".into()) {
        return None;
    }
    let number = |row: &Value, key: &str| row[key].as_f64().map(bits);
    let others: Vec<String> =
        OTHERS.iter().filter(|o| (o.operation, o.width) == (name, width)).map(Other::cell).collect();
    Some(format!(
        "| {name} | {width} | {} | {} | {} | {} | {} | {} | {} |\n",
        number(baseline, "bits")?,
        baseline["rounds"].as_u64()?,
        number(best, "bits_before")?,
        number(best, "bits_online")?,
        number(best, "bits")?,
        best["rounds"].as_u64()?,
        others.join("; "),
    ))
}

impl Other {
    fn cell(&self) -> String {
        let Self { whose, ring, .. } = *self;
        let place = if ring == self.width { String::new() } else { format!(" (l = {ring})") };
        format!("{} {whose}{place}", bits(self.bits))
    }
}

/// Few bits with a decimal, many in thousands.
fn bits(bits: f64) -> String {
    if bits < 1000.0 { format!("{bits:.1}") } else { thousands(bits.round() as u64) }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let groups = digits.as_bytes()[head..].chunks(3).map(|g| String::from_utf8_lossy(g).into_owned());
    let first = (head > 0).then(|| digits[..head].to_owned());
    first.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_groups() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(thousands), ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_suite_in_gigabytes() {
        let phase = |gb: u64| serde_json::json!({"bytes_p0_to_p1": gb * 1_000_000_000, "bytes_p1_to_p0": 0, "rounds": 7});
        let suite = |name: &str| {
            let kind =
                serde_json::json!({"kind": "conv_linear", "preprocessing": phase(1), "online": phase(0)});
            let total = serde_json::json!({"preprocessing": phase(2), "online": phase(3)});
            serde_json::json!({"suite": name, "kinds": [kind], "total": total})
        };
        assert_eq!(cells(&suite("best")).as_deref(), Some(" 1.000 | 5.000 | 2.000 | 3.000 | 14 |"));
        assert_eq!(cells(&suite("cryptflow2")).as_deref(), Some(" 1.000 | 5.000 | 14 |"));
        assert_eq!(cells(&Value::Null), None);
    }

    #[test]
    fn an_operation_beside_those_of_others() {
        let row = |suite: &str, before: f64, online: f64, width: u64| {
            let [operation, bits] = [Value::from("ReLU"), Value::from(before + online)];
            serde_json::json!({"operation": operation, "suite": suite, "width": width, "bits_before": before,
                "bits_online": online, "bits": bits, "rounds": 7})
        };
        let table = operation(&[row("cryptflow2", 0.0, 5274.6, 41), row("best", 63.1, 345.3, 41)]);
        let others = "5,372 CrypTFlow2; 454.0 OpenCheetah (l = 37)";
        assert_eq!(table, Some(format!("| ReLU | 41 | 5,275 | 7 | 63.1 | 345.3 | 408.4 | 7 | {others} |\n")));
        let table = operation(&[row("cryptflow2", 0.0, 10.0, 32), row("best", 1.0, 2.0, 32)]);
        assert!(table.is_some_and(|row| row.ends_with("| 390.0 SPU |\n")));
        // Of one suite, or of two rings.
        assert_eq!(operation(&[row("best", 1.0, 2.0, 41), row("best", 1.0, 2.0, 41)]), None);
        assert_eq!(operation(&[row("cryptflow2", 1.0, 2.0, 41), row("best", 1.0, 2.0, 32)]), None);
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = "a\n<!-- begin: t -->\nold\n<!-- end: t -->\nb\n";
        let new = "a\n<!-- begin: t -->\nnew\n<!-- end: t -->\nb\n";
        assert_eq!(replace(text, "t", "new\n").as_deref(), Ok(new));
        assert!(replace(text, "u", "").is_err());
    }
}
