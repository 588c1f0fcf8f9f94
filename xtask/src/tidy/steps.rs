//! A protocol's ladder and the marks in its code name the same steps.

use super::Finding;
use crate::source::{Kind, Source};
use std::collections::BTreeMap;

/// What the docs of a protocol have, in this order.
const HEADINGS: [&str; 6] = ["Functionality", "Protocol", "Cost", "Security", "Reference", "Deviations"];

/// Steps by name, with a line each.
type Steps<'a> = BTreeMap<&'a str, usize>;

pub fn check(sources: &[Source<'_>]) -> Vec<Finding> {
    sources.iter().flat_map(check_file).collect()
}

fn check_file(source: &Source<'_>) -> Vec<Finding> {
    let docs: Vec<(usize, &str)> = source.module_docs().iter().map(|t| (t.line, t.text.trim())).collect();
    let Some(&(protocol, _)) = docs.iter().find(|(_, line)| *line == "# Protocol") else { return Vec::new() };
    let mut findings = headings(source.path, protocol, &docs);
    let mut fault = |line, what: String, remedy: String| {
        findings.push(Finding::new(source.path, line, what, remedy));
    };
    let (ladder, marks) = (ladder(&docs), marks(source));
    if ladder.is_empty() {
        fault(
            protocol,
            "the protocol has no ladder".to_owned(),
            "add a table with the columns step, first party, wire, second party".to_owned(),
        );
        return findings;
    }
    for (step, &line) in ladder.iter().filter(|(step, _)| !marks.contains_key(*step)) {
        let remedy =
            format!("put // ({step}) at the end of the line that does it, or take it out of the table");
        fault(line, format!("no code is marked with step {step}"), remedy);
    }
    for (step, &line) in marks.iter().filter(|(step, _)| !ladder.contains_key(*step)) {
        let remedy = "add the step to the table or correct the mark".to_owned();
        fault(line, format!("the ladder has no step {step}"), remedy);
    }
    let numbers: std::collections::BTreeSet<usize> = ladder.keys().filter_map(|step| number(step)).collect();
    if let Some(missing) = (1..=numbers.len()).find(|n| !numbers.contains(n)) {
        let remedy = "number the steps from 1 without gaps".to_owned();
        fault(protocol, format!("the ladder leaves out step {missing}"), remedy);
    }
    findings
}

fn headings(path: &str, protocol: usize, docs: &[(usize, &str)]) -> Vec<Finding> {
    let order = || format!("the order is {}", HEADINGS.join(", "));
    let mut findings = Vec::new();
    let mut last = 0;
    for heading in HEADINGS {
        let found = docs.iter().position(|(_, line)| line.strip_prefix("# ") == Some(heading));
        let Some(at) = found else {
            findings.push(Finding::new(
                path,
                protocol,
                format!("the docs have no heading {heading}"),
                order(),
            ));
            continue;
        };
        let body = docs[at + 1..].iter().take_while(|(_, line)| !line.starts_with("# "));
        if body.clone().all(|(_, line)| line.is_empty()) {
            let remedy = "say what there is to say, or None";
            findings.push(Finding::new(
                path,
                docs[at].0,
                format!("nothing follows heading {heading}"),
                remedy,
            ));
        }
        if at < last {
            let what = format!("heading {heading} is out of place");
            findings.push(Finding::new(path, docs[at].0, what, order()));
        }
        last = last.max(at);
    }
    findings
}

/// The steps of the tables under `# Protocol` whose first column is called step.
fn ladder<'a>(docs: &[(usize, &'a str)]) -> Steps<'a> {
    let mut steps = Steps::new();
    let (mut protocol, mut table) = (false, false);
    for &(number, line) in docs {
        if let Some(heading) = line.strip_prefix("# ") {
            protocol = heading == "Protocol";
        }
        let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()).map(str::trim) else {
            table = false;
            continue;
        };
        table |= cell == "step";
        if protocol && table && is_step(cell) {
            steps.entry(cell).or_insert(number);
        }
    }
    steps
}

/// The steps that comments like `// (2)` name, several as `// (2), (3)`, with or without words after them.
fn marks<'a>(source: &Source<'a>) -> Steps<'a> {
    let mut steps = Steps::new();
    for token in source.tokens.iter().filter(|t| t.kind == Kind::Comment) {
        let mut rest = token.text.trim_start();
        while let Some((step, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            if !is_step(step) {
                break;
            }
            steps.entry(step).or_insert(token.line);
            rest = after.trim_start_matches([',', ' ']);
        }
    }
    steps
}

/// A number, with a letter where a step has variants.
fn is_step(text: &str) -> bool {
    number(text).is_some()
}

fn number(text: &str) -> Option<usize> {
    text.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
//! A protocol.
//!
//! # Functionality
//! x
//! # Protocol
//! | step | P0 | wire | P1 |
//! |------|----|------|----|
//! | 1    | a  | →    |    |
//! |      | still 1 | |    |
//! | 2a   |    |      | b  |
//! | 2b   |    |      | b  |
//!
//! # Cost
//! x
//! # Security
//! | 7 | another table |
//! # Reference
//! x
//! # Deviations
//! None.

fn f() {
    a(); // (1)
    b(); // (2a), (2b) words
    // (of the citation) (9)
}
";

    fn faults(text: &str) -> Vec<String> {
        check(&[Source::new("p.rs", text)]).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_good_file_passes() {
        assert_eq!(faults(GOOD), [""; 0]);
        assert_eq!(faults("//! No protocol here.\nfn f() {} // (3)\n"), [""; 0]);
    }

    #[test]
    fn a_step_without_mark_is_found() {
        let found = faults(&GOOD.replace("// (1)", ""));
        assert!(
            found.len() == 1 && found[0].starts_with("p.rs:8: no code is marked with step 1"),
            "{found:?}"
        );
    }

    #[test]
    fn a_mark_without_step_is_found() {
        let found = faults(&GOOD.replace("// (1)", "// (1) (3)"));
        assert!(found.len() == 1 && found[0].starts_with("p.rs:23: the ladder has no step 3"), "{found:?}");
    }

    #[test]
    fn a_gap_in_the_numbers_is_found() {
        let found = faults(&GOOD.replace("| 2", "| 3").replace("(2", "(3"));
        assert!(found.len() == 1 && found[0].contains("leaves out step 2"), "{found:?}");
    }

    #[test]
    fn missing_empty_and_misplaced_headings_are_found() {
        assert!(faults(&GOOD.replace("# Cost", "# Price"))[0].contains("no heading Cost"));
        assert!(faults(&GOOD.replace("//! None.\n", ""))[0].contains("nothing follows heading Deviations"));
        let swapped =
            GOOD.replace("# Cost", "# C").replace("# Security", "# Cost").replace("# C\n", "# Security\n");
        assert!(faults(&swapped)[0].contains("heading Security is out of place"));
    }

    #[test]
    fn a_protocol_without_ladder_is_found() {
        let found = faults(&GOOD.replace("| step", "| stop"));
        assert!(found.len() == 1 && found[0].contains("has no ladder"), "{found:?}");
    }
}
