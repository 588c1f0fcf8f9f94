//! Rust source as tokens: enough of a lexer to tell code from comments and strings.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An identifier or keyword.
    Ident,
    /// A number.
    Number,
    /// A string, character or byte literal of any form.
    Text,
    /// A lifetime or label.
    Lifetime,
    /// One character of anything else.
    Punct,
    /// A comment that is not documentation.
    Comment,
    /// `///` or `/** */`.
    OuterDoc,
    /// `//!` or `/*! */`.
    InnerDoc,
}

/// A token and where it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    /// As written; without the marks for comments and documentation.
    pub text: &'a str,
    /// From 1.
    pub line: usize,
}

impl Token<'_> {
    /// Whether this is code that reads `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Ident | Kind::Punct) && self.text == text
    }

    /// Whether this is no comment and no documentation.
    pub fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::Comment | Kind::OuterDoc | Kind::InnerDoc)
    }
}

/// A Rust file.
pub struct Source<'a> {
    /// Relative to the root, with `/`.
    pub path: &'a str,
    pub tokens: Vec<Token<'a>>,
}

/// `#[...]` or `#![...]`.
pub struct Attribute {
    pub inner: bool,
    pub line: usize,
    /// The tokens between the brackets.
    pub tokens: Range<usize>,
}

impl<'a> Source<'a> {
    pub fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, tokens: tokens(text) }
    }

    /// The documentation that the file opens with, before anything but attributes and comments.
    pub fn module_docs(&self) -> Vec<Token<'a>> {
        let head = &self.tokens[..self.head()];
        head.iter().filter(|t| t.kind == Kind::InnerDoc).copied().collect()
    }

    /// The number of tokens before the first item: comments, inner documentation and inner attributes.
    pub fn head(&self) -> usize {
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            at = match token.kind {
                Kind::Comment | Kind::InnerDoc => at + 1,
                _ => match self.attribute_at(at) {
                    Some(attribute) if attribute.inner => attribute.tokens.end + 1,
                    _ => return at,
                },
            };
        }
        at
    }

    /// All attributes.
    pub fn attributes(&self) -> Vec<Attribute> {
        (0..self.tokens.len()).filter_map(|at| self.attribute_at(at)).collect()
    }

    fn attribute_at(&self, at: usize) -> Option<Attribute> {
        let is = |i: usize, text| self.tokens.get(i).is_some_and(|t| t.is(text));
        let inner = is(at + 1, "!");
        let open = at + 1 + usize::from(inner);
        if !is(at, "#") || !is(open, "[") {
            return None;
        }
        Some(Attribute { inner, line: self.tokens[at].line, tokens: open + 1..self.closing(open) })
    }

    /// The index of the token that closes the bracket at `open`; the end of the file where nothing does.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (i, token) in self.tokens.iter().enumerate().skip(open) {
            if token.kind == Kind::Punct {
                match token.text {
                    "(" | "[" | "{" => depth += 1,
                    ")" | "]" | "}" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 {
                    return i;
                }
            }
        }
        self.tokens.len()
    }

    /// The bodies of modules under `#[cfg(test)]`.
    pub fn test_modules(&self) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for attribute in self.attributes() {
            let condition: String = self.tokens[attribute.tokens.clone()].iter().map(|t| t.text).collect();
            let mut at = attribute.tokens.end + 1;
            while let Some(other) = self.attribute_at(at) {
                at = other.tokens.end + 1;
            }
            let is = |i: usize, text| self.tokens.get(i).is_some_and(|t| t.is(text));
            if condition == "cfg(test)" && is(at, "mod") && is(at + 2, "{") {
                found.push(at + 2..self.closing(at + 2));
            }
        }
        found
    }
}

/// The code in the fences of the documentation `docs` that rustdoc takes for Rust, each line with its number.
pub fn doctests(docs: impl Iterator<Item = (usize, String)>) -> Vec<(usize, String)> {
    let (mut lines, mut inside, mut rust) = (Vec::new(), false, false);
    for (number, line) in docs {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            rust = inside && matches!(info.trim(), "" | "rust" | "no_run" | "should_panic" | "compile_fail");
        } else if rust {
            lines.push((number, line));
        }
    }
    lines
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.take(blank);
        let (line, rest) = (self.line, self.rest);
        let first = rest.chars().next()?;
        let token = |kind, text| Some(Token { kind, text, line });
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            let comment = self.take(length);
            return match comment.strip_prefix("///").filter(|text| !text.starts_with('/')) {
                Some(text) => token(Kind::OuterDoc, text),
                None => match comment.strip_prefix("//!") {
                    Some(text) => token(Kind::InnerDoc, text),
                    None => token(Kind::Comment, &comment[2..]),
                },
            };
        }
        if rest.starts_with("/*") {
            let comment = self.take(block_comment(rest));
            let body = |mark: &str| comment[mark.len()..].trim_end_matches("*/");
            return if comment.starts_with("/*!") {
                token(Kind::InnerDoc, body("/*!"))
            } else if comment.starts_with("/**") && comment.len() > 5 && !comment.starts_with("/***") {
                token(Kind::OuterDoc, body("/**"))
            } else {
                token(Kind::Comment, body("/*"))
            };
        }
        if let Some(length) = literal(rest) {
            return token(Kind::Text, self.take(length));
        }
        if first == '\'' {
            return token(Kind::Lifetime, self.take(1 + word(&rest[1..])));
        }
        if let Some(raw) = rest.strip_prefix("r#").filter(|raw| word(raw) > 0) {
            self.take(2);
            return token(Kind::Ident, self.take(word(raw)));
        }
        match word(rest) {
            0 => token(Kind::Punct, self.take(first.len_utf8())),
            length => {
                let kind = if first.is_ascii_digit() { Kind::Number } else { Kind::Ident };
                token(kind, self.take(length))
            }
        }
    }
}

/// The bytes of the identifier, keyword or number that `text` starts with.
fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The bytes of the comment that `text` starts with; comments nest.
fn block_comment(text: &str) -> usize {
    let (bytes, mut depth, mut at) = (text.as_bytes(), 0usize, 0);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The bytes of the string, byte string or character that `text` starts with, if it starts with one.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = &text[..text.len() - body.len()];
    let known = matches!(prefix, "" | "b" | "c" | "r" | "br" | "cr");
    if !known {
        return None;
    }
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let content = body[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = content.find(&close).map_or(content.len(), |at| at + close.len());
        return Some(prefix.len() + hashes + 1 + end);
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    if quote == '\'' {
        // A lifetime has no closing quote after its first character.
        let mut chars = body.chars().skip(1);
        let first = chars.next()?;
        if prefix == "c" || first != '\\' && chars.next() != Some('\'') {
            return None;
        }
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).iter().map(|t| (t.kind, t.text)).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text = r####"let a = "unsafe // x"; // unsafe
            r#"unsafe " unsafe"# b'"' '\'' 'a 'x' /* /* unsafe */ */ r#unsafe b"\"" unsafe"####;
        let code: Vec<&str> = tokens(text).iter().filter(|t| t.kind == Kind::Ident).map(|t| t.text).collect();
        assert_eq!(code, ["let", "a", "unsafe", "unsafe"]);
        let lifetimes = tokens(text).iter().filter(|t| t.kind == Kind::Lifetime).count();
        assert_eq!(lifetimes, 1);
    }

    #[test]
    fn documentation_is_told_from_comments() {
        assert_eq!(
            kinds("//! a\n/// b\n//// c\n// d\n/** e */\n/*! f */\n/**/"),
            [
                (Kind::InnerDoc, " a"),
                (Kind::OuterDoc, " b"),
                (Kind::Comment, "// c"),
                (Kind::Comment, " d"),
                (Kind::OuterDoc, " e "),
                (Kind::InnerDoc, " f "),
                (Kind::Comment, ""),
            ]
        );
    }

    #[test]
    fn numbers_and_lines() {
        let all = tokens("a\n\n0xFF_00u16 \"x\ny\"\nb");
        assert_eq!(all.iter().map(|t| t.line).collect::<Vec<_>>(), [1, 3, 3, 5]);
        assert_eq!((all[1].kind, all[1].text), (Kind::Number, "0xFF_00u16"));
    }

    #[test]
    fn broken_source_ends() {
        for text in ["\"", "'", "/*", "r#\"", "#[", "b'", "'\\", "//", "/**", "é'é"] {
            tokens(text);
            Source::new("x.rs", text).head();
        }
    }

    #[test]
    fn the_head_and_test_modules() {
        let text =
            "//! Docs.\n#![expect(x)]\n// c\nuse a;\n//! no\n#[cfg(test)]\n#[y]\nmod tests { fn f() {} }";
        let source = Source::new("x.rs", text);
        assert_eq!(source.module_docs().len(), 1);
        assert!(source.tokens[source.head()].is("use"));
        assert_eq!(source.attributes().len(), 3);
        assert_eq!(source.test_modules().len(), 1);
    }

    #[test]
    fn doctests_are_the_rust_fences() {
        let docs = ["a", "```", "b", "```", "```text", "c", "```"].map(str::to_owned);
        assert_eq!(doctests((1..).zip(docs)), [(3, "b".to_owned())]);
    }
}
