//! What people and programs read.

use comfy_table::{CellAlignment, Table, presets};
use copriv_train::Error;
use std::io::Write;

/// A line on standard output; that nobody reads it any more is no error.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// An error on standard error, with what it comes from.
pub fn error(e: &Error) {
    let _ = writeln!(std::io::stderr(), "error: {e}");
}

/// A remark on standard error.
pub fn remark(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Any value as JSON.
pub fn json(value: &serde_json::Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")));
}

/// A table of which all columns but the first are numbers.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.style_mut().row_separator = comfy_table::LineStyle::none();
    table.set_header(header.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    rows.iter().for_each(|row| {
        table.add_row(row.clone());
    });
    line(&table.trim_fmt());
}

/// Bytes with three digits and a unit.
pub fn bytes(bytes: u64) -> String {
    copriv_train::pareto::bytes(bytes as f64)
}

/// A part of 1 in percent.
pub fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}
