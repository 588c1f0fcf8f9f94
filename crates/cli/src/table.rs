//! Tables for a terminal: words to the left, numbers to the right.

use comfy_table::{CellAlignment, Table as Drawn, presets};
use std::fmt;

/// How a column is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// To the left.
    Words(&'a str),
    /// To the right.
    Number(&'a str),
}

/// A table that grows row by row.
pub struct Table(Drawn);

impl Table {
    /// A table with these columns and no row.
    pub fn new(columns: &[Column<'_>]) -> Self {
        let mut table = Drawn::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.style_mut().row_separator = comfy_table::LineStyle::none();
        let title = |column: &Column<'_>| match *column {
            Column::Words(title) | Column::Number(title) => title.to_owned(),
        };
        table.set_header(columns.iter().map(title).collect::<Vec<_>>());
        for (drawn, column) in table.column_iter_mut().zip(columns) {
            // With the place of the absent line, two spaces between columns.
            drawn.set_padding((0, 1));
            if let Column::Number(_) = column {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self(table)
    }

    /// Appends a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.0.add_row(cells.into_iter().map(Into::into).collect::<Vec<String>>());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.trim_fmt())
    }
}
