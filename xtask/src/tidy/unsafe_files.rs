//! Files with unsafe code say why at their head, and are listed.

use super::Finding;
use crate::source::{Attribute, Kind, Source};
use std::collections::BTreeSet;

/// The list, relative to the root.
pub const LIST: &str = "xtask/unsafe-files.txt";

const BLESS: &str = "run `cargo xtask tidy --bless` and have the change reviewed";

/// The list as it should be.
pub fn list(sources: &[Source<'_>]) -> String {
    let head = "# The files with unsafe code. Written by `cargo xtask tidy --bless`; a new line here is to be reviewed.\n";
    let paths = sources.iter().filter(|s| unsafe_line(s).is_some()).map(|s| format!("{}\n", s.path));
    std::iter::once(head.to_owned()).chain(paths).collect()
}

pub fn check(sources: &[Source<'_>], listed: &str) -> Vec<Finding> {
    let listed: BTreeSet<&str> =
        listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut findings = Vec::new();
    let mut found = BTreeSet::new();
    for source in sources {
        let attributes = source.attributes();
        let lifts: Vec<&Attribute> = attributes.iter().filter(|a| lifts_lint(source, a)).collect();
        let head = source.head();
        let opens = |a: &&Attribute| a.inner && a.tokens.end < head && has_reason(source, a);
        for attribute in lifts.iter().filter(|a| !opens(a)) {
            let what = "the lint on unsafe code is lifted in the middle of a file or without a reason";
            let remedy = "move the code to a file that opens with #![expect(unsafe_code, reason = \"...\")]";
            findings.push(Finding::new(source.path, attribute.line, what, remedy));
        }
        let Some(line) = unsafe_line(source) else { continue };
        found.insert(source.path);
        if !lifts.iter().any(opens) {
            let remedy = "open the file with #![expect(unsafe_code, reason = \"...\")]";
            findings.push(Finding::new(
                source.path,
                line,
                "unsafe code in a file that does not say why",
                remedy,
            ));
        }
        if !listed.contains(source.path) {
            findings.push(Finding::new(
                source.path,
                line,
                format!("unsafe code in a file not in {LIST}"),
                BLESS,
            ));
        }
    }
    for path in listed.difference(&found) {
        findings.push(Finding::new(LIST, 0, format!("{path} has no unsafe code"), BLESS));
    }
    findings
}

fn unsafe_line(source: &Source<'_>) -> Option<usize> {
    source.tokens.iter().find(|t| t.kind == Kind::Ident && t.text == "unsafe").map(|t| t.line)
}

fn lifts_lint(source: &Source<'_>, attribute: &Attribute) -> bool {
    let tokens = &source.tokens[attribute.tokens.clone()];
    tokens.iter().any(|t| t.is("unsafe_code"))
        && tokens.iter().any(|t| t.is("allow") || t.is("expect") || t.is("warn"))
}

fn has_reason(source: &Source<'_>, attribute: &Attribute) -> bool {
    let tokens = &source.tokens[attribute.tokens.clone()];
    tokens.iter().any(|t| t.is("expect")) && tokens.iter().any(|t| t.is("reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "//! Fast.\n#![expect(unsafe_code, reason = \"vector instructions\")]\nfn f() { unsafe { g() } }\n";

    fn faults(text: &str, listed: &str) -> Vec<String> {
        check(&[Source::new("crates/a/src/x.rs", text)], listed).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn good_files_pass() {
        assert_eq!(faults(GOOD, "# head\ncrates/a/src/x.rs\n"), [""; 0]);
        assert_eq!(faults("// unsafe\nfn f() { \"unsafe\"; }", ""), [""; 0]);
        let sources = [Source::new("crates/a/src/x.rs", GOOD), Source::new("b.rs", "fn f() {}")];
        assert_eq!(check(&sources, &list(&sources)), []);
    }

    #[test]
    fn an_unlisted_file_is_found() {
        let found = faults(GOOD, "");
        assert!(
            found.len() == 1 && found[0].starts_with("crates/a/src/x.rs:3: unsafe code in a file not in"),
            "{found:?}"
        );
    }

    #[test]
    fn a_file_listed_for_nothing_is_found() {
        let found = faults("fn f() {}", "crates/a/src/x.rs");
        assert!(found.len() == 1 && found[0].contains("crates/a/src/x.rs has no unsafe code"), "{found:?}");
    }

    #[test]
    fn a_file_that_does_not_say_why_is_found() {
        let listed = "crates/a/src/x.rs";
        assert_eq!(faults("fn f() { unsafe { g() } }", listed).len(), 1);
        assert_eq!(faults("#![expect(unsafe_code)]\nunsafe fn f() {}", listed).len(), 2);
        assert_eq!(
            faults("use a;\n#[allow(unsafe_code, reason = \"x\")]\nunsafe fn f() {}", listed).len(),
            2
        );
    }
}
