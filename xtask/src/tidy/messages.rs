//! Message tags are unique in the workspace, message names in their crate, and each message says what it holds.

use super::Finding;
use crate::source::{Kind, Source, doctests};
use std::collections::BTreeMap;

/// Tags from here on are for tests and examples, which may share them.
const TESTS: u16 = 0xFF00;

const TAG_FORM: &str = "write tags as 0x and four upper-case digits";

/// One message of a `messages!` block.
struct Message<'a> {
    path: &'a str,
    line: usize,
    name: String,
    kind: String,
    tag: String,
    doc: String,
    /// In a test, bench, fuzz target or example.
    test: bool,
}

impl Message<'_> {
    /// The tag's value, where it is written as it should be.
    fn value(&self) -> Option<u16> {
        let digits = self.tag.strip_prefix("0x").filter(|digits| digits.len() == 4)?;
        u16::from_str_radix(digits, 16).ok().filter(|_| !digits.contains(|c: char| c.is_ascii_lowercase()))
    }

    /// `crates/x` of a file there, else the first folder.
    fn package(&self) -> &str {
        let depth = if self.path.starts_with("crates/") { 2 } else { 1 };
        self.path.match_indices('/').nth(depth - 1).map_or("", |(at, _)| &self.path[..at])
    }
}

pub fn check(sources: &[Source<'_>]) -> Vec<Finding> {
    let (tests, messages): (Vec<_>, Vec<_>) = sources.iter().flat_map(messages).partition(|m| m.test);
    let mut findings = Vec::new();
    let mut tags: BTreeMap<u16, &Message<'_>> = BTreeMap::new();
    let mut names: BTreeMap<(&str, &str), &Message<'_>> = BTreeMap::new();
    for message in &messages {
        let Message { path, line, name, tag, .. } = message;
        let mut fault = |what: String, remedy: &str| findings.push(Finding::new(path, *line, what, remedy));
        let Some(value) = message.value() else {
            fault(format!("{name} has the tag {tag}"), TAG_FORM);
            continue;
        };
        if value >= TESTS {
            fault(format!("{name} has tag {tag}"), "tags from 0xFF00 on are for tests; take one below");
        }
        if message.doc.is_empty() {
            fault(format!("{name} has no documentation"), "say with /// what it holds");
        }
        if let Some(Message { path, line, .. }) = tags.get(&value) {
            let remedy = "take one that `cargo xtask tidy --list` does not show";
            fault(format!("{name} has the tag {tag} of {path}:{line}"), remedy);
        }
        tags.entry(value).or_insert(message);
        let key = (message.package(), name.as_str());
        if let Some(Message { path, line, .. }) = names.get(&key) {
            fault(
                format!("{name} has the name of {path}:{line}"),
                "name one of them for what it alone holds",
            );
        }
        names.entry(key).or_insert(message);
    }
    for message in &tests {
        let Message { path, line, name, tag, .. } = message;
        let mut fault = |what: String, remedy: &str| findings.push(Finding::new(path, *line, what, remedy));
        match message.value() {
            None => fault(format!("{name} has the tag {tag}"), TAG_FORM),
            // A test may play a peer that forges a message, under the message's own name.
            Some(value) if value >= TESTS || tags.get(&value).is_some_and(|m| m.name == *name) => {}
            Some(_) => {
                let remedy = "take one from 0xFF00 on, or the name of the message that it forges";
                fault(format!("{name} is a test's and has tag {tag}"), remedy);
            }
        }
    }
    findings
}

/// All messages but those of tests, by tag.
pub fn table(sources: &[Source<'_>]) -> String {
    let mut messages: Vec<_> = sources.iter().flat_map(messages).filter(|m| !m.test).collect();
    messages.sort_by_key(|m| (m.value(), m.name.clone()));
    let row = |m: &Message<'_>| {
        format!("{}  {:<6}  {:<16}  {}:{}  {}\n", m.tag, m.kind, m.name, m.path, m.line, m.doc)
    };
    messages.iter().map(row).collect()
}

fn messages<'a>(source: &Source<'a>) -> Vec<Message<'a>> {
    let path = source.path;
    let folder = |name: &str| path.split('/').rev().skip(1).any(|part| part == name);
    let test_file = ["tests", "benches", "examples", "fuzz"].into_iter().any(folder);
    let tests = source.test_modules();
    let mut found = blocks(source, |at| test_file || tests.iter().any(|range| range.contains(&at)));

    // Examples in the documentation.
    let docs = source.tokens.iter().filter(|t| matches!(t.kind, Kind::OuterDoc | Kind::InnerDoc));
    let code = doctests(docs.map(|t| (t.line, t.text.to_owned())));
    let text: String = code.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
    let line_of = |line: usize| code.get(line - 1).map_or(0, |(number, _)| *number);
    let example = Source::new(path, &text);
    found.extend(blocks(&example, |_| true).into_iter().map(|m| Message {
        path,
        line: line_of(m.line),
        ..m
    }));
    found
}

fn blocks<'a>(source: &Source<'a>, is_test: impl Fn(usize) -> bool) -> Vec<Message<'a>> {
    let is = |at: usize, text: &str| source.tokens.get(at).is_some_and(|t| t.is(text));
    let mut found = Vec::new();
    for at in (0..source.tokens.len()).filter(|&at| is(at, "messages") && is(at + 1, "!")) {
        let opens = |text: &&str| is(at + 2, text);
        if ["{", "(", "["].iter().any(opens) {
            let body = &source.tokens[at + 3..source.closing(at + 2).max(at + 3)];
            let mut doc = String::new();
            for (i, token) in body.iter().enumerate() {
                match token.kind {
                    Kind::OuterDoc if doc.is_empty() => doc = token.text.trim().to_owned(),
                    _ if token.is(";") => doc.clear(),
                    Kind::Number => {
                        // Name : Kind = 0xNNNN
                        let before = |n: usize| i.checked_sub(n).map_or("", |i| body[i].text);
                        found.push(Message {
                            path: source.path,
                            line: token.line,
                            name: before(4).to_owned(),
                            kind: before(2).to_owned(),
                            tag: token.text.to_owned(),
                            doc: doc.clone(),
                            test: is_test(at),
                        });
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&sources).iter().map(Finding::to_string).collect()
    }

    const GOOD: &str =
        "messages! {\n    /// One.\n    Flips: Bits = 0x0201;\n    /// Two.\n    Sums: Ring = 0x0202;\n}\n";

    #[test]
    fn good_messages_pass_and_are_listed() {
        let files = [
            ("crates/a/src/x.rs", GOOD),
            ("crates/b/src/x.rs", "messages! { /** b */ Flips: Bits = 0x0301; }"),
        ];
        assert_eq!(faults(&files), [""; 0]);
        let sources = files.map(|(path, text)| Source::new(path, text));
        let table = table(&sources);
        assert_eq!(table.lines().count(), 3);
        assert!(
            table.starts_with("0x0201  Bits    Flips             crates/a/src/x.rs:3  One.\n"),
            "{table}"
        );
    }

    #[test]
    fn a_tag_used_twice_is_found() {
        let found = faults(&[
            ("crates/a/src/x.rs", GOOD),
            ("crates/b/src/y.rs", "messages! { /// x\n Other: Ring = 0x0202; }"),
        ]);
        assert!(
            found.len() == 1
                && found[0]
                    .starts_with("crates/b/src/y.rs:2: Other has the tag 0x0202 of crates/a/src/x.rs:5"),
            "{found:?}"
        );
    }

    #[test]
    fn a_name_used_twice_in_a_crate_is_found() {
        let found = faults(&[
            ("crates/a/src/x.rs", GOOD),
            ("crates/a/src/y.rs", "messages! { /// x\n Sums: Ring = 0x0203; }"),
        ]);
        assert!(found.len() == 1 && found[0].contains("has the name of crates/a/src/x.rs:5"), "{found:?}");
    }

    #[test]
    fn a_message_without_documentation_is_found() {
        let found = faults(&[("crates/a/src/x.rs", &GOOD.replace("/// Two.", "// Two."))]);
        assert!(found.len() == 1 && found[0].contains("Sums has no documentation"), "{found:?}");
    }

    #[test]
    fn odd_tags_are_found() {
        for (tag, what) in [
            ("0x202", "has the tag"),
            ("514", "has the tag"),
            ("0x02ab", "has the tag"),
            ("0xFF02", "for tests"),
        ] {
            let found = faults(&[("crates/a/src/x.rs", &GOOD.replace("0x0202", tag))]);
            assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        }
    }

    #[test]
    fn tests_and_examples_have_tags_of_their_own() {
        let test = |tag: &str| format!("#[cfg(test)]\nmod tests {{ messages! {{ A: Bits = {tag}; }} }}");
        let example = |tag: &str| format!("//! ```\n//! messages! {{ A: Bits = {tag}; }}\n//! ```\n");
        for text in [test("0xFF00"), example("0xFF00")] {
            assert_eq!(faults(&[("crates/a/src/x.rs", &text), ("crates/a/src/y.rs", &text)]), [""; 0]);
        }
        for text in [test("0x0201"), example("0x0201")] {
            let found = faults(&[("crates/a/src/x.rs", &text)]);
            assert!(
                found.len() == 1 && found[0].starts_with("crates/a/src/x.rs:2: A is a test's"),
                "{found:?}"
            );
        }
        let forged = |name: &str| format!("messages! {{ {name}: Bits = 0x0201; }}");
        let with = |test: &str| faults(&[("crates/a/src/x.rs", GOOD), ("crates/a/tests/x.rs", test)]).len();
        assert_eq!((with(&forged("Flips")), with(&forged("Other"))), (0, 1));
    }

    #[test]
    fn the_macro_itself_and_prose_are_no_messages() {
        let text = "/// Use `messages! { A: Bits = 1; }`.\nmacro_rules! messages { ($x:literal) => { 5 }; }";
        assert_eq!(faults(&[("crates/a/src/x.rs", text)]), [""; 0]);
    }
}
