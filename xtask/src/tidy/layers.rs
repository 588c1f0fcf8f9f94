//! A crate depends on crates of lower layers only.

use super::Finding;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A package of the workspace.
pub struct Package {
    pub name: String,
    /// Its folder, relative to the root, with `/`.
    pub folder: String,
    /// Of `[package.metadata.copriv]`.
    pub layer: Option<u64>,
    /// The files its library and programs start at, relative to the root.
    pub roots: Vec<String>,
    dependencies: Vec<Dependency>,
    manifest: String,
}

struct Dependency {
    name: String,
    dev: bool,
}

impl Package {
    /// Whether it is one of the crates, not a package of benches or commands.
    pub fn is_crate(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    fn line_of(&self, text: &str) -> usize {
        let line = self.manifest.lines().position(|line| line.trim_start().starts_with(text));
        line.map_or(0, |at| at + 1)
    }
}

/// The packages that `cargo metadata` lists.
pub fn packages(metadata: &str, root: &Path) -> Result<Vec<Package>, String> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|e| format!("cargo metadata: {e}"))?;
    let workspace = metadata["workspace_root"].as_str().unwrap_or_default();
    let relative = |path: &Value| {
        let path = Path::new(path.as_str().unwrap_or_default());
        path.strip_prefix(workspace).unwrap_or(path).to_string_lossy().replace('\\', "/")
    };
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = all(&metadata["packages"]).into_iter().map(|package| {
        let manifest = relative(&package["manifest_path"]);
        let is_root = |target: &Value| {
            all(&target["kind"])
                .iter()
                .any(|kind| matches!(kind.as_str(), Some("lib" | "bin" | "proc-macro")))
        };
        Package {
            name: text(&package["name"]),
            folder: manifest.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned(),
            layer: package["metadata"]["copriv"]["layer"].as_u64(),
            roots: all(&package["targets"])
                .iter()
                .filter(|t| is_root(t))
                .map(|t| relative(&t["src_path"]))
                .collect(),
            dependencies: all(&package["dependencies"])
                .iter()
                .map(|d| Dependency { name: text(&d["name"]), dev: d["kind"] == "dev" })
                .collect(),
            manifest: std::fs::read_to_string(root.join(&manifest)).unwrap_or_default(),
        }
    });
    Ok(packages.collect())
}

pub fn check(packages: &[Package]) -> Vec<Finding> {
    let by_name: BTreeMap<&str, &Package> = packages.iter().map(|p| (p.name.as_str(), p)).collect();
    let mut findings = Vec::new();
    for package in packages.iter().filter(|p| p.is_crate()) {
        let path = format!("{}/Cargo.toml", package.folder);
        let Some(layer) = package.layer else {
            let remedy = "add [package.metadata.copriv] with layer = N";
            findings.push(Finding::new(&path, 0, "the crate states no layer", remedy));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| !d.dev) {
            let Some(other) = by_name.get(dependency.name.as_str()) else { continue };
            let name = &other.name;
            let fault = match other.layer {
                None => format!("{name} has no layer"),
                Some(below) if below < layer => continue,
                Some(above) => format!("layer {layer} depends on {name} of layer {above}"),
            };
            let remedy = "move what is shared to a lower layer, or depend on it for tests only";
            findings.push(Finding::new(&path, package.line_of(name), fault, remedy));
        }
    }
    findings
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn package(name: &str, layer: Option<u64>, dependencies: &[(&str, bool)]) -> Package {
        let dependencies: Vec<_> =
            dependencies.iter().map(|&(name, dev)| Dependency { name: name.to_owned(), dev }).collect();
        let manifest = dependencies.iter().map(|d| format!("{}.workspace = true\n", d.name)).collect();
        let (name, folder) = (name.to_owned(), format!("crates/{name}"));
        let roots = vec![format!("{folder}/src/lib.rs")];
        Package { name, folder, layer, roots, dependencies, manifest }
    }

    /// A crate without dependencies.
    pub(in crate::tidy) fn leaf(name: &str) -> Package {
        package(name, Some(0), &[])
    }

    #[test]
    fn lower_layers_and_tests_may_be_used() {
        let packages = [
            package("low", Some(0), &[("serde", false)]),
            package("high", Some(1), &[("low", false), ("kit", true)]),
            package("kit", Some(9), &[("high", false)]),
        ];
        assert_eq!(check(&packages), []);
    }

    #[test]
    fn equal_and_higher_layers_may_not() {
        let packages = [
            package("low", Some(0), &[("low2", false)]),
            package("low2", Some(0), &[("serde", false), ("kit", false)]),
            package("kit", Some(9), &[]),
        ];
        let findings = check(&packages);
        let places: Vec<_> = findings.iter().map(|f| (f.path.as_str(), f.line)).collect();
        assert_eq!(places, [("crates/low/Cargo.toml", 1), ("crates/low2/Cargo.toml", 2)]);
    }

    #[test]
    fn a_layer_must_be_stated() {
        assert_eq!(check(&[package("low", None, &[])]).len(), 1);
        assert_eq!(check(&[package("a", Some(1), &[("b", false)]), package("b", None, &[])]).len(), 2);
    }

    #[test]
    fn metadata_is_read() {
        let json = r#"{"workspace_root": "W", "packages": [{"name": "copriv-ot", "manifest_path": "W/crates/ot/Cargo.toml",
            "metadata": {"copriv": {"layer": 2}}, "dependencies": [{"name": "rayon", "kind": null}, {"name": "x", "kind": "dev"}],
            "targets": [{"kind": ["lib"], "src_path": "W/crates/ot/src/lib.rs"}, {"kind": ["test"], "src_path": "t.rs"}]}]}"#;
        let packages = packages(json, Path::new("no-such-folder")).expect("well-formed");
        let p = &packages[0];
        assert_eq!((p.name.as_str(), p.folder.as_str(), p.layer), ("copriv-ot", "crates/ot", Some(2)));
        assert_eq!(p.roots, ["crates/ot/src/lib.rs"]);
        assert_eq!(p.dependencies.iter().map(|d| d.dev).collect::<Vec<_>>(), [false, true]);
    }
}
