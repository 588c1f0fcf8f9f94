//! The sets of silent OT against the attacks on LPN with regular noise, by the formulas of the publications: an estimate of
//! what they cost, log2 of bit operations, on a grid of their parameters.

use copriv_ot::silent::Set;

/// N, k, t and the bits of each attack as in the documentation of [`Set`]: hybrid (150 where it costs more), ISD, algebraic, refined,
/// Gauss.
const TABLE: [(Set, [usize; 3], [f64; 5]); 8] = [
    (Set::NARROW_12, [10_240, 1 << 12, 160], [150.0, 128.9, 157.8, 149.0, 148.9]),
    (Set::NARROW_13, [26_624, 1 << 13, 208], [150.0, 128.8, 155.7, 147.7, 144.8]),
    (Set::NARROW_14, [77_824, 1 << 14, 304], [135.0, 128.7, 153.3, 144.5, 141.3]),
    (Set::NARROW_16, [872_448, 1 << 16, 852], [128.7, 132.5, 146.0, 134.5, 139.6]),
    (Set::WIDE_16, [870_400, 1 << 16, 850], [128.7, 132.5, 145.8, 134.4, 139.6]),
    (Set::WIDE_17, [2_396_160, 1 << 17, 1170], [128.2, 136.5, 144.7, 132.7, 141.7]),
    (Set::NARROW_18, [6_225_920, 1 << 18, 1520], [128.1, 140.6, 144.4, 131.8, 144.2]),
    (Set::NARROW_19, [15_564_800, 1 << 19, 1900], [128.2, 144.8, 143.7, 130.9, 146.8]),
];

#[test]
fn the_sets_are_those_of_the_table_and_have_128_bits() {
    for (set, nkt, bits) in TABLE {
        let lanes = if set.wide { 4 } else { 1 };
        assert_eq!([set.outputs() / lanes, 1 << set.log_k, set.trees], nkt);
        let [n, k, t] = nkt.map(|x| x as f64);
        let monomials = monomials(n, k, t);
        let got = [
            hybrid(n, k, t).min(150.0),
            regular_isd(n, k, t),
            algebraic(n, k, t, &monomials),
            refined_algebraic(n, k, t, &monomials),
            gauss(n - t, k - t, t),
        ];
        for (got, want) in got.iter().zip(bits) {
            assert!((got - want).abs() < 0.3, "{nkt:?}: {got:.1?}, not {bits:?}");
        }
        assert!(bits.iter().all(|&bits| bits >= 128.0));
    }
}

fn choose(n: f64, r: u32) -> f64 {
    (0..r).map(|i| (n - f64::from(i)) / f64::from(i + 1)).product()
}

fn log2_choose(n: f64, r: f64) -> f64 {
    (0..r as usize).map(|i| ((n - i as f64) / (i as f64 + 1.0)).log2()).sum()
}

/// Pooled Gauss on the instance without the t rows that regularity gives (ePrint 2022/712, with Strassen's exponent).
fn gauss(n: f64, k: f64, t: f64) -> f64 {
    let all_clean: f64 = (0..t as usize).map(|i| ((n - i as f64) / (n - k - i as f64)).log2()).sum();
    2.8 * k.min(n - k).log2() + all_clean
}

/// Regular ISD by enumeration (ePrint 2023/1568).
fn regular_isd(n: f64, k: f64, t: f64) -> f64 {
    let (block, k) = (n / t, k - t);
    let mut best = f64::MAX;
    for p in (0..24).step_by(2).map(f64::from) {
        let ways = log2_choose((t / 2.0).floor(), p / 2.0);
        let list = ways + (k / t).log2() * p / 2.0;
        let first = (list * 0.5).ceil();
        let last = (list * 1.5).round().max(first + 1.0);
        for ell in (first as usize..last as usize).map(|ell| ell as f64) {
            let v = (k + ell) / t;
            let success = 2.0 * ways + (v / block).log2() * p + (1.0 - v / block).log2() * (t - p);
            let list = ways + v.log2() * p / 2.0;
            let once = n.log2() + (2.0 * (n - k).log2()).max(1.0 + list).max(2.0 * list - ell);
            best = best.min(once - success);
        }
    }
    best
}

/// Guess noise-free places, then linear and quadratic equations (ePrint 2025/1284): u or u + 1 places a block, q blocks none.
fn hybrid(n: f64, k: f64, t: f64) -> f64 {
    let block = (n / t).floor();
    let mut best = f64::MAX;
    for u in (0..(block * 0.2).max(6.0) as usize).map(|u| u as f64) {
        if -t * (1.0 - u / block).log2() > 160.0 || u >= block - 2.0 {
            break;
        }
        for q in (0..24).map(f64::from) {
            for f in (0..(t - q) as usize).step_by((t as usize / 60).max(1)).map(|f| f as f64) {
                let right = (1.0 - (u + 1.0) / block).log2() * f + (1.0 - u / block).log2() * (t - q - f);
                if -right > 150.0 {
                    break;
                }
                let rest = n - k - ((n - k) / (block - 1.0)).floor() * (block - u - 2.0);
                let unknown = k - t - (u + 1.0) * f - (t - f - q) * u;
                let linear = (rest * (n - k) * (rest + unknown)).max(1.0);
                if unknown <= 0.0 {
                    best = best.min(linear.log2() - right);
                    continue;
                }
                let equations = (t - f - q) * (block - u - 2.0) * (block - u - 1.0) / 2.0
                    + f * (block - u - 2.0) * (block - u - 3.0) / 2.0;
                let w = (block - 1.0) * q;
                let v = unknown - w;
                if v < 0.0 || v > 0.0 && v > (2.0 * equations).sqrt() - 2.0 {
                    continue;
                }
                let quadratic = v.powi(4) * unknown * unknown / 8.0 / (v * v / 2.0).max(2.0).log2();
                let again =
                    1.25 * (2.0 * v * v * w + v * w * w) + (2.5 * v).powi(3) / (2.5 * v).max(2.0).log2();
                let all = linear + quadratic.max(1.0) + again.max(1.0) * (block.log2() * q).exp2();
                best = best.min(all.log2() - right);
            }
        }
    }
    best
}

/// A guess of μ noise-free places in each of f blocks: log2 of 1 / its probability, its places; the least degree at which the
/// equations suffice; of degrees 2, 3, 4 the monomials, and those that the equations leave.
struct Guess {
    f: f64,
    mu: f64,
    unlikely: f64,
    degree: Option<usize>,
    monomials: [f64; 3],
    left: [f64; 3],
}

/// The series of Briaud and Øygarden (EUROCRYPT 2023), section 4, over F_2.
fn monomials(n: f64, k: f64, t: f64) -> Vec<Guess> {
    let block = (n / t).floor();
    let (mut guesses, mut mus, mut mu) = (Vec::new(), Vec::new(), 0.0f64);
    while mu < block - 1.0 {
        mus.push(mu);
        mu = (mu + 1.0).max((mu * 1.12).floor());
    }
    for f in (1..=24).map(|i| (t * f64::from(i) / 24.0).floor()) {
        for &mu in mus.iter().take_while(|&&mu| f * mu < k + 1.0) {
            let guessed: [f64; 5] =
                std::array::from_fn(|i| (block - mu - 1.0).powi(i as i32) * choose(f, i as u32));
            let others: [f64; 5] =
                std::array::from_fn(|i| (block - 1.0).powi(i as i32) * choose(t - f, i as u32));
            let m = n - k - 1.0;
            let checks: [f64; 5] =
                std::array::from_fn(|i| (-1f64).powi(i as i32) * choose(m + i as f64 - 1.0, i as u32));
            let product = |a: &[f64; 5], b: &[f64; 5]| -> [f64; 5] {
                std::array::from_fn(|j| (0..=j).map(|i| a[i] * b[j - i]).sum())
            };
            let all = product(&guessed, &others);
            let series = product(&all, &checks);
            let upto = |x: &[f64; 5], first: usize| -> [f64; 3] {
                std::array::from_fn(|d| x[first..=d + 2].iter().sum::<f64>().max(1.0))
            };
            let (monomials, left) = (upto(&all, 1), upto(&series, 2));
            let degree = (0..3).find(|&d| series[2..=d + 2].iter().sum::<f64>() < 1.0);
            guesses.push(Guess { f, mu, unlikely: -f * (1.0 - mu / block).log2(), degree, monomials, left });
        }
    }
    guesses
}

fn algebraic(_n: f64, k: f64, _t: f64, guesses: &[Guess]) -> f64 {
    let cost = |g: &Guess| {
        g.degree.map(|d| 2.0 * g.monomials[d].log2() + (3.0 * (k + 1.0 - g.f * g.mu)).log2() + g.unlikely)
    };
    guesses.iter().filter_map(cost).fold(f64::MAX, f64::min)
}

/// Eliminates once under a smaller guess, then finishes under the whole (ePrint 2025/1476).
fn refined_algebraic(_n: f64, k: f64, _t: f64, guesses: &[Guess]) -> f64 {
    let mut best = f64::MAX;
    for whole in guesses.iter().filter(|g| g.unlikely < 150.0) {
        let Some(d) = whole.degree else { continue };
        for part in guesses.iter().filter(|g| g.f <= whole.f && g.mu <= whole.mu) {
            let rank = (part.monomials[d] - part.left[d]).max(1.0).log2();
            let sparse = 2.0 * part.monomials[d].log2() + (3.0 * (k + 1.0 - part.f * part.mu)).log2();
            let dense = part.monomials[d].log2() + 2.0 * rank - rank.max(1.0).log2();
            let first = sparse.min(dense).max(0.0) + part.unlikely;
            let second = 5.64f64.log2() + 2.8 * part.left[d].log2().min(rank) + whole.unlikely;
            best = best.min(first.max(second) + (1.0 + (-(first - second).abs()).exp2()).log2());
        }
    }
    best
}
