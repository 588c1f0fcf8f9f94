//! Plans against the direct convolution, bit for bit.

use copriv_ring::Width;
use copriv_winograd::{Axis, Domain, Integers, Plan, Reals, Ring, Tiling, direct, naive};
use proptest::prelude::*;

fn axis(kernel: usize, stride: usize) -> impl Strategy<Value = Axis> {
    (1usize..=13, 0usize..=2, 0usize..=2).prop_map(move |(size, before, after)| Axis {
        size,
        kernel,
        stride,
        before,
        after,
    })
}

fn tiling() -> impl Strategy<Value = Tiling> {
    let sizes = |largest: usize| prop::collection::vec(1..=largest, 1..4);
    prop_oneof![
        4 => (axis(3, 1), sizes(6)),
        2 => (axis(3, 2), sizes(4)),
        1 => (axis(2, 1), sizes(7)),
        1 => (axis(1, 2), sizes(4)),
        1 => (axis(5, 1), sizes(4)),
        1 => (axis(5, 2), sizes(6)),
    ]
    .prop_map(|(axis, allowed)| Tiling::new(axis, &allowed).expect("standard sizes"))
}

/// A plan, filters and channels.
fn case() -> impl Strategy<Value = (Plan, usize, usize)> {
    (tiling(), tiling(), 1usize..=3, 1usize..=3).prop_map(|(rows, cols, k, c)| (Plan::new(rows, cols), k, c))
}

/// Words of a ring: any, or the extremes.
fn words(width: Width, seed: u64, n: usize) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        // SplitMix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let extremes = [0, 1, u64::MAX, 1 << (width.bits() - 1), (1 << (width.bits() - 1)) - 1];
    let word = |x: u64, y: u64| if seed.is_multiple_of(3) { extremes[x as usize % 5] } else { y };
    (0..n).map(|_| width.reduce(word(next(), next()))).collect()
}

struct Shape {
    weights: usize,
    map: usize,
}

fn shape(plan: &Plan, k: usize, c: usize) -> Shape {
    let (rows, cols) = (plan.rows().axis(), plan.cols().axis());
    Shape { weights: k * c * rows.kernel * cols.kernel, map: c * rows.size * cols.size }
}

fn winograd<D: Domain>(
    domain: &D,
    plan: &Plan,
    (k, c): (usize, usize),
    weights: &[D::Word],
    map: &[D::Word],
) -> Vec<D::Word> {
    let (u, v) = (plan.filters(domain, k * c, weights), plan.inputs(domain, c, map));
    plan.outputs(domain, k, &naive::products(domain, plan, (k, c), &u, &v))
}

/// Both transforms, the products and the way back, against the definitions, word by word.
fn assert_definitions<D: Domain>(
    domain: &D,
    plan: &Plan,
    (k, c): (usize, usize),
    seed: u64,
    word: impl Fn(u64) -> D::Word,
    equal: impl Fn(D::Word, D::Word) -> bool,
) {
    let Shape { weights, map } = shape(plan, k, c);
    let draw = |seed, n| words(Width::of(64), seed, n).into_iter().map(&word).collect::<Vec<_>>();
    let assert_equal = |what: &str, fast: &[D::Word], definition: &[D::Word]| {
        assert_eq!(fast.len(), definition.len(), "{what}");
        let differ = fast.iter().zip(definition).position(|(&x, &y)| !equal(x, y));
        assert_eq!(differ, None, "{what} of {plan:?}");
    };
    let weights = draw(seed, weights);
    let u = naive::filters(domain, plan, k * c, &weights);
    assert_equal("filters", &plan.filters(domain, k * c, &weights), &u);
    let map = draw(seed ^ 1, map);
    let v = naive::inputs(domain, plan, c, &map);
    assert_equal("inputs", &plan.inputs(domain, c, &map), &v);
    let products = naive::products(domain, plan, (k, c), &u, &v);
    assert_equal("products", &plan.multiply(domain, (k, c), &u, &v), &products);
    let products = draw(seed ^ 2, products.len());
    let outputs = naive::outputs(domain, plan, k, &products);
    assert_equal("outputs", &plan.outputs(domain, k, &products), &outputs);
}

fn add(width: Width, a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(&a, &b)| width.reduce(a.wrapping_add(b))).collect()
}

proptest! {
    #[test]
    fn plan_is_the_convolution_times_a_power_of_two((plan, k, c) in case(), l in 8u32..=64, seed: u64) {
        let width = Width::of(l);
        let Shape { weights, map } = shape(&plan, k, c);
        let (weights, map) = (words(width, seed, weights), words(width, seed ^ 1, map));
        let axes = (plan.rows().axis(), plan.cols().axis());
        let direct = naive::convolution(&Ring(width), axes, (k, c), &weights, &map);
        let scaled: Vec<u64> = direct.iter().map(|x| width.reduce(x << plan.headroom())).collect();
        prop_assert_eq!(winograd(&Ring(width), &plan, (k, c), &weights, &map), scaled);
    }

    #[test]
    fn transforms_are_their_definitions((plan, k, c) in case(), l in 8u32..=64, seed: u64) {
        let (width, ring) = (Width::of(l), Ring(Width::of(l)));
        assert_definitions(&ring, &plan, (k, c), seed, |x| width.reduce(x), |x, y| x == y);
        assert_definitions(&Integers, &plan, (k, c), seed, |x| x as i64, |x, y| x == y);
        let real = |x: u64| (x as i32 >> 16) as f64 / 256.0;
        assert_definitions(&Reals, &plan, (k, c), seed, real, |x, y| (x - y).abs() <= 1e-6 * x.abs().max(1.0));
    }

    #[test]
    fn convolutions_are_the_definition((plan, k, c) in case(), l in 8u32..=64, seed: u64) {
        let (width, ring) = (Width::of(l), Ring(Width::of(l)));
        let (k, c) = (3 * k, 5 * c);
        let Shape { weights, map } = shape(&plan, k, c);
        let (weights, map) = (words(width, seed, weights), words(width, seed ^ 1, map));
        let axes = (plan.rows().axis(), plan.cols().axis());
        let definition = naive::convolution(&ring, axes, (k, c), &weights, &map);
        prop_assert_eq!(&direct::convolution(&ring, axes, (k, c), &weights, &map), &definition);
        let scaled: Vec<u64> = definition.iter().map(|x| width.reduce(x << plan.headroom())).collect();
        prop_assert_eq!(plan.convolve(&ring, k, c, &weights, &map), scaled);
    }

    #[test]
    fn shifted_bits_of_the_products_do_not_matter((plan, k, c) in case(), l in 16u32..=64, seed: u64) {
        let width = Width::of(l);
        let Shape { weights, map } = shape(&plan, k, c);
        let (weights, map) = (words(width, seed, weights), words(width, seed ^ 1, map));
        let (u, v) = (plan.filters(&Ring(width), k * c, &weights), plan.inputs(&Ring(width), c, &map));
        let products = naive::products(&Ring(width), &plan, (k, c), &u, &v);
        let mut noisy = add(width, &products, &vec![0; products.len()]);
        let noise = words(width, seed ^ 2, products.len());
        for (p, position) in plan.positions().iter().enumerate() {
            for i in plan.output_range(p, k) {
                let high = noise[i].checked_shl(l - position.shift).unwrap_or(0);
                noisy[i] = width.reduce(noisy[i].wrapping_add(high));
            }
        }
        prop_assert_eq!(plan.outputs(&Ring(width), k, &noisy), plan.outputs(&Ring(width), k, &products));
    }

    #[test]
    fn transforms_are_linear((plan, k, c) in case(), l in 8u32..=64, seed: u64) {
        let (width, ring) = (Width::of(l), Ring(Width::of(l)));
        let pair = |n| (words(width, seed, n), words(width, seed ^ 1, n));
        let Shape { weights, map } = shape(&plan, k, c);
        let (a, b) = pair(weights);
        let sum = add(width, &plan.filters(&ring, k * c, &a), &plan.filters(&ring, k * c, &b));
        prop_assert_eq!(plan.filters(&ring, k * c, &add(width, &a, &b)), sum);
        let (a, b) = pair(map);
        let sum = add(width, &plan.inputs(&ring, c, &a), &plan.inputs(&ring, c, &b));
        prop_assert_eq!(plan.inputs(&ring, c, &add(width, &a, &b)), sum);
        let (a, b) = pair(k * plan.products());
        let sum = add(width, &plan.outputs(&ring, k, &a), &plan.outputs(&ring, k, &b));
        prop_assert_eq!(plan.outputs(&ring, k, &add(width, &a, &b)), sum);
    }

    #[test]
    fn integers_and_reals_agree_with_the_definition((plan, k, c) in case(), seed: u64) {
        let Shape { weights, map } = shape(&plan, k, c);
        let small = |seed, n| -> Vec<i64> {
            words(Width::of(8), seed, n).iter().map(|&x| Width::of(8).to_signed(x)).collect()
        };
        let (weights, map) = (small(seed, weights), small(seed ^ 1, map));
        let axes = (plan.rows().axis(), plan.cols().axis());
        let definition = naive::convolution(&Integers, axes, (k, c), &weights, &map);
        let scaled: Vec<i64> = definition.iter().map(|x| x << plan.headroom()).collect();
        prop_assert_eq!(&winograd(&Integers, &plan, (k, c), &weights, &map), &scaled);
        prop_assert_eq!(&plan.convolve(&Integers, k, c, &weights, &map), &scaled);
        prop_assert_eq!(direct::convolution(&Integers, axes, (k, c), &weights, &map), definition);
        let real = |x: &[i64]| x.iter().map(|&x| x as f64).collect::<Vec<_>>();
        for (got, expected) in plan.convolve(&Reals, k, c, &real(&weights), &real(&map)).iter().zip(scaled) {
            prop_assert!((got - expected as f64).abs() < 0.01, "{} is not {}", got, expected);
        }
    }

    #[test]
    fn norms_bound_the_filters((plan, k, c) in case(), bits in 2u32..=12, seed: u64) {
        let width = Width::of(bits);
        let weights: Vec<i64> =
            words(width, seed, shape(&plan, k, c).weights).iter().map(|&x| width.to_signed(x)).collect();
        let largest = weights.iter().map(|x| x.unsigned_abs()).max().unwrap();
        let u = plan.filters(&Integers, k * c, &weights);
        for (p, position) in plan.positions().iter().enumerate() {
            let most = 1i64 << (position.filter_bits(bits) - 1);
            for &u in &u[plan.filter_range(p, k, c)] {
                prop_assert!(u.unsigned_abs() <= position.filter_norm * largest);
                prop_assert!((-most..most).contains(&u));
            }
        }
    }

    #[test]
    fn norms_bound_the_inputs((plan, _, c) in case(), seed: u64) {
        let width = Width::of(12);
        let map: Vec<i64> = words(width, seed, shape(&plan, 1, c).map).iter().map(|&x| width.to_signed(x)).collect();
        let largest = map.iter().map(|x| x.unsigned_abs()).max().unwrap();
        let v = plan.inputs(&Integers, c, &map);
        for (p, position) in plan.positions().iter().enumerate() {
            let v = &v[plan.input_range(p, c)];
            prop_assert!(v.iter().all(|v| v.unsigned_abs() <= position.input_norm * largest));
        }
    }

    #[test]
    fn norms_are_attained(rows in tiling(), cols in tiling()) {
        let plan = Plan::new(rows.clone(), cols.clone());
        let mut p = 0;
        for row in rows.transforms() {
            for col in cols.transforms() {
                for (row, col) in row.filter().iter().flat_map(|row| col.filter().iter().map(move |col| (row, col))) {
                    let signs: Vec<i64> =
                        row.iter().flat_map(|x| col.iter().map(move |y| (x * y).signum())).collect();
                    let u = plan.filters(&Integers, 1, &signs);
                    prop_assert_eq!(u[p].unsigned_abs(), plan.positions()[p].filter_norm);
                    p += 1;
                }
            }
        }
        prop_assert_eq!(p, plan.positions().len());
    }

    /// Against all covers by at most three sizes.
    #[test]
    fn no_cover_has_fewer_products(size in 1usize..=40, sizes in prop::array::uniform3(1usize..=6)) {
        let tiling = Tiling::new(Axis { size, kernel: 3, stride: 1, before: 1, after: 1 }, &sizes).unwrap();
        let all = |m: usize| 0..=size.div_ceil(m);
        let covers = all(sizes[0]).flat_map(|a| all(sizes[1]).flat_map(move |b| all(sizes[2]).map(move |c| [a, b, c])));
        let least = covers
            .map(|counts| counts.iter().zip(sizes).map(|(n, m)| (n * m, n * (m + 2))).fold((0, 0), |s, t| (s.0 + t.0, s.1 + t.1)))
            .filter(|&(outputs, _)| outputs >= size)
            .map(|(_, products)| products)
            .min();
        prop_assert_eq!(Some(tiling.products()), least);
    }

    #[test]
    fn tiles_cover_each_output_once(tiling in tiling()) {
        let mut next = 0;
        for tile in tiling.tiles() {
            prop_assert_eq!(tile.start, next);
            prop_assert!(next < tiling.axis().outputs());
            next += tiling.transforms()[tile.kind].outputs();
        }
        prop_assert!(next >= tiling.axis().outputs());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Enough channels and filters for full lanes and several threads' blocks, and some beyond.
    #[test]
    fn transforms_of_many_channels((plan, _, _) in case(), k in 30usize..70, c in 30usize..70, l in 8u32..=64, seed: u64) {
        let (width, ring) = (Width::of(l), Ring(Width::of(l)));
        assert_definitions(&ring, &plan, (k, c), seed, |x| width.reduce(x), |x, y| x == y);
        let real = |x: u64| (x as i32 >> 16) as f64 / 256.0;
        assert_definitions(&Reals, &plan, (k, c), seed, real, |x, y| (x - y).abs() <= 1e-6 * x.abs().max(1.0));
    }
}

#[test]
fn products_of_the_strided_tiles() {
    for (m, products) in [(2, 25), (3, 49), (4, 81)] {
        let axis = Axis { size: 2 * m, kernel: 3, stride: 2, before: 1, after: 0 };
        let tiling = Tiling::new(axis, &[m]).unwrap();
        assert_eq!(Plan::new(tiling.clone(), tiling).products(), products);
    }
}

#[test]
fn growth_in_bits() {
    let growth = |m| {
        let axis = Axis { size: m, kernel: 3, stride: 1, before: 1, after: 1 };
        let tiling = Tiling::new(axis, &[m]).unwrap();
        Plan::new(tiling.clone(), tiling).positions().iter().map(|p| p.filter_bits(0)).max()
    };
    assert_eq!((growth(2), growth(4), growth(6)), (Some(4), Some(6), Some(6)));
}
