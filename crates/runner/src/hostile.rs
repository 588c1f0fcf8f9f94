//! Parties that do not keep to the two phases, and several at once.

use crate::offer::{Answered, Asked};
use crate::program::Program;
use crate::{
    Client, Error, Inference, Model, Output, Reveal, Served, Server, Settings, Source, Stock, Suite,
};
use copriv_bits::Block;
use copriv_channel::{Channel, Memory, memory};
use copriv_ir::{GraphBuilder, LowerOptions, Lowered, Shape, Window, lower};
use copriv_plain::evaluate_output;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_store::{EntryId, Store};
use copriv_testkit::{Tamper, Tampering};
use copriv_wire::Role;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const WIDTH: Width = Width::of(37);
const NOBODY: EntryId = EntryId([7; 16]);

fn prg() -> Prg {
    static SEEDS: AtomicU64 = AtomicU64::new(1);
    Prg::from_seed(Block::new(SEEDS.fetch_add(1, Ordering::Relaxed), 7))
}

fn network() -> Lowered {
    let mut net = GraphBuilder::new("small", Shape::new(1, 4, 4)).unwrap();
    let x = net.input();
    let x = net.conv("conv", x, Window::square(3, 1, 0), 1, vec![0.3; 9], vec![0.1]).unwrap();
    let x = net.relu("relu", x).unwrap();
    let x = net.flatten("flatten", x).unwrap();
    let x = net.linear("linear", x, vec![-0.2; 8], vec![0.5; 2]).unwrap();
    lower(&net.finish(x).unwrap(), LowerOptions { width: WIDTH, frac_bits: 8 }).unwrap()
}

fn input() -> RingVec {
    RingVec::from_signed(WIDTH, &(-8..8).map(|i| 31 * i).collect::<Vec<i64>>())
}

/// A server's and a client's store, and the model with the first.
struct Parties {
    _folder: tempfile::TempDir,
    model: Model,
    there: Store,
    here: Store,
}

fn parties(suite: Suite, limit: usize) -> Parties {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let [there, here] = ["there", "here"].map(|name| Store::open(&folder.path().join(name)).unwrap());
    let model = Model::new(&network(), &Settings::new(suite, Reveal::Logits)).unwrap();
    let model = model.with_stock(Stock::new(there.clone(), limit).unwrap()).unwrap();
    Parties { _folder: folder, model, there, here }
}

impl Parties {
    /// Entries that both have.
    fn common(&self) -> usize {
        let label = self.model.offer.label(&self.model.program, Role::P1, &[]).unwrap();
        let there = self.there.entries(&self.model.label).unwrap();
        self.here.entries(&label).unwrap().iter().filter(|id| there.contains(id)).count()
    }

    fn sizes(&self) -> [u64; 2] {
        [&self.there, &self.here].map(|store| store.summary().unwrap().iter().map(|s| s.entries).sum())
    }
}

fn ends() -> (Memory, Memory) {
    let (a, b) = memory();
    let patience = Duration::from_secs(10);
    (a.with_timeout(patience), b.with_timeout(patience))
}

fn serve(channel: Channel, model: &Model) -> Result<Vec<Served>, Error> {
    let mut server = Server::accept(channel, prg(), model)?;
    let mut done = Vec::new();
    while let Some(served) = server.serve(&mut |_| ())? {
        done.push(served);
    }
    Ok(done)
}

/// A session with an honest server; what it did, and what the client's part gives.
fn with_client<T: Send>(
    model: &Model,
    body: impl FnOnce(&mut Client) -> T + Send,
) -> (Result<Vec<Served>, Error>, T) {
    let (a, b) = ends();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || serve(Channel::new(Role::P0, a), model));
        let mut client = Client::connect(Channel::new(Role::P1, b), prg(), None).unwrap();
        let result = body(&mut client);
        drop(client);
        (server.join().unwrap(), result)
    })
}

/// A session with an honest client, whose result is given back.
fn with_server<T: Send>(
    model: &Model,
    body: impl FnOnce(&mut Server) + Send,
    client: impl FnOnce(&mut Client) -> T + Send,
) -> T {
    let (a, b) = ends();
    std::thread::scope(|scope| {
        scope.spawn(move || body(&mut Server::accept(Channel::new(Role::P0, a), prg(), model).unwrap()));
        client(&mut Client::connect(Channel::new(Role::P1, b), prg(), None).unwrap())
    })
}

fn ask(client: &mut Client, asked: Asked) -> Answered {
    client.recorder = Some(client.recorder().unwrap());
    let channel = client.party.channel().unwrap();
    asked.send(channel).unwrap();
    let answer = Answered::receive(channel).unwrap();
    client.party.refused();
    answer
}

fn infer(client: &mut Client, source: Source<'_>) -> Result<Inference, Error> {
    client.infer(&input(), source, &mut |_| ())
}

fn is_right(done: &Inference) {
    let plain = evaluate_output(&network(), &input()).unwrap();
    assert_eq!(done.output, Output::Logits(plain));
    assert_eq!(done.plan.differences(&done.report), Vec::<String>::new());
}

#[test]
fn questions_that_lead_nowhere_are_answered() {
    let all = parties(Suite::Best, 2);
    let (served, ()) = with_client(&all.model, |client| {
        assert_eq!(ask(client, Asked::Stored(NOBODY)), Answered::Missing);
        client.preprocess(&all.here, &mut |_| ()).unwrap();
        let label = client.offer.label(&client.party.program, Role::P1, &[]).unwrap();
        let id = all.here.entries(&label).unwrap()[0];
        assert_eq!(ask(client, Asked::Preprocessing(id)), Answered::Exists);
        is_right(&infer(client, Source::Store(&all.here)).unwrap());
        assert_eq!(ask(client, Asked::Stored(id)), Answered::Missing);
        is_right(&infer(client, Source::OnTheFly).unwrap());
    });
    assert_eq!(served.unwrap().len(), 3);
    for suite in [Suite::Cryptflow2, Suite::Copriv] {
        let mut model = parties(suite, 2).model;
        if suite == Suite::Copriv {
            model.stock = None;
        }
        let (served, ()) = with_client(&model, |client| {
            assert_eq!(ask(client, Asked::Stored(NOBODY)), Answered::NoStore);
            assert_eq!(ask(client, Asked::Preprocessing(NOBODY)), Answered::NoStore);
            is_right(&infer(client, Source::OnTheFly).unwrap());
        });
        assert_eq!(served.unwrap().len(), 1);
    }
}

#[test]
fn an_unknown_question_ends_the_session() {
    let all = parties(Suite::Best, 2);
    for bytes in [[0; 17], [4; 17], [255; 17]] {
        let (a, b) = ends();
        std::thread::scope(|scope| {
            let model = &all.model;
            scope.spawn(move || {
                let mut server = Server::accept(Channel::new(Role::P0, a), prg(), model).unwrap();
                let error = server.serve(&mut |_| ()).unwrap_err();
                assert!(error.to_string().contains("kind of request"), "{error}");
                assert!(matches!(server.serve(&mut |_| ()), Err(Error::Over)));
            });
            let mut client = Client::connect(Channel::new(Role::P1, b), prg(), None).unwrap();
            client.party.channel().unwrap().send_bytes::<crate::offer::Request>(&bytes).unwrap();
        });
    }
}

#[test]
fn a_stock_has_a_limit_that_holds_for_all_sessions_together() {
    const LIMIT: usize = 3;
    let all = parties(Suite::Copriv, LIMIT);
    let greedy = || {
        let (served, made) = with_client(&all.model, |client| {
            (0..5).filter(|_| client.preprocess(&all.here, &mut |_| ()).is_ok()).count()
        });
        assert_eq!(served.unwrap().len(), made);
        made
    };
    let made: usize = std::thread::scope(|scope| {
        let threads = [0; 3].map(|_| scope.spawn(greedy));
        threads.map(|thread| thread.join().unwrap()).into_iter().sum()
    });
    assert_eq!((made, all.sizes()), (LIMIT, [LIMIT as u64; 2]));

    // One that asks and then says nothing holds a place while it is there, and no longer.
    let all = parties(Suite::Copriv, 1);
    let (idle, ()) = with_client(&all.model, |client| {
        assert_eq!(ask(client, Asked::Preprocessing(NOBODY)), Answered::Yes);
        let (_, full) = with_client(&all.model, |other| other.preprocess(&all.here, &mut |_| ()));
        assert!(matches!(full, Err(Error::ServerIsFull)));
    });
    assert!(idle.is_err());
    assert_eq!(all.sizes(), [0; 2]);
    with_client(&all.model, |client| client.preprocess(&all.here, &mut |_| ())).1.unwrap();
    assert_eq!(all.sizes(), [1; 2]);
}

#[test]
fn an_identifier_that_two_sessions_make_at_once_is_made_once() {
    let all = parties(Suite::Copriv, 9);
    let (served, ()) = with_client(&all.model, |client| {
        let program = client.party.program.clone();
        let twice = || {
            let mut entry = all.there.writer(NOBODY, &all.model.label).unwrap();
            entry.put(0, b"quicker").unwrap();
            entry.commit().unwrap();
        };
        let mut recorder = crate::report::Recorder::new(Role::P1, client.party.traffic(), &program);
        assert_eq!(ask(client, Asked::Preprocessing(NOBODY)), Answered::Yes);
        client.party.begin(crate::plan::Job::Preprocessing, &mut recorder).unwrap();
        twice();
        client.party.preprocess(&mut recorder, &mut |_| (), |_, _| Ok(())).unwrap();
        crate::offer::tell_kept(client.party.channel().unwrap()).unwrap();
        assert_eq!(Answered::receive(client.party.channel().unwrap()).unwrap(), Answered::Exists);
        client.recorder = None;
        is_right(&infer(client, Source::OnTheFly).unwrap());
    });
    assert_eq!(served.unwrap().len(), 1);
    assert_eq!(all.sizes(), [1, 0]);
}

#[test]
fn a_server_that_answers_nonsense_is_left() {
    let all = parties(Suite::Best, 9);
    let answering = |bytes: &'static [u8]| {
        move |server: &mut Server| {
            let channel = server.party.channel().unwrap();
            Asked::receive(channel).unwrap();
            channel.send_bytes::<crate::offer::Answer>(bytes).unwrap();
        }
    };
    for bytes in [&[6][..], &[255], &[0, 0], &[]] {
        let error = with_server(&all.model, answering(bytes), |client| {
            let error = client.preprocess(&all.here, &mut |_| ()).unwrap_err();
            assert!(matches!(infer(client, Source::OnTheFly), Err(Error::Over)));
            error
        });
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }
    assert_eq!(all.sizes(), [0; 2]);

    // One that says yes to everything and has nothing: what the client has begun is gone.
    with_client(&all.model, |client| client.preprocess(&all.here, &mut |_| ())).1.unwrap();
    let error = with_server(&all.model, answering(&[0]), |client| {
        infer(client, Source::StoreOrOnTheFly(&all.here)).unwrap_err()
    });
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert_eq!(all.sizes(), [1, 0]);
    let error = with_server(&all.model, answering(&[0]), |client| {
        client.preprocess(&all.here, &mut |_| ()).unwrap_err()
    });
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert_eq!(all.sizes(), [1, 0]);
}

#[test]
fn parties_whose_planners_disagree_part_at_once() {
    let mut all = parties(Suite::Best, 9);
    let label = |model: &Model| model.offer.label(&model.program, Role::P0, &[]).unwrap();
    let honest = label(&all.model);
    let architecture = all.model.offer.architecture.clone();
    let other = Program::new(&architecture, &Settings::new(Suite::Copriv, Reveal::Logits));
    all.model.program = Arc::new(other);
    assert_ne!(label(&all.model), honest);
    let (a, b) = ends();
    std::thread::scope(|scope| {
        let model = &all.model;
        let server = scope.spawn(move || Server::accept(Channel::new(Role::P0, a), prg(), model).map(drop));
        let client = Client::connect(Channel::new(Role::P1, b), prg(), None).map(drop).unwrap_err();
        for error in [client, server.join().unwrap().unwrap_err()] {
            assert!(error.to_string().contains("the protocols chosen for it"), "{error}");
        }
    });
}

#[test]
fn an_entry_fits_one_network_its_weights_settings_and_role() {
    let settings = |suite, reveal| Settings::new(suite, reveal);
    let model = |net: &Lowered, settings| Model::new(net, &settings).unwrap();
    let best = settings(Suite::Best, Reveal::Logits);
    let (net, mut weights, mut bias, mut named) = (network(), network(), network(), network());
    weights.weights.layers.iter_mut().flatten().next().unwrap().matrix[0] -= 1;
    bias.weights.layers.iter_mut().flatten().last().unwrap().bias[0] += 1;
    named.architecture.name.push('!');
    let client = |model: &Model| model.offer.label(&model.program, Role::P1, &[]).unwrap();
    let mut labels: Vec<Vec<u8>> = [
        model(&net, best),
        model(&weights, best),
        model(&bias, best),
        model(&named, best),
        model(&net, settings(Suite::Copriv, Reveal::Logits)),
        model(&net, settings(Suite::Best, Reveal::Label)),
    ]
    .iter()
    .map(|model| model.label.clone())
    .collect();
    assert_eq!(labels[0], model(&net, best).label);
    labels.push(client(&model(&net, best)));
    let count = labels.len();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), count);
}

#[test]
fn clients_at_the_same_time_share_no_entry() {
    const ENTRIES: usize = 6;
    let all = parties(Suite::Best, ENTRIES);
    let preprocess = || {
        let make = |client: &mut Client| {
            (0..ENTRIES / 2).for_each(|_| drop(client.preprocess(&all.here, &mut |_| ()).unwrap()));
        };
        with_client(&all.model, make).0.unwrap();
    };
    std::thread::scope(|scope| [0; 2].map(|_| drop(scope.spawn(preprocess))));
    assert_eq!(all.sizes(), [ENTRIES as u64; 2]);

    // Both ask for the same one.
    let label = all.model.offer.label(&all.model.program, Role::P1, &[]).unwrap();
    let id = all.here.entries(&label).unwrap()[0];
    let barrier = Barrier::new(2);
    let same = || {
        with_client(&all.model, |client| {
            barrier.wait();
            ask(client, Asked::Stored(id))
        })
        .1
    };
    let answers =
        std::thread::scope(|scope| [0; 2].map(|_| scope.spawn(same)).map(|thread| thread.join().unwrap()));
    assert_eq!(answers.iter().filter(|&&answer| answer == Answered::Yes).count(), 1, "{answers:?}");

    let use_up = || {
        let infer_all = |client: &mut Client| {
            let mut done = 0;
            while let Ok(inference) = infer(client, Source::Store(&all.here)) {
                is_right(&inference);
                done += 1;
            }
            done
        };
        with_client(&all.model, infer_all).1
    };
    let done: usize = std::thread::scope(|scope| {
        [0; 2].map(|_| scope.spawn(use_up)).map(|thread| thread.join().unwrap()).into_iter().sum()
    });
    // The half that only the client had was found out and discarded.
    assert_eq!((done, all.sizes()), (ENTRIES - 1, [0, 0]));
}

#[test]
fn a_store_in_use_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    let error = Error::from(Store::open(&path).unwrap_err());
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(store);
}

#[test]
fn damaged_material_is_an_error_or_a_wrong_result() {
    let damages: [fn(&mut Vec<u8>); 6] = [
        Vec::clear,
        |bytes| bytes.truncate(bytes.len().saturating_sub(1)),
        |bytes| bytes.push(0),
        |bytes| bytes.iter_mut().take(1).for_each(|byte| *byte ^= 0x80),
        |bytes| bytes.iter_mut().skip(8).take(16).for_each(|byte| *byte = 0xFF),
        |bytes| bytes.iter_mut().for_each(|byte| *byte = !*byte),
    ];
    for (role, damage) in
        [Role::P0, Role::P1].into_iter().flat_map(|role| damages.map(|damage| (role, damage)))
    {
        let all = parties(Suite::Best, 9);
        with_client(&all.model, |client| client.preprocess(&all.here, &mut |_| ())).1.unwrap();
        let store = [&all.there, &all.here][role.index()];
        let label = store.summary().unwrap()[0].label.clone();
        let parts = 4 * all.model.program.steps.len() as u32;
        let mut damaged = 0;
        for part in 0..=parts {
            // The last time nothing is damaged.
            let id = store.entries(&label).unwrap();
            let Some(&id) = id.first() else { break };
            let taken = store.take(id, &label).unwrap();
            let mut bytes: Vec<(u32, Vec<u8>)> =
                (0..parts).filter_map(|i| Some((i, taken.part(i).ok()?.to_vec()))).collect();
            taken.finish().unwrap();
            let hit = bytes.iter_mut().find(|(i, _)| *i == part).map(|(_, bytes)| damage(bytes)).is_some();
            damaged += u32::from(hit);
            let mut writer = store.writer(id, &label).unwrap();
            bytes.iter().for_each(|(i, bytes)| writer.put(*i, bytes).unwrap());
            writer.commit().unwrap();
            if !hit && part < parts {
                continue;
            }
            let (_, result) = with_client(&all.model, |client| infer(client, Source::Store(&all.here)));
            if !hit {
                is_right(&result.unwrap());
            }
            assert_eq!(all.sizes(), [0; 2]);
            with_client(&all.model, |client| client.preprocess(&all.here, &mut |_| ())).1.unwrap();
        }
        assert!(damaged > 4, "{damaged}");
    }
}

#[test]
fn tampering_leaves_no_entry_behind_that_was_begun() {
    let patience = Duration::from_millis(300);
    let all = parties(Suite::Best, usize::MAX);
    let kinds = [Role::P0, Role::P1].into_iter().flat_map(|role| Tamper::ALL.map(|tamper| (role, tamper)));
    let mut runs = 0;
    for (n, (liar, tamper)) in kinds.enumerate() {
        for preprocessing in [true, false] {
            for at in (n % 5..).step_by(5) {
                with_client(&all.model, |client| client.preprocess(&all.here, &mut |_| ())).1.unwrap();
                let before = all.common();
                let (a, b) = memory();
                let lying = |role, inner: Memory| {
                    let at = if liar == role { at } else { usize::MAX };
                    Tampering::new(inner.with_timeout(patience), tamper, at)
                };
                let (a, b) = (lying(Role::P0, a), lying(Role::P1, b));
                let sent = [a.counter(), b.counter()];
                let client = std::thread::scope(|scope| {
                    let model = &all.model;
                    scope.spawn(move || serve(Channel::new(Role::P0, a), model).map(drop));
                    let mut client = Client::connect(Channel::new(Role::P1, b), prg(), None)?;
                    if preprocessing {
                        client.preprocess(&all.here, &mut |_| ()).map(drop)
                    } else {
                        infer(&mut client, Source::Store(&all.here)).map(drop)
                    }
                });
                runs += 1;
                let (now, done) = (all.common(), client.is_ok());
                // A false answer can make the client discard one more.
                let lost = 1 + usize::from(liar == Role::P0 && tamper == Tamper::Replay);
                if preprocessing {
                    assert!((before..=before + 1).contains(&now), "{liar:?} {tamper:?} {at}");
                    assert!(!done || now == before + 1);
                } else {
                    assert!((before - lost..=before).contains(&now), "{liar:?} {tamper:?} {at}");
                    assert!(!done || now < before);
                }
                if sent[liar.index()].load(Ordering::Relaxed) <= at {
                    break;
                }
            }
        }
    }
    assert!(runs > 100, "{runs}");
}
