//! The tables of costs in the README, written from what the program plans.

use serde_json::Value;
use std::fmt::Write;
use std::process::Command;

/// Help of the command.
pub const HELP: &str = "\
Writes the tables between `<!-- begin: NAME -->` and `<!-- end: NAME -->` in README.md from `copriv plan --json`.

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

/// Runs the command.
pub fn run(arguments: &[&str]) -> Result<bool, String> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => return Err(format!("unknown arguments {arguments:?}; see --help")),
    };
    let path = crate::root().join("README.md");
    let before = std::fs::read_to_string(&path).map_err(|e| format!("README.md: {e}"))?;
    let after = replace(&replace(&before, "digits", &layers("zoo:digits")?)?, "zoo", &kinds(&ZOO)?)?;
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

fn plan(model: &str) -> Result<Vec<Layer>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut program = Command::new(cargo);
    program.current_dir(crate::root()).args(["run", "--release", "--quiet", "--", "plan", model, "--json"]);
    let output = program.output().map_err(|e| format!("cargo run: {e}"))?;
    if !output.status.success() {
        return Err(format!("copriv plan {model}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let plan: Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("plan of {model}: {e}"))?;
    let layers = plan["layers"].as_array().ok_or("a plan without layers")?;
    layers
        .iter()
        .map(|layer| Layer::read(layer).ok_or_else(|| format!("a layer of {model}: {layer}")))
        .collect()
}

struct Layer {
    name: String,
    op: String,
    to_client: u64,
    to_server: u64,
    rounds: u64,
}

impl Layer {
    fn read(layer: &Value) -> Option<Self> {
        let both = |key: &str| Some(layer["preprocessing"][key].as_u64()? + layer["online"][key].as_u64()?);
        Some(Self {
            name: layer["name"].as_str()?.into(),
            op: layer["op"].as_str()?.into(),
            to_client: both("bytes_p0_to_p1")?,
            to_server: both("bytes_p1_to_p0")?,
            rounds: both("rounds")?,
        })
    }
}

/// A row for each layer of a network.
fn layers(model: &str) -> Result<String, String> {
    let layers = plan(model)?;
    let mut table =
        String::from("| layer | operation | bytes to the client | bytes to the server | rounds |\n");
    table += "| --- | --- | ---: | ---: | ---: |\n";
    let mut row = |name: &str, op: &str, a: u64, b: u64, rounds: u64| {
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {name} | {op} | {} | {} | {rounds} |", thousands(a), thousands(b));
    };
    layers.iter().for_each(|l| row(&l.name, &l.op, l.to_client, l.to_server, l.rounds));
    let sum = |f: fn(&Layer) -> u64| layers.iter().map(f).sum();
    row("total", "", sum(|l| l.to_client), sum(|l| l.to_server), sum(|l| l.rounds));
    Ok(table)
}

/// A row for each network, a column for each kind of operation, in GB.
fn kinds(models: &[&str]) -> Result<String, String> {
    let columns: [(&str, &[&str]); 4] = [
        ("conv and linear", &["conv", "linear"]),
        ("truncation", &["truncate"]),
        ("ReLU", &["relu", "relu6", "clip"]),
        ("pooling", &["maxpool", "avgpool"]),
    ];
    let mut table = String::from("| network |");
    columns.iter().for_each(|(name, _)| table += &format!(" {name} |"));
    table += " total | rounds |\n| --- |";
    table += &" ---: |".repeat(columns.len() + 2);
    table += "\n";
    for model in models {
        let layers = plan(model)?;
        let bytes = |ops: &[&str]| {
            let of_kind = layers.iter().filter(|l| ops.is_empty() || ops.contains(&l.op.as_str()));
            of_kind.map(|l| l.to_client + l.to_server).sum::<u64>() as f64 / 1e9
        };
        table += &format!("| {model} |");
        columns.iter().for_each(|(_, ops)| table += &format!(" {:.3} |", bytes(ops)));
        let rounds: u64 = layers.iter().map(|l| l.rounds).sum();
        table += &format!(" {:.3} | {rounds} |\n", bytes(&[]));
    }
    Ok(table)
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
    fn only_what_is_between_the_marks_changes() {
        let text = "a\n<!-- begin: t -->\nold\n<!-- end: t -->\nb\n";
        let new = "a\n<!-- begin: t -->\nnew\n<!-- end: t -->\nb\n";
        assert_eq!(replace(text, "t", "new\n").as_deref(), Ok(new));
        assert!(replace(text, "u", "").is_err());
    }
}
