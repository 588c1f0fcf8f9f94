//! Work done ahead: two stores, from the first entry to the last.

use crate::common::{Done, Serving, copriv, digit};
use std::fs;
use tempfile::TempDir;

/// A folder with a store for each party.
struct Stores(TempDir);

impl Stores {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A server that keeps a store, with further arguments.
    fn serve(&self, args: &[&str]) -> Serving {
        Serving::start(&[&["zoo:digits", "--store", &self.path("server")], args].concat())
    }

    fn preprocess(&self, server: &Serving, args: &[&str]) -> Done {
        let store = self.path("client");
        copriv(&[&["preprocess", "--server", &server.address, "--store", &store], args].concat())
    }

    /// An inference on a 4.
    fn infer(&self, server: &Serving, args: &[&str]) -> Done {
        server.infer(&[&["--input", &digit(4), "--store", &self.path("client")], args].concat())
    }

    /// How many entries `party` has.
    fn entries(&self, party: &str) -> u64 {
        let list = copriv(&["preprocess", "--store", &self.path(party), "--list", "--json"]).json();
        list["store"].as_array().unwrap().iter().map(|kind| kind["entries"].as_u64().unwrap()).sum()
    }
}

#[test]
fn entries_serve_once() {
    for suite in ["copriv", "best"] {
        let stores = Stores::new();
        let server = stores.serve(&["--suite", suite]);
        let made = stores.preprocess(&server, &["--count", "2", "--suite", suite, "--json"]).json();
        let made = made["entries"].as_array().unwrap();
        assert_eq!(made.len(), 2);
        for entry in made {
            assert_eq!(entry["as_planned"], true);
            assert_eq!(entry["plan"]["total"], entry["measured"]["total"]);
            assert_eq!(entry["plan"]["total"]["online"]["bytes_p0_to_p1"], 0);
        }
        server.says("preprocessing 2: ");
        assert_eq!(stores.entries("client"), 2);

        for left in [1, 0] {
            let answer = stores.infer(&server, &["--json"]).json();
            assert_eq!((&answer["label"], &answer["as_planned"]), (&4.into(), &true.into()), "{suite}");
            let bytes = |phase: &str| answer["phases"][phase]["bytes"].as_u64().unwrap();
            let made = &made[0]["plan"]["total"]["preprocessing"]["bytes_p0_to_p1"].as_u64().unwrap();
            assert!(bytes("online") > 0 && bytes("preprocessing") < made / 10, "{suite}: {answer}");
            assert_eq!(stores.entries("client"), left);
        }
        stores.infer(&server, &["--quiet"]).fails(1, &["no entry", "copriv preprocess", "--on-the-fly"]);
        assert_eq!(stores.infer(&server, &["--on-the-fly", "--quiet"]).ok(), "label 4\n");
        // The client that had nothing to take left the server's alone.
        drop(server);
        assert_eq!(stores.entries("server"), 0);
    }
}

#[test]
fn stores_for_people() {
    let stores = Stores::new();
    let server = stores.serve(&[]);
    let text = stores.preprocess(&server, &["--count", "2"]).ok();
    for word in ["entry 1: ", "entry 2: ", "as planned", "2 new entries in ", "MB to the server"] {
        assert!(text.contains(word) && !text.contains("NOT"), "{word:?} is not in {text}");
    }
    assert!(stores.preprocess(&server, &[]).ok().contains("1 new entry in "));
    let list = || copriv(&["preprocess", "--store", &stores.path("client"), "--list"]).ok();
    let text = list();
    assert!(text.contains("entries") && text.contains("  3  "), "{text}");
    for _ in 0..3 {
        assert!(stores.infer(&server, &[]).ok().contains("label 4"));
    }
    assert_eq!(list(), "the store is empty\n");
}

#[test]
fn servers_that_keep_none() {
    let stores = Stores::new();
    let server = Serving::start(&["zoo:digits"]);
    stores.preprocess(&server, &[]).fails(1, &["keeps no store", "--store FILE"]);
    assert_eq!(stores.entries("client"), 0);
    // An entry of another server's making is not asked for in vain only.
    let other = stores.serve(&[]);
    stores.preprocess(&other, &[]).ok();
    stores.infer(&server, &["--quiet"]).fails(1, &["keeps no store"]);
    assert_eq!(stores.infer(&other, &["--quiet"]).ok(), "label 4\n");

    let baseline = stores.path("baseline");
    let server = Serving::start(&["zoo:digits", "--suite", "cryptflow2", "--store", &baseline]);
    stores.preprocess(&server, &[]).fails(1, &["cryptflow2", "nothing to preprocess", "copriv or best"]);
    stores.infer(&server, &["--quiet"]).fails(1, &["nothing to preprocess"]);
}

#[test]
fn servers_keep_so_many_and_no_more() {
    let stores = Stores::new();
    let server = stores.serve(&["--stock", "1"]);
    stores.preprocess(&server, &["--count", "1"]).ok();
    stores.preprocess(&server, &[]).fails(1, &["full", "--stock"]);
    assert_eq!(stores.infer(&server, &["--quiet"]).ok(), "label 4\n");
    stores.preprocess(&server, &[]).ok();
    copriv(&["serve", "zoo:digits", "--listen", "127.0.0.1:0", "--stock", "1"]).fails(2, &["--store"]);
}

#[test]
fn entries_fit_one_service() {
    let stores = Stores::new();
    let server = stores.serve(&[]);
    stores.preprocess(&server, &["--count", "2"]).ok();
    drop(server);
    // Started again as it was: they fit.
    let server = stores.serve(&[]);
    assert_eq!(stores.infer(&server, &["--quiet"]).ok(), "label 4\n");
    drop(server);
    // With what changes the offer, and what changes weights alone.
    let biased = other_weights(&stores);
    let other: [&[&str]; 3] = [&["--suite", "copriv"], &["--reveal", "label"], &[]];
    for args in other {
        let model = if args.is_empty() { biased.as_str() } else { "zoo:digits" };
        let server = Serving::start(&[&[model, "--store", &stores.path("server")], args].concat());
        stores.infer(&server, &["--quiet"]).fails(1, &["no entry for this server's", "copriv preprocess"]);
        let done = stores.infer(&server, &["--quiet", "--on-the-fly"]).ok();
        assert!(done.starts_with("label "), "{done}");
    }
    // The entry has outlived it all.
    let server = stores.serve(&[]);
    assert_eq!(stores.infer(&server, &["--quiet"]).ok(), "label 4\n");
}

/// The digits network with other weights of the same widths, as a file.
fn other_weights(stores: &Stores) -> String {
    let mut model = fs::read(crate::common::repository("crates/import/assets/digits.onnx")).unwrap();
    // In the middle of the file are the floats of a convolution.
    let middle = model.len() / 2;
    model[middle] ^= 1;
    let path = stores.path("other.onnx");
    fs::write(&path, model).unwrap();
    path
}

#[test]
fn stores_that_cannot_be_used() {
    let stores = Stores::new();
    let server = stores.serve(&[]);
    // The server's own, which it has open.
    let theirs = stores.path("server");
    let in_use = &["in use by another process", &theirs];
    copriv(&["preprocess", "--store", &theirs, "--list"]).fails(1, in_use);
    server.infer(&["--input", &digit(4), "--store", &theirs]).fails(1, in_use);
    let args = ["zoo:digits", "--listen", "127.0.0.1:0", "--store", &theirs];
    copriv(&[&["serve"], &args[..]].concat()).fails(1, in_use);

    let file = stores.path("letter");
    fs::write(&file, "Dear reader").unwrap();
    let other = &["not a store", "choose another path", &file];
    copriv(&["preprocess", "--store", &file, "--list"]).fails(1, other);
    server.infer(&["--input", &digit(4), "--store", &file]).fails(1, other);
    copriv(&["serve", "zoo:digits", "--listen", "127.0.0.1:0", "--store", &file]).fails(1, other);
    assert_eq!(fs::read_to_string(&file).unwrap(), "Dear reader");

    let none = stores.path("none");
    copriv(&["preprocess", "--store", &none, "--list"]).fails(1, &["No such file", &none]);
    server.infer(&["--input", &digit(4), "--store", &none]).fails(1, &["copriv preprocess", &none]);
    assert!(!fs::exists(&none).unwrap(), "to look makes no store");
    copriv(&["preprocess", "--store", &none]).fails(2, &["--server"]);
    server.infer(&["--input", &digit(4), "--on-the-fly"]).fails(2, &["--store"]);
    copriv(&["preprocess", "--store", &none, "--server", "127.0.0.1:1", "--count", "0"])
        .fails(2, &["--count"]);
}

#[test]
fn another_suite_is_refused() {
    for (serves, insists) in [("best", "copriv"), ("copriv", "best"), ("copriv", "cryptflow2")] {
        let stores = Stores::new();
        let server = stores.serve(&["--suite", serves]);
        let words = &[serves, insists, "--suite"];
        server.infer(&["--input", &digit(4), "--suite", insists]).fails(1, words);
        stores.preprocess(&server, &["--suite", insists]).fails(1, words);
    }
}
