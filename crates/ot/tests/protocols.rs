//! Functionality and cost of every OT protocol, on the ideal dealer, on IKNP and on SoftSpoken OT.

use copriv_bits::{BitVec, Block};
use copriv_ot::one_of_n::{OneOfNBackend, Part};
use copriv_ot::softspoken::{self, SoftspokenReceiver, SoftspokenSender};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, base, chosen, cot, iknp, rot, triple};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session, setup_cost};
use copriv_testkit::{channel_pair, run_channels, run_pair};
use copriv_wire::{Result, Role};
use proptest::prelude::*;

const IKNP: Params = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
const SOFTSPOKEN: [Params; 3] = [softspoken_with(2), softspoken_with(4), softspoken_with(8)];
const KK13_ON_SOFTSPOKEN: Params = Params { one_of_n: OneOfNBackend::Kk13, ..softspoken_with(2) };
const COUNTS: [usize; 7] = [1, 2, 127, 128, 129, 1000, 8192 + 77];

const fn softspoken_with(k: usize) -> Params {
    Params { rcot: RcotBackend::Softspoken { k }, ..IKNP }
}

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 99))
}

#[test]
fn base_ot() {
    let choices = prg(1).bits(128);
    let (a, b) = copriv_channel::memory();
    let receiver_choices = choices.clone();
    let out = run_channels(
        (a, b),
        |c| base::receive(c, &mut prg(2), &receiver_choices),
        |c| base::send(c, &mut prg(3), 128),
    );
    out.assert_cost(base::cost(Role::P1, 128));
    let (keys, pairs) = (out.p0.unwrap(), out.p1.unwrap());
    for (i, (key, pair)) in keys.iter().zip(&pairs).enumerate() {
        assert!(*key == pair[choices.bit(i) as usize] && *key != pair[1 - choices.bit(i) as usize]);
    }
}

#[test]
fn setup_costs_what_it_says() {
    let kk13 = SOFTSPOKEN.map(|params| Params { one_of_n: OneOfNBackend::Kk13, ..params });
    for params in [IKNP, Params::CRYPTFLOW2].into_iter().chain(SOFTSPOKEN).chain(kk13) {
        let (c0, c1) = channel_pair();
        let (s0, s1) = std::thread::scope(|scope| {
            let other = scope.spawn(move || Session::setup(c1, prg(1), params).unwrap());
            (Session::setup(c0, prg(2), params).unwrap(), other.join().unwrap())
        });
        let cost = setup_cost(&params);
        for (s, role) in [(s0, Role::P0), (s1, Role::P1)] {
            let traffic = s.channel.traffic();
            assert_eq!(traffic.sent, cost.bytes_from(role));
            assert_eq!(traffic.received, cost.bytes_from(role.peer()));
            assert_eq!(traffic.rounds, cost.rounds_of(role));
        }
    }
}

/// Runs a sender in one role and a receiver in the other, for both assignments.
fn both_ways<A: Send, B: Send>(
    params: Params,
    send: impl Fn(&mut Session) -> Result<A> + Sync,
    receive: impl Fn(&mut Session) -> Result<B> + Sync,
    check: impl Fn(A, B),
    cost: impl Fn(Role) -> copriv_channel::Cost,
) {
    let out = run_pair(params, 5, |s| send(s), |s| receive(s));
    out.assert_cost(cost(Role::P0));
    check(out.p0, out.p1);
    let out = run_pair(params, 6, |s| receive(s), |s| send(s));
    out.assert_cost(cost(Role::P1));
    check(out.p1, out.p0);
}

/// Planes are bits of keys, chosen or random, for the same messages, whoever chooses how.
#[test]
fn planes_are_the_low_bits_of_keys() {
    let stored = Params { rcot: RcotBackend::Stored, ..IKNP };
    for params in [IKNP, stored, Params::IDEAL].into_iter().chain(SOFTSPOKEN) {
        for n in COUNTS.into_iter().chain([0, 2 * 8192]) {
            let choices = prg(n as u64).bits(n);
            let chosen = |c: &BitVec, [k0, k1]: [Vec<BitVec>; 2], k: Vec<BitVec>| {
                assert_eq!((k0.len(), k1.len(), k.len()), (3, 3, 3));
                for ((k0, k1), k) in k0.iter().zip(&k1).zip(&k) {
                    assert_eq!(*k, k0 ^ &(c & &(k0 ^ k1)));
                    // Two keys have not much in common.
                    let other = (k0 ^ k1).iter().filter(|&differ| differ).count();
                    assert!(n < 100 || (n / 4..n - n / 4).contains(&other), "{other} of {n}");
                }
                assert!(n < 64 || k0[0] != k0[1] && k0[1] != k0[2]);
            };
            both_ways(
                params,
                |s| s.rcot_sender.chosen_planes(&mut s.channel, n, 3),
                |s| s.rcot_receiver.chosen_planes(&mut s.channel, &choices, 3),
                |sent, got| chosen(&choices, sent, got),
                |sender| params.rcot.cost_planes_chosen(sender, n),
            );
            both_ways(
                params,
                |s| s.rcot_sender.random_planes(&mut s.channel, n, 3),
                |s| s.rcot_receiver.random_planes(&mut s.channel, n, 3),
                |sent, (random, got)| chosen(&random, sent, got),
                |sender| params.rcot.cost_planes(sender, n),
            );
        }
    }
}

#[test]
fn rcot_is_correlated() {
    for params in [IKNP, Params::IDEAL].into_iter().chain(SOFTSPOKEN) {
        for n in COUNTS.into_iter().chain([0, (1 << 16) + 1]) {
            let choices = prg(n as u64).bits(n);
            both_ways(
                params,
                |s| {
                    let mut q = vec![Block::ZERO; n];
                    s.rcot_sender.extend_chosen(&mut s.channel, &mut q)?;
                    let mut again = vec![Block::ZERO; 2];
                    s.rcot_sender.extend(&mut s.channel, &mut again)?;
                    q.extend(again);
                    Ok((q, s.rcot_sender.delta()))
                },
                |s| {
                    let mut t = vec![Block::ZERO; n];
                    s.rcot_receiver.extend_chosen(&mut s.channel, &choices, &mut t)?;
                    let mut again = vec![Block::ZERO; 2];
                    let random = s.rcot_receiver.extend(&mut s.channel, &mut again)?;
                    t.extend(again);
                    Ok((t, BitVec::concat([&choices, &random])))
                },
                |(q, delta), (t, c)| {
                    assert!((0..n + 2).all(|i| t[i] == q[i] ^ delta.select(c.bit(i))));
                    assert!(q.windows(2).all(|w| w[0] != w[1]));
                },
                |sender| params.rcot.cost_chosen(sender, n) + params.rcot.cost(sender, 2),
            );
        }
    }
    assert_eq!(iknp::cost(Role::P0, 10_000).bytes(), 160_000 + 2 * 8);
}

/// n OTs are n/k blocks, and choices are for free; the trees take 256·(1 − 1/k) blocks.
#[test]
fn softspoken_costs_so_many_bits_an_ot() {
    for k in [2, 4, 8] {
        let backend = RcotBackend::Softspoken { k };
        for n in [1, 2, 127, 128, 129, 8192] {
            assert_eq!(backend.cost(Role::P0, n).bytes(), 8 + 16 * n.div_ceil(k) as u64);
            assert_eq!(backend.cost(Role::P1, n), backend.cost_chosen(Role::P1, n));
        }
        let cost = softspoken::cost(k, Role::P0, 10_000);
        assert_eq!((cost.bytes(), cost.rounds()), (160_000 / k as u64 + 2 * 8, 0));
        assert_eq!(cost.bytes_from(Role::P1), cost.bytes());
        assert_eq!(softspoken::cost(k, Role::P0, 0), copriv_channel::Cost::ZERO);
        assert_eq!(softspoken::setup_cost(k, Role::P0).bytes(), 8 + 16 * (256 - 256 / k as u64));
    }
}

/// Calls of every size one after the other, on random choices, from base OTs that need no session.
#[test]
fn softspoken_from_base_ots() {
    const CALLS: [usize; 9] = [1, 0, 127, 128, 129, 511, 513, 8192 + 300, 1000];
    for k in [2, 4, 8] {
        let delta = prg(k as u64).block();
        let mut random = prg(7);
        let pairs: Vec<[Block; 2]> = (0..128).map(|_| [random.block(), random.block()]).collect();
        let keys: Vec<Block> = pairs.iter().enumerate().map(|(r, k)| k[usize::from(delta.bit(r))]).collect();
        let out = run_channels(
            copriv_channel::memory(),
            |c| {
                let mut ot = SoftspokenSender::setup(c, k, delta, &keys)?;
                let extend = |n| {
                    let mut q = vec![Block::ZERO; n];
                    ot.extend(c, &mut q).map(|()| q)
                };
                CALLS.map(extend).into_iter().collect::<Result<Vec<_>>>()
            },
            |c| {
                let mut ot = SoftspokenReceiver::setup(c, k, &pairs, prg(8))?;
                let extend = |n| {
                    let mut t = vec![Block::ZERO; n];
                    ot.extend(c, &mut t).map(|choices| (choices, t))
                };
                CALLS.map(extend).into_iter().collect::<Result<Vec<_>>>()
            },
        );
        let cost = CALLS.iter().map(|&n| softspoken::cost(k, Role::P0, n)).sum();
        let before = softspoken::setup_cost(k, Role::P0) + cost;
        out.assert_cost(before);
        let (mut ones, mut all) = (0, Vec::new());
        for (q, (choices, t)) in out.p0.unwrap().iter().zip(out.p1.unwrap()) {
            assert!((0..q.len()).all(|i| t[i] == q[i] ^ delta.select(choices.bit(i))));
            ones += choices.iter().filter(|&bit| bit).count();
            all.extend(q.iter().map(|&q| u128::from(q)));
        }
        let count = all.len();
        assert!(ones.abs_diff(count / 2) < 4 * count.isqrt(), "{ones} of {count} choices are 1");
        for bit in 0..128 {
            let ones = all.iter().filter(|&q| q >> bit & 1 == 1).count();
            assert!(
                ones.abs_diff(count / 2) < 4 * count.isqrt(),
                "bit {bit} of q is 1 {ones} times of {count}"
            );
        }
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "no q comes twice");
    }
}

#[test]
#[should_panic = "SoftSpoken OT has k = 2, 4 or 8"]
fn softspoken_with_another_k_is_a_mistake() {
    RcotBackend::Softspoken { k: 3 }.cost(Role::P0, 1);
}

#[test]
fn random_ot_gives_the_chosen_key() {
    for (n, params) in COUNTS.into_iter().flat_map(|n| [IKNP, softspoken_with(4)].map(|params| (n, params))) {
        let choices = prg(n as u64).bits(n);
        both_ways(
            params,
            |s| rot::send(&mut s.channel, s.rcot_sender.as_mut(), n),
            |s| rot::receive(&mut s.channel, s.rcot_receiver.as_mut(), &choices),
            |pairs, keys| {
                for i in 0..n {
                    assert!(keys[i] == pairs[choices.bit(i) as usize][i]);
                    assert!(keys[i] != pairs[1 - choices.bit(i) as usize][i]);
                }
            },
            |sender| params.rcot.cost_chosen(sender, n),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn cot_is_a_product(bits in 1u32..=64, per in 1usize..7, n in 1usize..300, seed: u64) {
        let width = Width::of(bits);
        let (choices, d) = (prg(seed).bits(n), prg(seed ^ 1).ring(width, n * per));
        for params in [IKNP, Params::IDEAL, softspoken_with(2)] {
            both_ways(
                params,
                |s| cot::send(&mut s.channel, s.rcot_sender.as_mut(), per, &d),
                |s| cot::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, per, &choices),
                |sent, got| {
                    let sum = &sent + &got;
                    for (i, &x) in sum.words().iter().enumerate() {
                        assert_eq!(x, d.words()[i] * choices.bit(i / per));
                    }
                },
                |sender| cot::cost(params.rcot, sender, n, per, width),
            );
        }
    }

    #[test]
    fn chosen_ot_transfers_the_chosen(bits in 1u32..=64, n in 1usize..300, seed: u64) {
        let width = Width::of(bits);
        let (choices, m) = (prg(seed).bits(n), [1, 2].map(|i| prg(seed ^ i).ring(width, n)));
        both_ways(
            IKNP,
            |s| chosen::send(&mut s.channel, s.rcot_sender.as_mut(), [&m[0], &m[1]]),
            |s| chosen::receive(&mut s.channel, s.rcot_receiver.as_mut(), width, &choices),
            |(), got| assert!((0..n).all(|i| got.words()[i] == m[choices.bit(i) as usize].words()[i])),
            |sender| chosen::cost(IKNP.rcot, sender, n, width),
        );
    }

    #[test]
    fn one_of_n_transfers_the_chosen(m in 1u32..=8, bits in 1u32..=64, n in 1usize..300, seed: u64) {
        let width = Width::of(bits);
        let choices: Vec<u8> = prg(seed).words(n).iter().map(|w| (w & ((1 << m) - 1)) as u8).collect();
        let tables = prg(seed ^ 1).ring(width, n << m);
        for params in [Params::CRYPTFLOW2, IKNP, Params::IDEAL, softspoken_with(4), KK13_ON_SOFTSPOKEN] {
            both_ways(
                params,
                |s| s.one_of_n_send(m, width, n, |i, t| t.copy_from_slice(&tables.words()[i << m..][..1 << m])),
                |s| s.one_of_n_receive(m, width, &choices),
                |(), got| {
                    for i in 0..n {
                        assert_eq!(got[i], tables.words()[(i << m) + usize::from(choices[i])]);
                    }
                },
                |sender| params.one_of_n_cost(sender, n, m, width),
            );
        }
    }
}

#[test]
fn large_one_of_n_batches() {
    for n in [4096usize, 4097, 10_000] {
        let choices: Vec<u8> = (0..n).map(|i| (i * 7 % 16) as u8).collect();
        both_ways(
            Params::CRYPTFLOW2,
            |s| {
                s.one_of_n_send(4, Width::of(2), n, |i, t| {
                    t.iter_mut().enumerate().for_each(|(j, m)| *m = (i * j) as u64 & 3);
                })
            },
            |s| s.one_of_n_receive(4, Width::of(2), &choices),
            |(), got| assert!((0..n).all(|i| got[i] == (i * usize::from(choices[i])) as u64 & 3)),
            |sender| Params::CRYPTFLOW2.one_of_n_cost(sender, n, 4, Width::of(2)),
        );
    }
}

#[test]
fn triples_multiply() {
    for n in [1usize, 2, 63, 1001] {
        for params in [Params::CRYPTFLOW2, Params::IDEAL, softspoken_with(8)] {
            let out = run_pair(params, 3, |s| s.bit_triples(n), |s| s.bit_triples(n));
            out.assert_cost(triple::cost(params.one_of_n, params.rcot, Role::P0, n));
            let (x, y) = (&out.p0, &out.p1);
            let (a, b, c) = (&x.a ^ &y.a, &x.b ^ &y.b, &x.c ^ &y.c);
            assert_eq!(&a & &b, c);
        }
    }
}

#[test]
fn parts_of_every_shape_go_in_one_round() {
    let parts =
        [(4, 2, 5000, false), (1, 1, 3, true), (8, 41, 0, true), (2, 64, 129, false), (3, 7, 4097, true)]
            .map(|(index_bits, bits, count, shared)| Part {
                index_bits,
                width: Width::of(bits),
                count,
                shared,
            });
    let choices =
        parts.map(|p| (0..p.count).map(|i| (i * 5 % (1 << p.index_bits)) as u8).collect::<Vec<_>>());
    let message =
        |part: usize, i: usize, j: usize| parts[part].width.reduce((part * 1000 + i * 31 + j) as u64);
    for params in [Params::CRYPTFLOW2, IKNP] {
        both_ways(
            params,
            |s| {
                s.one_of_n_send_all(&parts, |part, i, table| {
                    table.iter_mut().enumerate().for_each(|(j, m)| *m = message(part, i, j));
                })
            },
            |s| s.one_of_n_receive_all(&parts, &choices.each_ref().map(Vec::as_slice)),
            |own, got| {
                for (part, got) in got.iter().enumerate() {
                    assert_eq!(own[part].len(), if parts[part].shared { parts[part].count } else { 0 });
                    for (i, (&choice, got)) in choices[part].iter().zip(got).enumerate() {
                        let share = own[part].get(i).copied().unwrap_or(0);
                        assert_eq!(got ^ share, message(part, i, choice.into()));
                        assert!(share <= parts[part].width.mask());
                    }
                }
                // Shares are not the messages.
                let whole = |i: usize| own[4][i] == message(4, i, choices[4][i].into());
                assert!((0..parts[4].count).filter(|&i| whole(i)).count() < 200);
            },
            |sender| params.one_of_n_cost_all(sender, &parts),
        );
        assert_eq!(params.one_of_n_cost_all(Role::P0, &parts).rounds(), 1);
    }
}
