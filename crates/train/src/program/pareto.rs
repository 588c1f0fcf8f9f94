use super::{Done, output};
use clap::Args;
use copriv_train::pareto::{Size, draw, groups, load, report, table};
use std::path::PathBuf;

/// Draw accuracy against bytes for all runs in some folders
///
/// Runs that differ in their seeds alone are one point, with the median and how far they are apart. The figure comes with the table behind it.
///
/// Example: copriv-train pareto runs --out pareto.png
#[derive(Args)]
pub struct Pareto {
    /// Folders of runs, or that have such below
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The figure: an .svg, or a .png with an .svg beside it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Pixels from the left to the right
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Pixels from the top to the bottom
    #[arg(long, default_value_t = 640)]
    height: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Pareto {
    pub fn run(&self) -> Done {
        let groups = groups(&load(&self.folders)?);
        if self.json {
            output::json(&serde_json::to_value(report(&groups)).unwrap_or_default());
        } else {
            output::line(&table(&groups));
        }
        if let Some(out) = &self.out {
            for file in draw(&groups, out, Size { width: self.width, height: self.height })? {
                output::remark(&format!("wrote {}", file.display()));
            }
        }
        Ok(())
    }
}
