//! Whatever dies when, no preprocessed entry is used twice, and what is left works.

#![expect(clippy::unwrap_used, reason = "tests and their helpers stop at the first surprise")]

use copriv_bits::Block;
use copriv_channel::{Channel, Transport, memory};
use copriv_ir::{GraphBuilder, LowerOptions, Lowered, Shape, Window, lower};
use copriv_plain::evaluate_output;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_runner::{Client, Error, Inference, Model, Output, Reveal, Server, Settings, Source};
use copriv_runner::{Stock, Store, StoreError, Suite};
use copriv_store::EntryId;
use copriv_testkit::{Tamper, Tampering, record};
use copriv_wire::{HEADER_BYTES, Role, packed_bytes, unpack};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const WIDTH: Width = Width::of(37);

/// Randomness that no other session has, in this process or another.
fn prg(role: Role) -> Prg {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    Prg::from_seed(Block::new(now, u64::from(std::process::id()) << 1 | role.index() as u64))
}

fn weights(seed: u64, len: usize) -> Vec<f32> {
    let words = Prg::from_seed(Block::new(seed, 7)).words(len);
    words.iter().map(|&w| (w as i32 as f32) / 2f32.powi(32)).collect()
}

/// A convolution that Winograd runs, ReLU and truncation, a linear layer.
fn network() -> Lowered {
    let mut net = GraphBuilder::new("small", Shape::new(2, 4, 4)).unwrap();
    let x = net.input();
    let x = net.conv("conv", x, Window::square(3, 1, 1), 1, weights(1, 36), weights(2, 2)).unwrap();
    let x = net.relu("relu", x).unwrap();
    let gate = net.global_avg_pool("mean", x).unwrap();
    let x = net.multiply("gate", x, gate).unwrap();
    let x = net.flatten("flatten", x).unwrap();
    let x = net.linear("linear", x, weights(3, 64), weights(4, 2)).unwrap();
    lower(&net.finish(x).unwrap(), LowerOptions { width: WIDTH, frac_bits: 8 }).unwrap()
}

fn input(seed: u64) -> RingVec {
    RingVec::from_signed(WIDTH, &Prg::from_seed(Block::new(seed, 9)).ring(Width::of(10), 32).to_signed())
}

/// What both parties are about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    Preprocess,
    Infer,
}

/// A client's part.
fn client(c: Channel, store: &Store, job: Job, x: &RingVec) -> Result<Option<Inference>, Error> {
    let mut client = Client::connect(c, prg(Role::P1), None)?;
    match job {
        Job::Preprocess => client.preprocess(store, &mut |_| ()).map(|_| None),
        Job::Infer => client.infer(x, Source::Store(store), &mut |_| ()).map(Some),
    }
}

/// A server's part; true if it ended well.
fn server(c: Channel, model: &Model) -> bool {
    let Ok(mut server) = Server::accept(c, prg(Role::P0), model) else { return false };
    loop {
        match server.serve(&mut |_| ()) {
            Ok(Some(_)) => {}
            end => return end.is_ok(),
        }
    }
}

/// Both parties' files, and everything that must never be said twice.
struct Bench {
    folder: tempfile::TempDir,
    net: Lowered,
    model: Model,
    masks: HashSet<Vec<u64>>,
    said: HashSet<Vec<u8>>,
    runs: u64,
}

impl Bench {
    fn new(suite: Suite) -> Self {
        // In memory where there is such a folder: what dies here are processes, not disks.
        let memory = tempfile::tempdir_in("/dev/shm");
        let (folder, net) = (memory.or_else(|_| tempfile::tempdir()).unwrap(), network());
        let settings = Settings::new(suite, Reveal::Logits);
        let model = Model::new(&net, &settings).unwrap();
        Self { folder, net, model, masks: HashSet::new(), said: HashSet::new(), runs: 0 }
    }

    fn path(&self, role: Role) -> PathBuf {
        self.folder.path().join(format!("{role:?}"))
    }

    /// Opens both stores, which must have nothing but their entries.
    fn open(&self) -> [Store; 2] {
        [Role::P0, Role::P1].map(|role| {
            let (path, tables) = (self.path(role), tables(&self.path(role)));
            let store = Store::open(&path).unwrap();
            assert_eq!(ready(&store).len(), tables, "{role:?} has parts of no entry");
            store
        })
    }

    /// One session, in which `liar`, if any, vanishes in place of its message `at`; whether it came that far.
    fn session(&mut self, job: Job, death: Option<(Role, usize)>) -> bool {
        let [there, here] = self.open();
        let before = [&there, &here].map(ready);
        self.runs += 1;
        let x = input(self.runs % 2);
        let (a, b) = memory();
        let patience = Duration::from_secs(20);
        let at = |role| death.filter(|(liar, _)| *liar == role).map_or(usize::MAX, |(_, at)| at);
        let a = Tampering::new(a.with_timeout(patience), Tamper::Vanish, at(Role::P0));
        let b = Tampering::new(b.with_timeout(patience), Tamper::Vanish, at(Role::P1));
        let sent = [a.counter(), b.counter()];
        let ((a, said0), (b, said1)) = (record(a), record(b));
        let model = self.model.clone().with_stock(Stock::new(there.clone(), usize::MAX).unwrap()).unwrap();
        let (ended, done) = std::thread::scope(|scope| {
            let server = scope.spawn(move || server(Channel::new(Role::P0, a), &model));
            let done = client(Channel::new(Role::P1, b), &here, job, &x);
            (server.join().unwrap(), done)
        });
        let died = death.is_some_and(|(liar, at)| sent[liar.index()].load(Ordering::Relaxed) > at);
        if !died {
            assert!(ended, "the server ended well");
            let done = done.unwrap();
            let plain = evaluate_output(&self.net, &x).unwrap();
            if let Some(done) = done {
                assert_eq!(done.output, Output::Logits(plain));
                assert_eq!(done.plan.differences(&done.report), Vec::<String>::new());
            }
        }
        drop((there, here));
        let used = self.hear(&said0.lock().unwrap(), &said1.lock().unwrap(), &x);
        self.check(before, job, used);
        died
    }

    /// Looks through all that both have said: no mask and no long message may be there twice. The entry whose use
    /// began, if any, and whether the client has said anything with it.
    fn hear(&mut self, said0: &[u8], said1: &[u8], x: &RingVec) -> Option<(EntryId, bool)> {
        let (said0, said1) = (messages(said0), messages(said1));
        let masked = |m: &&Message| m.tag == 0x0402;
        if let Some(first) = said1.iter().find(masked) {
            let d = unpack(&first.payload, x.len(), WIDTH.bits()).unwrap();
            let mask = x - &RingVec::from_words(WIDTH, d);
            assert!(self.masks.insert(mask.words().to_vec()), "a mask was used twice");
        }
        // Neither the greeting nor the questions, which may be the same.
        let long = |m: &&Message| ![0x0101, 0x0102, 0x0501, 0x0502, 0x0503].contains(&m.tag);
        for message in said0.iter().chain(&said1).filter(long).filter(|m| m.payload.len() >= 16) {
            assert!(self.said.insert(message.payload.clone()), "tag {:#x} said the same twice", message.tag);
        }
        let spoke = said1.iter().any(|m| masked(&m));
        let yes = said0.iter().any(|m| m.tag == 0x0504 && m.payload == [0]);
        let asked = said1.iter().rev().find(|m| m.tag == 0x0503 && m.payload[0] == 2)?;
        (yes || spoke).then(|| (EntryId(asked.payload[1..].try_into().unwrap()), spoke))
    }

    /// What was begun is gone for good, and the rest is still there.
    fn check(&self, before: [Vec<(EntryId, Vec<u8>)>; 2], job: Job, used: Option<(EntryId, bool)>) {
        let now = self.open();
        let has = |role: Role, id: &EntryId| before[role.index()].iter().any(|(other, _)| other == id);
        let both: Vec<EntryId> = before[0].iter().map(|(id, _)| *id).filter(|id| has(Role::P1, id)).collect();
        for (role, store) in [Role::P0, Role::P1].into_iter().zip(&now) {
            let now = ready(store);
            let before = &before[role.index()];
            let gone: Vec<EntryId> =
                before.iter().filter(|entry| !now.contains(entry)).map(|(id, _)| *id).collect();
            // The client discards what it finds out the server has not.
            let lost = gone.iter().filter(|id| both.contains(id)).count();
            match job {
                Job::Preprocess => assert!(gone.is_empty() && now.len() <= before.len() + 1),
                Job::Infer => assert!(lost <= 1 && now.len() == before.len() - gone.len()),
            }
            assert!(role == Role::P1 || lost == gone.len());
        }
        let Some((id, spoke)) = used else { return };
        let [there, here] = now;
        // The server takes before it says yes, the client before it says anything of an entry.
        let label = |role: Role| before[role.index()].iter().find(|(of, _)| *of == id).unwrap().1.clone();
        assert!(matches!(there.take(id, &label(Role::P0)), Err(StoreError::Missing { .. })));
        if spoke {
            assert!(matches!(here.take(id, &label(Role::P1)), Err(StoreError::Missing { .. })));
        }
    }

    /// Every entry that both have is right.
    fn drain(&mut self) {
        let [there, here] = self.open().map(|store| ready(&store));
        let both = there.iter().filter(|(id, _)| here.iter().any(|(other, _)| other == id)).count();
        for _ in 0..both {
            self.session(Job::Infer, None);
        }
    }
}

/// The entries of a store and their labels, in order.
fn ready(store: &Store) -> Vec<(EntryId, Vec<u8>)> {
    let labels = store.summary().unwrap().into_iter().map(|summary| summary.label);
    let of = |label: Vec<u8>| store.entries(&label).unwrap().into_iter().map(move |id| (id, label.clone()));
    labels.flat_map(of).collect()
}

/// How many entries' parts are in a file.
fn tables(path: &Path) -> usize {
    if !path.exists() {
        return 0;
    }
    let database = redb::Database::open(path).unwrap();
    let tables = redb::ReadableDatabase::begin_read(&database).unwrap();
    tables.list_tables().unwrap().filter(|t| redb::TableHandle::name(t).starts_with("parts-")).count()
}

struct Message {
    tag: u16,
    payload: Vec<u8>,
}

/// What a party said, message by message; the last may be cut off.
fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) {
        let tag = u16::from_le_bytes([header[0], header[1]]);
        let count = header[3..].iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte));
        let Some((payload, rest)) = rest.split_at_checked(packed_bytes(count, header[2].into())) else {
            break;
        };
        all.push(Message { tag, payload: payload.to_vec() });
        bytes = rest;
    }
    all
}

/// Both parties' deaths at every message of both phases.
fn deaths(suite: Suite) {
    let mut bench = Bench::new(suite);
    let mut deaths = 0;
    for job in [Job::Preprocess, Job::Infer] {
        for role in [Role::P0, Role::P1] {
            for at in 0.. {
                if job == Job::Infer {
                    bench.session(Job::Preprocess, None);
                }
                if !bench.session(job, Some((role, at))) {
                    break;
                }
                deaths += 1;
            }
        }
        bench.drain();
    }
    assert!(deaths > 60 && bench.masks.len() > 10, "{deaths} deaths, {} masks", bench.masks.len());
}

#[test]
fn best_survives_a_death_at_any_message() {
    deaths(Suite::Best);
}

#[test]
fn copriv_survives_a_death_at_any_message() {
    deaths(Suite::Copriv);
}

const FOLDER: &str = "COPRIV_RUNNER_TEST_FOLDER";
const DEATH: &str = "COPRIV_RUNNER_TEST_DEATH";

/// A transport that writes all it sends to a file, and in place of message `at` waits to be killed.
struct Doomed<T> {
    inner: T,
    log: File,
    at: usize,
}

impl<T: Transport> Transport for Doomed<T> {
    fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        if self.at == 0 {
            writeln!(io::stderr(), "here")?;
            std::thread::sleep(Duration::from_secs(60));
        }
        self.at -= 1;
        self.log.write_all(&bytes)?;
        self.inner.send(bytes)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.recv(buffer)
    }
}

/// Does nothing unless the test below started it: both parties, until they are killed.
#[test]
fn the_other_process() {
    let (Some(folder), Ok(death)) = (std::env::var_os(FOLDER), std::env::var(DEATH)) else { return };
    let words: Vec<usize> = death.split(' ').map(|word| word.parse().unwrap()).collect();
    let [suite, job, liar, at, seed] = words[..] else { panic!("{death}") };
    let suite = [Suite::Copriv, Suite::Best][suite];
    let folder = Path::new(&folder);
    let [there, here] =
        [Role::P0, Role::P1].map(|role| Store::open(&folder.join(format!("{role:?}"))).unwrap());
    let model = Model::new(&network(), &Settings::new(suite, Reveal::Logits)).unwrap();
    let model = model.with_stock(Stock::new(there, usize::MAX).unwrap()).unwrap();
    let (a, b) = memory();
    let doomed = |role: Role, inner| {
        let log = File::create(folder.join(format!("{role:?}.said"))).unwrap();
        Doomed { inner, log, at: if liar == role.index() { at } else { usize::MAX } }
    };
    let (a, b) = (doomed(Role::P0, a), doomed(Role::P1, b));
    std::thread::scope(|scope| {
        scope.spawn(|| server(Channel::new(Role::P0, a), &model));
        let job = [Job::Preprocess, Job::Infer][job];
        client(Channel::new(Role::P1, b), &here, job, &input(seed as u64)).unwrap();
    });
    writeln!(io::stderr(), "done").unwrap();
}

/// The process of both parties is killed at every few messages.
#[test]
fn killed_processes_use_nothing_twice() {
    for (suite, stride) in [(0, 14), (1, 4)] {
        let mut bench = Bench::new([Suite::Copriv, Suite::Best][suite]);
        let mut kills = 0;
        for (job, liar) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for at in (liar..).step_by(stride) {
                if job == 1 {
                    bench.session(Job::Preprocess, None);
                }
                let before = bench.open().map(|store| ready(&store));
                bench.runs += 1;
                let seed = bench.runs % 2;
                let mut child = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "the_other_process", "--nocapture"])
                    .env(FOLDER, bench.folder.path())
                    .env(DEATH, format!("{suite} {job} {liar} {at} {seed}"))
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut line = String::new();
                BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                let [said0, said1] = ["P0", "P1"]
                    .map(|role| fs::read(bench.folder.path().join(format!("{role}.said"))).unwrap());
                // What a killed process leaves is purged when the store is opened.
                drop([Role::P0, Role::P1].map(|role| Store::open(&bench.path(role)).unwrap()));
                let used = bench.hear(&said0, &said1, &input(seed));
                bench.check(before, [Job::Preprocess, Job::Infer][job], used);
                match line.trim() {
                    "here" => kills += 1,
                    "done" => break,
                    other => panic!("{other}"),
                }
            }
            bench.drain();
        }
        assert!(kills > 40, "{kills}");
    }
}
