//! What fuzzing has found stays found: every target on its seeds, on damaged seeds, and on all past findings.

use copriv_fuzz::{Target, targets};
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of what is in `folder`, without their extension.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    names
}

#[test]
fn findings_stay_mended() {
    for target in targets() {
        for entry in fs::read_dir(folder("findings").join(target.name)).into_iter().flatten().flatten() {
            println!("{}", entry.path().display());
            target.run(&fs::read(entry.path()).expect("the finding can be read"));
        }
    }
}

#[test]
fn every_finding_belongs_to_a_target() {
    let known: Vec<&str> = targets().map(|target| target.name).collect();
    for name in names(&folder("findings")).iter().filter(|name| *name != "README") {
        assert!(known.contains(&name.as_str()), "findings/{name} is of no target");
    }
}

#[test]
fn every_target_has_a_program() {
    let mut known: Vec<&str> = targets().map(|target| target.name).collect();
    known.sort();
    assert_eq!(names(&folder("fuzz_targets")), known);
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("the manifest can be read");
    for name in known {
        let program =
            fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).expect("it is there");
        assert!(program.contains(&format!("run(\"{name}\", bytes)")), "{name}.rs runs another target");
        let path = format!("path = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&path), "Cargo.toml has no [[bin]] for {name}");
    }
}

#[test]
fn seeds_and_what_damage_makes_of_them() {
    for target in targets() {
        println!("{}", target.name);
        let slow =
            ["session_setup", "runner_client", "runner_server"].iter().any(|p| target.name.starts_with(p));
        for seed in target.seeds() {
            assert!(target.run(&seed), "{} refuses its seed", target.name);
            damage(target, &seed, if slow { 8 } else { 200 });
        }
        target.run(&[]);
    }
}

/// `times` inputs, each a few bytes away from `seed`, always the same ones.
fn damage(target: &Target, seed: &[u8], times: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) as usize % bound.max(1)
    };
    for _ in 0..times {
        let mut bytes = seed.to_vec();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, below(256) as u8),
                2 if at < bytes.len() => bytes[at] ^= 1 << below(8),
                3 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][below(5)],
                _ => {
                    let piece = bytes[at..bytes.len().min(at + below(64))].to_vec();
                    let to = below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        target.run(&bytes);
    }
}
