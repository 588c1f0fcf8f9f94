//! What no file may hold, and what every crate must have.

use super::layers::Package;
use super::{File, Finding};
use crate::source::{Attribute, Kind, Source};

/// First folders of paths that are only right on one machine.
const ROOTS: [&str; 9] = ["home", "root", "work", "Users", "mnt", "opt", "tmp", "var", "usr"];

pub fn check(files: &[File], sources: &[Source<'_>], packages: &[Package]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = sources.iter().flat_map(check_source).collect();
    findings.extend(files.iter().flat_map(absolute_paths));
    findings.extend(packages.iter().filter(|p| p.is_crate()).flat_map(|p| check_crate(p, files, sources)));
    findings
}

fn check_source(source: &Source<'_>) -> Vec<Finding> {
    let path = source.path;
    let mut findings = Vec::new();
    if path == "mod.rs" || path.ends_with("/mod.rs") {
        findings.push(Finding::new(
            path,
            0,
            "a mod.rs",
            "name the file after its module, beside the module's folder",
        ));
    }
    for (at, token) in source.tokens.iter().enumerate() {
        let is_macro = source.tokens.get(at + 1).is_some_and(|next| next.is("!"));
        if is_macro && (token.is("todo") || token.is("unimplemented")) {
            let what = format!("{}! in code", token.text);
            findings.push(Finding::new(path, token.line, what, "write it, or return an error that says so"));
        }
        if !token.is_code() && token.text.contains("FIXME") {
            findings.push(Finding::new(path, token.line, "a note of something broken", "mend it"));
        }
    }
    for attribute in source.attributes() {
        let tokens = &source.tokens[attribute.tokens.clone()];
        if tokens.first().is_some_and(|t| t.is("ignore")) {
            let remedy = "make the test run, or take it out";
            findings.push(Finding::new(path, attribute.line, "an ignored test", remedy));
        }
        if let Some(lint) = without_reason(source, &attribute) {
            let remedy = "say why: reason = \"...\"";
            findings.push(Finding::new(path, attribute.line, format!("{lint}(..) without a reason"), remedy));
        }
    }
    findings
}

/// `allow` or `expect`, where the attribute has one of them without a reason.
fn without_reason<'a>(source: &Source<'a>, attribute: &Attribute) -> Option<&'a str> {
    let range = attribute.tokens.clone();
    range.clone().find_map(|at| {
        let token = source.tokens[at];
        let lifts =
            (token.is("allow") || token.is("expect")) && source.tokens.get(at + 1).is_some_and(|t| t.is("("));
        let end = if lifts { source.closing(at + 1).min(range.end) } else { return None };
        let reason = source.tokens[at..end].windows(2).any(|pair| pair[0].is("reason") && pair[1].is("="));
        (!reason).then_some(token.text)
    })
}

fn absolute_paths(file: &File) -> Vec<Finding> {
    let Some(text) = file.text.as_deref().filter(|_| !file.path.starts_with("fuzz/findings/")) else {
        return Vec::new();
    };
    let fault = |(at, _): (usize, &str)| {
        let remedy = "name it relative to the repository, or take a temporary folder";
        Finding::new(&file.path, at + 1, "an absolute path", remedy)
    };
    let interpreter = |at: usize, line: &str| at == 0 && line.starts_with("#!/");
    text.lines()
        .enumerate()
        .filter(|&(at, line)| !interpreter(at, line) && has_absolute_path(line))
        .map(fault)
        .collect()
}

/// Whether `line` has a slash that no path or address comes before, and one of [`ROOTS`] and a slash after it.
fn has_absolute_path(line: &str) -> bool {
    let windows = line.match_indices(":\\").any(|(at, _)| {
        let drive: Vec<char> = line[..at].chars().rev().take(2).collect();
        drive.first().is_some_and(char::is_ascii_uppercase)
            && !drive.get(1).is_some_and(|c| c.is_alphanumeric())
    });
    windows
        || line.match_indices('/').any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let inside = before.is_some_and(|c| c.is_alphanumeric() || "./_-~})]>*$".contains(c));
            let root = line[at + 1..].split('/').next().unwrap_or_default();
            !inside && ROOTS.contains(&root) && line[at + 1 + root.len()..].starts_with('/')
        })
}

fn check_crate(package: &Package, files: &[File], sources: &[Source<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let readme = format!("{}/README.md", package.folder);
    if !files.iter().any(|file| file.path == readme) {
        let remedy = "add one: what the crate is for, and an example that compiles";
        findings.push(Finding::new(&readme, 0, format!("{} has no README.md", package.name), remedy));
    }
    for path in &package.roots {
        let opens = |s: &&Source<'_>| s.tokens.first().is_some_and(|t| t.kind == Kind::InnerDoc);
        if !sources.iter().filter(|s| s.path == path).any(|s| opens(&s)) {
            let remedy = "say with //! what it is for";
            findings.push(Finding::new(path, 1, "does not open with documentation", remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::layers::tests::leaf;
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: Some(text.to_owned()) }
    }

    fn faults(path: &str, text: &str) -> Vec<String> {
        check(&[file(path, text)], &[Source::new(path, text)], &[]).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn good_files_pass() {
        let text = "//! x\n#[expect(dead_code, reason = \"y\")]\nfn todo() { \"todo!()\"; } // todo!()\n";
        assert_eq!(faults("crates/a/src/x.rs", text), [""; 0]);
    }

    #[test]
    fn a_mod_rs_is_found() {
        assert_eq!(faults("crates/a/src/b/mod.rs", "").len(), 1);
    }

    #[test]
    fn unfinished_work_is_found() {
        let text = "\nfn f() { todo!() }\nfn g() { unimplemented!(\"x\") }\n// FIXME: x\n#[ignore = \"slow\"]\n#[ignore]\n";
        let found = faults("x.rs", text);
        let lines: Vec<&str> = found.iter().filter_map(|f| f.split(':').nth(1)).collect();
        assert_eq!(lines, ["2", "3", "4", "5", "6"], "{found:?}");
    }

    #[test]
    fn a_lint_lifted_without_reason_is_found() {
        for text in ["#[allow(dead_code)]", "#![expect(x)]", "#[cfg_attr(test, allow(x), doc(reason = 1))]"] {
            assert_eq!(faults("x.rs", text).len(), 1, "{text}");
        }
        for text in [
            "#[allow(x, reason = \"y\")]",
            "#[cfg_attr(test, allow(x, reason = \"y\"))]",
            "#[should_panic(expected = 1)]",
        ] {
            assert_eq!(faults("x.rs", text).len(), 0, "{text}");
        }
    }

    #[test]
    fn absolute_paths_are_found() {
        for root in ROOTS {
            assert_eq!(faults("x.md", &format!("see\n`/{root}/x`")).len(), 1, "{root}");
            assert_eq!(
                faults("x.md", &format!("see a/{root}/x and ./{root}/x, https://host/{root}/x, / {root}"))
                    .len(),
                0
            );
        }
        assert!(has_absolute_path(&["C", ":\\x"].concat()));
        assert!(!has_absolute_path("std::x:\\n"));
        assert_eq!(faults("run", &["#!/", "usr/bin/env bash\n"].concat()).len(), 0);
        assert_eq!(faults("run", &["\n#!/", "usr/bin/env bash\n"].concat()).len(), 1);
        let binary = File { path: "x.bin".to_owned(), text: None };
        assert_eq!(absolute_paths(&binary), []);
    }

    #[test]
    fn a_crate_without_readme_or_docs_is_found() {
        let package = leaf("a");
        let (readme, lib) = ("crates/a/README.md", "crates/a/src/lib.rs");
        let source = |text| Source::new(lib, text);
        assert_eq!(check_crate(&package, &[file(readme, "")], &[source("//! x")]), []);
        assert_eq!(check_crate(&package, &[], &[source("//! x")]).len(), 1);
        assert_eq!(check_crate(&package, &[file(readme, "")], &[source("use a;\n//! x")]).len(), 1);
    }
}
