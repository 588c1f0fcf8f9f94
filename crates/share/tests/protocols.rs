//! Sharing an input and opening shares: the values come back, at the predicted cost.

use copriv_bits::{BitVec, Block};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_share::{
    Arithmetic, Boolean, open_cost, open_to, reveal, reveal_cost, share_input, share_input_cost,
};
use copriv_testkit::{channel_pair, run_channels};
use copriv_wire::{Error, Role};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_input_is_shared_and_opened(bits in 1u32..=64, n in 0usize..200, owner_is_p0: bool, seed: u64) {
        let (width, owner) = (Width::of(bits), if owner_is_p0 { Role::P0 } else { Role::P1 });
        let input = Prg::from_seed(Block::new(seed, 0)).ring(width, n);
        let party = |role: Role| {
            let input = (role == owner).then(|| input.clone());
            move |c: &mut copriv_channel::Channel| {
                let mut prg = Prg::from_seed(Block::new(seed, 1));
                let shares = share_input(c, &mut prg, owner, width, n, input.as_ref())?;
                let own = shares.own().clone();
                Ok((own, open_to(c, owner.peer(), &shares)?))
            }
        };
        let out = run_channels(copriv_channel::memory(), party(Role::P0), party(Role::P1));
        out.assert_cost(share_input_cost(owner, width, n) + open_cost(owner.peer(), width, n));
        let ((own0, opened0), (own1, opened1)) = (out.p0.unwrap(), out.p1.unwrap());
        prop_assert_eq!(&own0 + &own1, input.clone());
        let (at_owner, at_peer) = if owner_is_p0 { (opened0, opened1) } else { (opened1, opened0) };
        prop_assert_eq!(at_peer, Some(input));
        prop_assert_eq!(at_owner, None);
    }

    #[test]
    fn bits_are_revealed_to_both(n in 0usize..300, seed: u64) {
        let mut prg = Prg::from_seed(Block::new(seed, 0));
        let (a, b) = (prg.bits(n), prg.bits(n));
        let out = run_channels(
            copriv_channel::memory(),
            |c| reveal(c, &Boolean::new(a.clone())),
            |c| reveal(c, &Boolean::new(b.clone())),
        );
        out.assert_cost(reveal_cost(n));
        prop_assert_eq!(out.p0.unwrap(), &a ^ &b);
        prop_assert_eq!(out.p1.unwrap(), &a ^ &b);
    }

    #[test]
    fn linear_operations_are_local(bits in 1u32..=64, n in 1usize..50, k: u64, seed: u64) {
        let width = Width::of(bits);
        let mut prg = Prg::from_seed(Block::new(seed, 0));
        let [x0, x1, y0, y1] = [(); 4].map(|()| Arithmetic::new(prg.ring(width, n)));
        let open = |a: Arithmetic, b: Arithmetic| a.own() + b.own();
        let (x, y) = (x0.own() + x1.own(), y0.own() + y1.own());
        prop_assert_eq!(open(&x0 + &y0, &x1 + &y1), &x + &y);
        prop_assert_eq!(open(&x0 - &y0, &x1 - &y1), &x - &y);
        prop_assert_eq!(open(-&x0, -&x1), -&x);
        prop_assert_eq!(open(x0.scale(k), x1.scale(k)), x.scale(k));
        prop_assert_eq!(open(x0.offset(Role::P0, k), x1.offset(Role::P1, k)), x.offset(k));
        let public = open(Arithmetic::public(Role::P0, &x), Arithmetic::public(Role::P1, &x));
        prop_assert_eq!(public, x);
        let bit = Boolean::new(prg.bits(n));
        let not = &bit.not(Role::P0) ^ &bit.not(Role::P1);
        prop_assert_eq!(not.own(), &BitVec::from_fn(n, |_| true));
    }
}

#[test]
fn a_share_of_another_shape_is_refused() {
    let (mut c0, mut c1) = channel_pair();
    let shares = Arithmetic::new(RingVec::zeros(Width::of(8), 3));
    open_to(&mut c0, Role::P1, &shares).unwrap();
    let other = Arithmetic::new(RingVec::zeros(Width::of(9), 3));
    assert!(matches!(open_to(&mut c1, Role::P1, &other), Err(Error::Wire { .. })));
}

#[test]
fn debug_tells_no_share() {
    let shares = Arithmetic::new(RingVec::from_signed(Width::of(37), &[123_456_789]));
    assert_eq!(format!("{shares:?}"), "Arithmetic(RingVec(1 x 37 bits))");
}
