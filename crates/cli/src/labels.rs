//! What a network's classes are called.

use crate::error::Error;
use crate::model;
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file that is read: the 21843 names of the whole of ImageNet take under a megabyte.
const MAX_FILE: u64 = 4 << 20;
/// Longer names are cut.
const MAX_NAME: usize = 200;
/// How many of the largest logits are shown.
pub const SHOWN: usize = 5;

/// A name for each output of a network, in their order.
#[derive(Debug)]
pub struct Labels {
    file: String,
    names: Vec<String>,
}

/// A logit, and what its class is called.
#[derive(Serialize)]
pub struct Named<'a> {
    /// The index of the class.
    pub index: usize,
    /// Its logit.
    pub logit: f64,
    /// Its name.
    pub name: Option<&'a str>,
}

impl Labels {
    /// Reads a text file of one name a line, or JSON: a list of names or an object of names by index.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let failed = |e| Error::other(format!("{file}: {e}"));
        let mut bytes = Vec::new();
        File::open(path).and_then(|open| open.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            let why = format!("{file}: more than {MAX_FILE} bytes; is this a list of names?");
            return Err(Error::other(why));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::other(format!("{file}: this is no text in UTF-8; give one name a line, or JSON"))
        })?;
        let names = parse(&text).map_err(|why| Error::other(format!("{file}: {why}")))?;
        Ok(Self { file, names })
    }

    /// Refuses names that are not as many as the network's outputs.
    pub fn check(&self, outputs: usize) -> Result<(), Error> {
        let Self { file, names } = self;
        let hint = match (names.len(), outputs) {
            (got, _) if got == outputs => return Ok(()),
            (1001, 1000) => {
                "a list of 1001 begins with a background class, which this network lacks: take it out"
            }
            (1000, 1001) => {
                "a network of 1001 outputs has a background class before the 1000 of ImageNet: add it to the list, first"
            }
            _ => "give one for each output, in their order",
        };
        let got = names.len();
        Err(Error::other(format!("{file}: {got} names for a network of {outputs} outputs; {hint}")))
    }

    /// The name of a class.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// The largest logits with the names of their classes.
    pub fn top(&self, logits: &[f64]) -> Vec<Named<'_>> {
        let named = |(index, logit)| Named { index, logit, name: self.name(index) };
        model::top(logits, SHOWN).into_iter().map(named).collect()
    }
}

fn parse(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let names = match text.trim_start().starts_with(['[', '{']) {
        true => json(text)?,
        false => text.lines().map(shown).collect(),
    };
    match names.iter().position(String::is_empty) {
        _ if names.is_empty() => Err("it holds no names; give one a line".to_owned()),
        Some(index) => Err(format!("name number {index} is empty; give every output one")),
        None => Ok(names),
    }
}

fn json(text: &str) -> Result<Vec<String>, String> {
    let name = |(index, value): (usize, Value)| match value {
        Value::String(name) => Ok(shown(&name)),
        // Of an ImageNet class both its number in WordNet and a word, as Keras has them.
        Value::Array(words) if !words.is_empty() && words.iter().all(Value::is_string) => {
            Ok(shown(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")))
        }
        _ => Err(format!("name number {index} is no text")),
    };
    match serde_json::from_str(text).map_err(|e| format!("it begins as JSON does, and is none: {e}"))? {
        Value::Array(names) => names.into_iter().enumerate().map(name).collect(),
        Value::Object(entries) => {
            let mut names = vec![None; entries.len()];
            for (key, value) in entries {
                let index: Option<usize> = key.parse().ok();
                let Some((index, place)) = index.and_then(|i| Some((i, names.get_mut(i)?))) else {
                    let (key, last) = (shown(&key), names.len().saturating_sub(1));
                    return Err(format!(
                        "{key:?} is no index; those of {} names are 0 to {last}",
                        names.len()
                    ));
                };
                *place = Some(name((index, value))?);
            }
            let missing = |(index, name): (usize, Option<String>)| {
                name.ok_or_else(|| format!("index {index} has no name; two others are the same number"))
            };
            names.into_iter().enumerate().map(missing).collect()
        }
        _ => Err("JSON of names is a list, or an object of names by index".to_owned()),
    }
}

/// A name as it may be shown: short, and without what would steer a terminal or turn the text around.
fn shown(name: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let name: String = name.trim().chars().filter(|&c| !c.is_control() && !turns(c)).collect();
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_kind() {
        let two = ["n01440764 tench, Tinca tinca", "goldfish"];
        for text in [
            "n01440764 tench, Tinca tinca\ngoldfish",
            "\u{feff}n01440764 tench, Tinca tinca\r\n goldfish \r\n\n",
            r#"["n01440764 tench, Tinca tinca", "goldfish"]"#,
            r#" {"1": "goldfish", "0": "n01440764 tench, Tinca tinca"} "#,
            r#"{"0": ["n01440764", "tench, Tinca tinca"], "1": ["goldfish"]}"#,
        ] {
            assert_eq!(parse(text).unwrap(), two, "{text}");
        }
    }

    #[test]
    fn lists_that_are_none() {
        for (text, word) in [
            ("", "no names"),
            ("\n \n", "no names"),
            ("[]", "no names"),
            ("one\n\nthree", "name number 1 is empty"),
            ("one\n\u{7}\nthree", "name number 1 is empty"),
            ("[\"one\"", "is none"),
            ("{}", "no names"),
            ("[1]", "name number 0"),
            ("[[]]", "name number 0"),
            (r#"{"0": "a", "2": "b"}"#, "0 to 1"),
            (r#"{"0": "a", "00": "b"}"#, "index 1 has no name"),
            (r#"{"-1": "a"}"#, "no index"),
            (r#"{"id2label": {"0": "a"}}"#, "no index"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(word), "{why} ({word})");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn names_steer_no_terminal() {
        assert_eq!(parse("\u{1b}[2Jcat\u{202e}\ndog").unwrap(), ["[2Jcat", "dog"]);
        assert_eq!(parse(r#"["\u001b]0;x\u0007cat"]"#).unwrap(), ["]0;xcat"]);
        assert_eq!(parse(&"é".repeat(1000)).unwrap(), [format!("{}…", "é".repeat(MAX_NAME))]);
    }

    #[test]
    fn as_many_as_the_outputs() {
        let labels = |count| Labels { file: "names.txt".into(), names: vec!["cat".into(); count] };
        assert!(labels(10).check(10).is_ok());
        let why = |count, outputs| labels(count).check(outputs).unwrap_err().to_string();
        assert!(why(9, 10).contains("9 names for a network of 10 outputs; give one for each"));
        assert!(why(1001, 1000).contains("take it out"));
        assert!(why(1000, 1001).contains("add it"));
    }

    #[test]
    fn the_largest_are_named() {
        let labels = Labels { file: String::new(), names: vec!["cat".into(), "dog".into()] };
        let top = labels.top(&[0.5, 2.0]);
        assert_eq!((top[0].index, top[0].name, top[1].name), (1, Some("dog"), Some("cat")));
        // A hostile server may say any label.
        assert_eq!(labels.name(usize::MAX), None);
    }
}
