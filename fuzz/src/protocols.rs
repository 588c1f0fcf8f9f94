//! Every step in which a party of a protocol hears the other.

use crate::Target;
use crate::files::{OPTIONS, tiny};
use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_linear::{Chooser, Product, product};
use copriv_nonlinear::{Sign, Windows, argmax, clip, extend, maxpool, relu_truncate, truncate};
use copriv_ot::iknp::{IknpReceiver, IknpSender};
use copriv_ot::kk13::{self, Kk13Receiver, Kk13Sender};
use copriv_ot::one_of_n::{OneOfNReceiver, OneOfNSender, Part};
use copriv_ot::{RcotReceiver, RcotSender, base, chosen, cot, iknp, triple};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_runner::{Client, EntryId, Model, Reveal, Server, Settings, Source, Stock, Store, Suite};
use copriv_session::{Params, Session, agree, hello};
use copriv_share::{Arithmetic, Boolean, open_to, reveal, share_input};
use copriv_testkit::dealer;
use copriv_wire::{Error, Result, Role};

use Role::{P0, P1};

pub const TARGETS: &[Target] = &[
    Target::party("session_hello", (P0, |mut c| hello(&mut c)), (P1, |mut c| hello(&mut c))),
    Target::party(
        "session_agree",
        (P0, |mut c| agree(&mut c, "x", [7; 32])),
        (P1, |mut c| agree(&mut c, "x", [7; 32])),
    ),
    Target::party("session_setup_p0", (P0, setup), (P1, setup)),
    Target::party("session_setup_p1", (P1, setup), (P0, setup)),
    Target::party("ot_base_send", (P0, base_send), (P1, base_receive)),
    Target::party("ot_base_receive", (P1, base_receive), (P0, base_send)),
    Target::party("ot_iknp_send", (P0, iknp_send), (P1, iknp_receive)),
    Target::party("ot_flips", (P0, flips_send), (P1, flips_receive)),
    Target::party("ot_cot_receive", (P1, cot_receive), (P0, cot_send)),
    Target::party("ot_chosen_receive", (P1, chosen_receive), (P0, chosen_send)),
    Target::party("ot_one_of_n_receive", (P1, one_of_n_receive), (P0, one_of_n_send)),
    Target::party("ot_kk13_send", (P0, kk13_send), (P1, kk13_receive)),
    Target::party("ot_kk13_receive", (P1, kk13_receive), (P0, kk13_send)),
    Target::party("ot_triple_receive", (P1, triple_receive), (P0, triple_send)),
    Target::party("share_input", (P1, input), (P0, input)),
    Target::party("share_open", (P1, open), (P0, open)),
    Target::party("share_reveal", (P0, revealed), (P1, revealed)),
    Target::party("nonlinear_p0", (P0, nonlinear), (P1, nonlinear)),
    Target::party("nonlinear_p1", (P1, nonlinear), (P0, nonlinear)),
    Target::party("runner_server", (P0, server), (P1, client)),
    Target::party("runner_client", (P1, client), (P0, server)),
    Target::party("runner_server_stored", (P0, server_stored), (P1, client_stored)),
    Target::party("runner_client_stored", (P1, client_stored), (P0, server_stored)),
    Target::party("linear_weights_p0", (P0, linear_weights), (P1, linear_weights)),
    Target::party("linear_weights_p1", (P1, linear_weights), (P0, linear_weights)),
    Target::party("linear_activations_p0", (P0, linear_activations), (P1, linear_activations)),
    Target::party("linear_activations_p1", (P1, linear_activations), (P0, linear_activations)),
];

/// OTs in a batch: two squares of 128, the second incomplete.
const COUNT: usize = 131;

const WIDTH: Width = Width::of(37);

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 0xF0))
}

/// This party's end of a session whose RCOTs come from the ideal dealer.
fn session(c: Channel) -> Session {
    let ((s0, r0), (s1, r1)) = (dealer(Block::new(1, 2)), dealer(Block::new(1, 3)));
    let (role, one_of_n) = (c.role(), (OneOfNSender::Rcot, OneOfNReceiver::Rcot));
    let prg = prg(role.index() as u64);
    match role {
        P0 => Session::from_parts(c, prg, Params::IDEAL, (Box::new(s0), Box::new(r1)), one_of_n),
        P1 => Session::from_parts(c, prg, Params::IDEAL, (Box::new(s1), Box::new(r0)), one_of_n),
    }
}

fn setup(c: Channel) -> Result<()> {
    let seed = c.role().index() as u64;
    Session::setup(c, prg(seed), Params::CRYPTFLOW2).map(drop)
}

/// `count` pairs of keys, and the keys that the bits of `choices` choose.
fn base_keys(choices: &[Block], count: usize) -> (Vec<[Block; 2]>, Vec<Block>) {
    let mut prg = prg(4);
    let pairs: Vec<[Block; 2]> = (0..count).map(|_| [prg.block(), prg.block()]).collect();
    let chosen = |(i, pair): (usize, &[Block; 2])| pair[usize::from(choices[i / 128].bit(i % 128))];
    let keys = pairs.iter().enumerate().map(chosen).collect();
    (pairs, keys)
}

fn base_send(mut c: Channel) -> Result<()> {
    base::send(&mut c, &mut prg(1), 2).map(drop)
}

fn base_receive(mut c: Channel) -> Result<()> {
    base::receive(&mut c, &mut prg(2), &BitVec::from_fn(2, |i| i == 1)).map(drop)
}

fn iknp_send(mut c: Channel) -> Result<()> {
    let delta = prg(3).block();
    let mut sender = IknpSender::new(delta, &base_keys(&[delta], iknp::BASE_OTS).1);
    sender.extend(&mut c, &mut [Block::ZERO; COUNT])?;
    sender.extend_chosen(&mut c, &mut [Block::ZERO; 128])
}

fn iknp_receive(mut c: Channel) -> Result<()> {
    let delta = prg(3).block();
    let mut receiver = IknpReceiver::new(&base_keys(&[delta], iknp::BASE_OTS).0, prg(5));
    receiver.extend(&mut c, &mut [Block::ZERO; COUNT])?;
    receiver.extend_chosen(&mut c, &prg(6).bits(128), &mut [Block::ZERO; 128])
}

fn flips_send(mut c: Channel) -> Result<()> {
    dealer(Block::ONES).0.extend_chosen(&mut c, &mut [Block::ZERO; COUNT])
}

fn flips_receive(mut c: Channel) -> Result<()> {
    dealer(Block::ONES).1.extend_chosen(&mut c, &prg(1).bits(COUNT), &mut [Block::ZERO; COUNT])
}

fn cot_send(mut c: Channel) -> Result<()> {
    cot::send(&mut c, &mut dealer(Block::ONES).0, 3, &prg(1).ring(WIDTH, 3 * COUNT)).map(drop)
}

fn cot_receive(mut c: Channel) -> Result<()> {
    let got = cot::receive(&mut c, &mut dealer(Block::ONES).1, WIDTH, 3, &prg(2).bits(COUNT))?;
    assert_eq!((got.width(), got.len()), (WIDTH, 3 * COUNT));
    Ok(())
}

fn chosen_send(mut c: Channel) -> Result<()> {
    let [m0, m1] = [1, 2].map(|seed| prg(seed).ring(WIDTH, COUNT));
    chosen::send(&mut c, &mut dealer(Block::ONES).0, [&m0, &m1])
}

fn chosen_receive(mut c: Channel) -> Result<()> {
    let got = chosen::receive(&mut c, &mut dealer(Block::ONES).1, WIDTH, &prg(3).bits(COUNT))?;
    assert_eq!((got.width(), got.len()), (WIDTH, COUNT));
    Ok(())
}

/// Tables of 16 messages of 5 bits.
const INDEX_BITS: u32 = 4;
const MESSAGE: Width = Width::of(5);
const PART: Part = Part::chosen(INDEX_BITS, MESSAGE, COUNT);

fn choices() -> Vec<u8> {
    (0..COUNT).map(|i| (i % 16) as u8).collect()
}

fn table(_part: usize, i: usize, messages: &mut [u64]) {
    messages.iter_mut().enumerate().for_each(|(j, m)| *m = (i * j) as u64 & MESSAGE.mask());
}

fn one_of_n_send(mut c: Channel) -> Result<()> {
    OneOfNSender::Rcot.send(&mut c, &mut dealer(Block::ONES).0, &[PART], table).map(drop)
}

fn one_of_n_receive(mut c: Channel) -> Result<()> {
    one_of_n_received(&mut c, &mut OneOfNReceiver::Rcot)
}

fn one_of_n_received(c: &mut Channel, receiver: &mut OneOfNReceiver) -> Result<()> {
    let got = receiver.receive(c, &mut dealer(Block::ONES).1, &[PART], &[&choices()])?.concat();
    assert!(got.len() == COUNT && got.iter().all(|&m| MESSAGE.contains(m)));
    Ok(())
}

fn kk13_send(mut c: Channel) -> Result<()> {
    let s = [prg(7).block(), prg(8).block()];
    let sender = Kk13Sender::setup(&mut c, s, &base_keys(&s, kk13::BASE_OTS).1)?;
    let mut sender = OneOfNSender::Kk13(Box::new(sender));
    sender.send(&mut c, &mut dealer(Block::ONES).0, &[PART], table).map(drop)
}

fn kk13_receive(mut c: Channel) -> Result<()> {
    let s = [prg(7).block(), prg(8).block()];
    let receiver = Kk13Receiver::setup(&mut c, &base_keys(&s, kk13::BASE_OTS).0, &mut prg(9))?;
    one_of_n_received(&mut c, &mut OneOfNReceiver::Kk13(Box::new(receiver)))
}

fn triple_send(mut c: Channel) -> Result<()> {
    triple::send(&mut c, &mut OneOfNSender::Rcot, &mut dealer(Block::ONES).0, &mut prg(1), COUNT).map(drop)
}

fn triple_receive(mut c: Channel) -> Result<()> {
    let got =
        triple::receive(&mut c, &mut OneOfNReceiver::Rcot, &mut dealer(Block::ONES).1, &mut prg(2), COUNT)?;
    assert_eq!([got.a.len(), got.b.len(), got.c.len()], [COUNT; 3]);
    Ok(())
}

fn input(mut c: Channel) -> Result<()> {
    let own = (c.role() == P0).then(|| prg(1).ring(WIDTH, COUNT));
    share_input(&mut c, &mut prg(2), P0, WIDTH, COUNT, own.as_ref()).map(drop)
}

fn open(mut c: Channel) -> Result<()> {
    open_to(&mut c, P1, &Arithmetic::new(prg(1).ring(WIDTH, COUNT))).map(drop)
}

fn revealed(mut c: Channel) -> Result<()> {
    reveal(&mut c, &Boolean::new(prg(1).bits(COUNT))).map(drop)
}

fn linear_weights(c: Channel) -> Result<()> {
    linear(c, Chooser::Weights { bits: 3 })
}

fn linear_activations(c: Channel) -> Result<()> {
    linear(c, Chooser::Activations)
}

/// Two groups of a 2x3 matrix, its entries -1, times a 3x5 matrix.
fn linear(c: Channel, chooser: Chooser) -> Result<()> {
    let product = Product { groups: 2, rows: 2, inner: 3, cols: 5, width: WIDTH, chooser };
    let own = match c.role() {
        P0 => RingVec::from_signed(WIDTH, &[-1; 12]),
        P1 => prg(1).ring(WIDTH, 30),
    };
    let got = product::matmul(&mut session(c), &product, own.words())?;
    assert_eq!((got.width(), got.len()), (WIDTH, product.output_len()));
    Ok(())
}

/// What a network's layers do to shared values, one after the other.
fn nonlinear(c: Channel) -> Result<()> {
    let mut s = session(c);
    let x = Arithmetic::new(prg(s.role().index() as u64).ring(WIDTH, 24));
    let (_, sign) = relu_truncate::relu_truncate(&mut s, &x, 9)?;
    assert_eq!(sign.len(), x.len());
    s.params.digit_bits = 2;
    relu_truncate::relu_truncate_top(&mut s, &x, 9, 12)?;
    relu_truncate::relu_truncate_one_bit(&mut s, &x, 9, 12)?;
    s.params.digit_bits = 4;
    let x = clip::clip(&mut s, &x, -5, 1 << 20)?;
    let x = truncate::trunc_faithful(&mut s, &x, 12, Sign::Unknown)?;
    let x = maxpool::maxpool(&mut s, &x, &Windows::rows(6, 4))?;
    let x = extend::extend_signed(&mut s, &x, Width::of(41), Sign::Unknown)?;
    let row = Windows::rows(1, x.len());
    let x = argmax::argmax(&mut s, &x, &row, argmax::index_width(&row))?;
    assert_eq!((x.width(), x.len()), (argmax::index_width(&row), 1));
    Ok(())
}

fn model() -> Model {
    let lowered = copriv_ir::lower(&tiny(), OPTIONS).expect("the network is valid");
    Model::new(&lowered, &Settings::new(Suite::Best, Reveal::Label)).expect("the network is valid")
}

fn server(c: Channel) -> Result<()> {
    let model = model();
    let mut server = Server::accept(c, prg(0), &model).map_err(error)?;
    server.serve(&mut |_| ()).map(drop).map_err(error)
}

fn client(c: Channel) -> Result<()> {
    let mut client = Client::connect(c, prg(1), None).map_err(error)?;
    let architecture = &client.offer().architecture;
    let (shape, width) = (architecture.input_shape(), architecture.width);
    // A client has a picture of its own, which is not of any size that a server likes.
    if shape.len() > 1 << 12 {
        return Ok(());
    }
    client.infer(&RingVec::zeros(width, shape.len()), Source::OnTheFly, &mut |_| ()).map(drop).map_err(error)
}

/// A store of its own for a run, in memory where there is such a folder.
fn with_store(run: impl FnOnce(&Store) -> Result<()>) -> Result<()> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    run(&Store::open(&folder.path().join("store")).expect("a new store"))
}

fn server_stored(c: Channel) -> Result<()> {
    with_store(|store| {
        // The same each time, as the seed has it.
        store.identity(EntryId([7; 16])).expect("a new store");
        let model = model()
            .with_stock(Stock::new(store.clone(), 2).expect("the store is sound"))
            .expect("a short offer");
        let mut server = Server::accept(c, prg(0), &model).map_err(error)?;
        while server.serve(&mut |_| ()).map_err(error)?.is_some() {}
        Ok(())
    })
}

fn client_stored(c: Channel) -> Result<()> {
    with_store(|store| {
        let mut client = Client::connect(c, prg(1), None).map_err(error)?;
        let architecture = &client.offer().architecture;
        let (shape, width) = (architecture.input_shape(), architecture.width);
        if shape.len() > 1 << 12 {
            return Ok(());
        }
        client.preprocess(store, &mut |_| ()).map_err(error)?;
        let input = RingVec::zeros(width, shape.len());
        client.infer(&input, Source::StoreOrOnTheFly(store), &mut |_| ()).map(drop).map_err(error)
    })
}

/// The runner's errors as those of a protocol.
fn error(e: copriv_runner::Error) -> Error {
    Error::peer("inference", "none of this", e)
}
