//! The table of the experiments is that of their results.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use copriv_train::pareto::{groups, load, table};
use std::path::Path;

#[test]
fn the_table_is_of_the_results() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let text = std::fs::read_to_string(docs.join("optimize.md")).unwrap();
    let (_, after) = text.split_once("<!-- begin: pareto -->\n").unwrap();
    let (shown, _) = after.split_once("\n<!-- end: pareto -->").unwrap();
    let results = table(&groups(&load(&[docs.join("pareto")]).unwrap()));
    assert_eq!(
        shown.trim_end(),
        results.trim_end(),
        "run tools/pareto/experiments.sh, or put its table in docs/optimize.md"
    );
}
