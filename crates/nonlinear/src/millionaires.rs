//! Comparison of two private integers.
//!
//! # Functionality
//! P0: a, P1: b, integers of n bits. Output: XOR shares of 1{a < b}; from [`less_than_low`] also of
//! 1{a mod 2^k < b mod 2^k}; from [`less_than_parts`] of the latter and of 1{a >> j < b >> j} for some j ≥ k.
//!
//! # Protocol
//! The integers are cut into digits of m bits from the bottom, and at k; the topmost digit of a part may be shorter. Where one
//! bit would be left over below k and m ≤ 3, the lowest digit, which has no eq, takes it: m + 1 bits.
//! lt = 1{a_j < b_j} and eq = 1{a_j = b_j} of the digits; eq not of the lowest. For random r, e:
//!
//! | step | P0 (a)                                         | wire | P1 (b)                              |
//! |------|------------------------------------------------|------|-------------------------------------|
//! | 1    | table at c: `r ⊕ 1{a_j < c}, e ⊕ 1{a_j = c}`   | ↔    | `lt, eq` at its own `c = b_j`       |
//! | 2    | small digits: products of private bits         | ↔    | small digits: products of private bits |
//! | 3    | bit triples for the whole tree                 | ↔    | bit triples for the whole tree      |
//! | 4    | neighbours (h, l): open the operands' masks    | ↔    | neighbours (h, l)                   |
//! | 5    | `lt = lt_h ⊕ eq_h ∧ lt_l`, `eq = eq_h ∧ eq_l`  |      | the same                            |
//!
//! Step 2 ([`small_digits`](crate::small_digits)) is for digits of one bit and, where 1-of-N OTs are made of RCOTs, for those of two and a lowest one of three.
//! From RCOTs the OTs of step 1 are shared ones, which make r and e; from KK13 the triples of step 3 are made in the same round as
//! step 1. Steps 4 and 5 once for each level of a balanced tree. What contains the lowest digit has no eq. The part above k is a tree
//! of its own until the part below is one node, which then becomes its lowest; the part above j has a lowest digit of its own.
//!
//! # Cost
//! [`cost`], [`cost_low`]: products for each small digit, for a larger one a 1-of-2^m OT on two bits, on one bit for the lowest; one
//! AND for each lt and eq of the tree; a round for the digits and one for each level, one more for triples from RCOTs. Batches of
//! [`BATCH`] comparisons one after the other, so that memory stays bounded.
//!
//! # Security
//! r and e are uniform, so the digits' OTs give shares; the tree is made of ANDs on shares.
//!
//! # Reference
//! Rathee et al.: CrypTFlow2 (CCS 2020), section 3.1, algorithm 1; Rathee et al.: SiRNN (S&P 2021), section 5.1, for the
//! digits shared with the low part.
//!
//! # Deviations
//! Small digits by products. Where the low part joins, eq is left out as along any lowest path.

use crate::and;
use crate::small_digits::{self, Kind, LtEq, SmallDigits};
use crate::triples::{self, Triples};
use copriv_bits::BitVec;
use copriv_channel::Cost;
use copriv_ot::one_of_n::{OneOfNBackend, Part};
use copriv_ot::triple::{self, BitTriples};
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Boolean;
use copriv_wire::{Result, Role};

/// Comparisons that go together.
pub const BATCH: usize = 1 << 17;

/// The cost of `n` comparisons of integers of `bits` bits.
pub fn cost(params: &Params, n: usize, bits: u32) -> Cost {
    cost_low(params, n, bits, bits)
}

/// The cost of `n` comparisons of integers of `bits` bits and, besides, of their low `low` bits.
pub fn cost_low(params: &Params, n: usize, bits: u32, low: u32) -> Cost {
    Digits::new(params.digit_bits, bits, low).cost(params, n)
}

/// The cost of `n` comparisons of the low `low` bits of integers of `bits` bits and, besides, of those from bit `from` on.
pub fn cost_parts(params: &Params, n: usize, bits: u32, low: u32, from: u32) -> Cost {
    Digits::apart(params.digit_bits, bits, low, from).cost(params, n)
}
/// Shares of 1{a < b} for integers of `bits` bits; `own` is a for P0 and b for P1.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When `bits` is not in 1..=64.
pub fn less_than(s: &mut Session, bits: u32, own: &[u64]) -> Result<Boolean> {
    let (all, _) = less_than_low(s, bits, bits, own)?;
    Ok(all)
}

/// Shares of 1{a < b} and of the same comparison of the low `low` bits.
///
/// # Errors
/// As [`less_than`].
///
/// # Panics
/// When `bits` is not in 1..=64 or `low` not in 1..=`bits`.
pub fn less_than_low(s: &mut Session, bits: u32, low: u32, own: &[u64]) -> Result<(Boolean, Boolean)> {
    Digits::new(s.params.digit_bits, bits, low).less_than(s, own)
}

/// Shares of 1{a >> `from` < b >> `from`} and of the comparison of the low `low` bits.
///
/// # Errors
/// As [`less_than`].
///
/// # Panics
/// When not 1 <= `low` <= `from` < `bits` <= 64.
pub fn less_than_parts(
    s: &mut Session,
    bits: u32,
    low: u32,
    from: u32,
    own: &[u64],
) -> Result<(Boolean, Boolean)> {
    Digits::apart(s.params.digit_bits, bits, low, from).less_than(s, own)
}

/// How integers are cut: where each digit starts and how many bits it has, the lowest first.
struct Digits {
    digits: Vec<(u32, u32)>,
    /// Digits of the low part.
    low: usize,
    /// Whether the low part is part of the other comparison.
    joined: bool,
}

/// The ANDs of a level of the tree.
#[derive(Clone, Copy, Default)]
struct Level {
    /// For each pair of nodes of which one has a lowest digit.
    singles: usize,
    /// For each other pair of nodes two, with a common operand.
    pairs: usize,
}

/// The digits of one size, compared in one batch of OTs.
struct Leaf {
    bits: u32,
    /// Whether shares of eq are wanted.
    eq: bool,
    digits: Vec<usize>,
}

/// The batches by how they are compared.
struct Leaves {
    small: Vec<Leaf>,
    tables: Vec<Leaf>,
}

/// Shares of lt and eq of a run of digits for every comparison of a batch; eq is empty for a run that has a lowest digit.
struct Node {
    lt: BitVec,
    eq: BitVec,
}

impl Leaf {
    /// Whether step 2 is for it.
    fn is_small(&self, params: &Params) -> bool {
        let from_rcots = params.one_of_n == OneOfNBackend::Rcot;
        self.bits == 1 || from_rcots && (self.bits == 2 || self.bits == 3 && !self.eq)
    }

    /// The leaf's digits for `n` comparisons.
    fn kind(&self, n: usize) -> Kind {
        Kind { bits: self.bits, eq: self.eq, count: n * self.digits.len() }
    }

    /// The leaf's OTs for `n` comparisons.
    fn part(&self, params: &Params, n: usize) -> Part {
        let (width, count) = (Width::of(1 + u32::from(self.eq)), n * self.digits.len());
        match params.one_of_n {
            OneOfNBackend::Rcot => Part::shared(self.bits, width, count),
            OneOfNBackend::Kk13 => Part::chosen(self.bits, width, count),
        }
    }
}

impl Leaf {
    /// One party's shares of lt and eq, out of its words of both.
    fn planes(&self, words: &[u64]) -> LtEq {
        (
            BitVec::from_plane(words, |&x| x),
            if self.eq { BitVec::from_plane(words, |&x| x >> 1) } else { BitVec::default() },
        )
    }
}

impl Digits {
    fn new(m: u32, bits: u32, low: u32) -> Self {
        assert!((1..=64).contains(&bits) && (1..=bits).contains(&low), "integers have 1 to 64 bits");
        let mut digits = from_lowest(m, 0, low);
        let low_digits = digits.len();
        digits.extend(cut(m, low, bits));
        Self { digits, low: low_digits, joined: true }
    }

    /// Of two comparisons that have no digit in common.
    fn apart(m: u32, bits: u32, low: u32, from: u32) -> Self {
        assert!((1..=from).contains(&low) && from < bits && bits <= 64, "two parts of up to 64 bits");
        let mut digits = from_lowest(m, 0, low);
        let low_digits = digits.len();
        digits.extend(from_lowest(m, from, bits));
        Self { digits, low: low_digits, joined: false }
    }

    /// The cost of `n` comparisons.
    fn cost(&self, params: &Params, n: usize) -> Cost {
        let whole = if n < BATCH { Cost::ZERO } else { self.cost_batch(params, BATCH).repeat(n / BATCH) };
        if n.is_multiple_of(BATCH) { whole } else { whole + self.cost_batch(params, n % BATCH) }
    }

    fn cost_batch(&self, params: &Params, n: usize) -> Cost {
        let levels = self.levels();
        let Level { singles, pairs } = total(&levels, n);
        let Leaves { small, tables } = self.leaves(params);
        let small: Vec<Kind> = small.iter().map(|leaf| leaf.kind(n)).collect();
        let mut parts: Vec<Part> = tables.iter().map(|leaf| leaf.part(params, n)).collect();
        let triples = if triples::shared(params) {
            triples::cost(params, singles, pairs)
        } else {
            parts.push(triple::part(singles + 2 * pairs));
            Cost::ZERO
        };
        let open = |level: &Level| and::cost_open(params, n * level.singles, n * level.pairs);
        small_digits::cost_draw(params, &small)
            + params.one_of_n_cost_all(Role::P0, &parts)
            + small_digits::cost_send(&small)
            + triples
            + levels.iter().map(open).sum()
    }

    /// Shares of both comparisons.
    fn less_than(&self, s: &mut Session, own: &[u64]) -> Result<(Boolean, Boolean)> {
        let (mut high, mut low) = (BitVec::default(), BitVec::default());
        for own in own.chunks(BATCH) {
            let (nodes, triples) = self.compare(s, own)?;
            let (batch_high, batch_low) = self.combine(s, nodes, triples)?;
            high.extend(&batch_high);
            low.extend(&batch_low);
        }
        Ok((Boolean::new(high), Boolean::new(low)))
    }

    /// Whether nothing is below digit j in a comparison.
    fn is_lowest(&self, j: usize) -> bool {
        j == 0 || j == self.low && !self.joined
    }

    /// The digits in batches of one size each.
    fn leaves(&self, params: &Params) -> Leaves {
        let mut leaves: Vec<Leaf> = Vec::new();
        for (j, &(_, bits)) in self.digits.iter().enumerate() {
            let eq = !self.is_lowest(j);
            match leaves.iter_mut().find(|leaf| (leaf.bits, leaf.eq) == (bits, eq)) {
                Some(leaf) => leaf.digits.push(j),
                None => leaves.push(Leaf { bits, eq, digits: vec![j] }),
            }
        }
        let (small, tables) = leaves.into_iter().partition(|leaf| leaf.is_small(params));
        Leaves { small, tables }
    }

    /// The ANDs at each level of the tree, for one comparison.
    fn levels(&self) -> Vec<Level> {
        let (mut low, mut high) = (self.low, self.digits.len() - self.low);
        let mut levels = Vec::new();
        loop {
            if self.joined && low == 1 {
                (low, high) = (low + high, 0);
            }
            if low <= 1 && high <= 1 {
                return levels;
            }
            let singles = usize::from(low > 1) + usize::from(high > 1 && !self.joined);
            levels.push(Level { singles, pairs: low / 2 + high / 2 - singles });
            (low, high) = (low.div_ceil(2), high.div_ceil(2));
        }
    }

    /// Steps 1 to 3: lt and eq of every digit, and the triples for the tree.
    fn compare(&self, s: &mut Session, own: &[u64]) -> Result<(Vec<Node>, Triples)> {
        let n = own.len();
        let Level { singles, pairs } = total(&self.levels(), n);
        let plain = if triples::shared(&s.params) { 0 } else { singles + 2 * pairs };
        let Leaves { small, tables } = self.leaves(&s.params);
        let kinds = small.iter().map(|leaf| leaf.kind(n)).collect();
        let bits = small.iter().map(|leaf| self.own_bits(leaf, own)).collect();
        let digits: Vec<Vec<u8>> = tables.iter().map(|leaf| self.own_digits(leaf, own)).collect();
        // Drawn first, so that both kinds of digits take one round.
        let drawn = SmallDigits::draw(s, kinds, bits)?; // (2)
        let (mut shares, triples) = compare_by_tables(s, &tables, &digits, n, plain)?;
        shares.extend(drawn.compare(s)?); // (2)
        let triples = match triples {
            Some(triples) => Triples::plain(triples),
            None => Triples::new(s, singles, pairs)?, // (3)
        };
        let mut nodes: Vec<Node> =
            self.digits.iter().map(|_| Node { lt: BitVec::default(), eq: BitVec::default() }).collect();
        for (leaf, (lt, eq)) in tables.iter().chain(&small).zip(shares) {
            for (i, &j) in leaf.digits.iter().enumerate() {
                nodes[j].lt = lt.slice(i * n..(i + 1) * n);
                if leaf.eq {
                    nodes[j].eq = eq.slice(i * n..(i + 1) * n);
                }
            }
        }
        Ok((nodes, triples))
    }

    /// The bits of the leaf's digits, the lowest first, each of all digits one after the other.
    fn own_bits(&self, leaf: &Leaf, own: &[u64]) -> Vec<BitVec> {
        let plane = |bit: u32| {
            let of = |&j: &usize| BitVec::from_plane(own, |x| x >> (self.digits[j].0 + bit));
            BitVec::concat(&leaf.digits.iter().map(of).collect::<Vec<_>>())
        };
        (0..leaf.bits).map(plane).collect()
    }

    fn own_digits(&self, leaf: &Leaf, own: &[u64]) -> Vec<u8> {
        let mask = Width::of(leaf.bits).mask();
        let mut digits = Vec::with_capacity(leaf.digits.len() * own.len());
        for &j in &leaf.digits {
            let (start, _) = self.digits[j];
            digits.extend(own.iter().map(|x| (x >> start & mask) as u8));
        }
        digits
    }

    /// Steps 4 and 5: lt of the high part, or of all digits, and of the low part.
    fn combine(&self, s: &mut Session, mut low: Vec<Node>, mut triples: Triples) -> Result<(BitVec, BitVec)> {
        let n = low[0].lt.len();
        let mut high = low.split_off(self.low);
        let mut low_lt = BitVec::default();
        loop {
            if self.joined && low.len() == 1 && low_lt.is_empty() {
                low_lt = low[0].lt.clone();
                low.append(&mut high);
            }
            if low.len() <= 1 && high.len() <= 1 {
                let lt = low.swap_remove(0).lt;
                return Ok(if self.joined { (lt, low_lt) } else { (high.swap_remove(0).lt, lt) });
            }
            let all = low.chunks_exact(2).chain(high.chunks_exact(2));
            let (single, pair): (Vec<_>, Vec<_>) = all.partition(|pair| pair[0].eq.is_empty());
            let concat = |of: &dyn Fn(&[Node]) -> &BitVec, pairs: &[&[Node]]| {
                BitVec::concat(pairs.iter().map(|pair| of(pair)))
            };
            let operands =
                |pairs: &[&[Node]]| [concat(&|pair| &pair[1].eq, pairs), concat(&|pair| &pair[0].lt, pairs)];
            let ([eq_h, lt_l], [eqs_h, lts_l]) = (operands(&single), operands(&pair));
            let eqs_l = concat(&|pair| &pair[0].eq, &pair);
            let products = and::and_with(s, &mut triples, [&eq_h, &lt_l], [&eqs_h, &lts_l, &eqs_l])?; // (4)
            let mut products = Products { n, products, used: [0; 2] };
            low = next_level(low, &mut products);
            high = next_level(high, &mut products);
        }
    }
}

/// The products of a level, in the order of the nodes.
struct Products {
    n: usize,
    /// eq_h ∧ lt_l where l has a lowest digit; elsewhere that and eq_h ∧ eq_l.
    products: (BitVec, [BitVec; 2]),
    used: [usize; 2],
}

impl Products {
    /// Those of the next pair of which l has a lowest digit, or of the next other pair.
    fn next(&mut self, lowest: bool) -> LtEq {
        let Self { n, products: (single, pair), used } = self;
        let used = &mut used[usize::from(lowest)];
        let range = *used..*used + *n;
        *used = range.end;
        match lowest {
            true => (single.slice(range), BitVec::default()),
            false => (pair[0].slice(range.clone()), pair[1].slice(range)),
        }
    }
}

/// The digits of bits `from..to`, the topmost perhaps shorter.
fn cut(m: u32, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> {
    (from..to).step_by(m as usize).map(move |start| (start, m.min(to - start)))
}

/// The digits of bits `from..to`, nothing below them.
fn from_lowest(m: u32, from: u32, to: u32) -> Vec<(u32, u32)> {
    let bits = to - from;
    // One message bit more for each entry is less than a digit of one bit and its place in the tree.
    let lowest = if m <= 3 && bits > m && bits % m == 1 { m + 1 } else { m.min(bits) };
    let mut digits = vec![(from, lowest)];
    digits.extend(cut(m, from + lowest, to));
    digits
}

/// The ANDs of all levels for `n` comparisons.
fn total(levels: &[Level], n: usize) -> Level {
    let sum = |of: fn(&Level) -> usize| n * levels.iter().map(of).sum::<usize>();
    Level { singles: sum(|level| level.singles), pairs: sum(|level| level.pairs) }
}

/// Step 5 for one part of the nodes; a node without a neighbour stays.
fn next_level(nodes: Vec<Node>, products: &mut Products) -> Vec<Node> {
    let mut next = Vec::with_capacity(nodes.len().div_ceil(2));
    let mut nodes = nodes.into_iter();
    while let Some(low) = nodes.next() {
        let Some(high) = nodes.next() else {
            next.push(low);
            break;
        };
        let (lt, eq) = products.next(low.eq.is_empty());
        next.push(Node { lt: &high.lt ^ &lt, eq }); // (5)
    }
    next
}

/// Step 1, and step 3 where `plain` triples are made of 1-of-16 OTs: shares of lt and eq of each leaf's `digits`.
fn compare_by_tables(
    s: &mut Session,
    leaves: &[Leaf],
    digits: &[Vec<u8>],
    n: usize,
    plain: usize,
) -> Result<(Vec<LtEq>, Option<BitTriples>)> {
    let mut parts: Vec<Part> = leaves.iter().map(|leaf| leaf.part(&s.params, n)).collect();
    if !triples::shared(&s.params) {
        parts.push(triple::part(plain));
    }
    Ok(match s.role() {
        Role::P0 => {
            // Shares that the OTs do not make themselves.
            let drawn = |prg: &mut Prg, (leaf, part): (&Leaf, &Part)| {
                if part.shared {
                    Vec::new()
                } else {
                    prg.ring(part.width, n * leaf.digits.len()).into_words()
                }
            };
            let drawn: Vec<Vec<u64>> =
                leaves.iter().zip(&parts).map(|leaf| drawn(&mut s.prg, leaf)).collect();
            let triples = BitTriples::draw(&mut s.prg, plain);
            let made = s.one_of_n_send_all(&parts, |part, i, table| match leaves.get(part) {
                None => triples.write_table(i, table), // (3)
                Some(leaf) => {
                    let (a, share) = (u64::from(digits[part][i]), drawn[part].get(i).copied().unwrap_or(0));
                    let eq = u64::from(leaf.eq);
                    for (c, entry) in (0u64..).zip(table) {
                        let (lt, same) = (a.wrapping_sub(c) >> 63, (a ^ c).wrapping_sub(1) >> 63);
                        *entry = share ^ lt ^ (same & eq) << 1; // (1)
                    }
                }
            })?;
            let own = drawn.iter().zip(&made).map(|(drawn, made)| if made.is_empty() { drawn } else { made });
            let shares = leaves.iter().zip(own).map(|(leaf, own)| leaf.planes(own)).collect();
            (shares, (parts.len() > leaves.len()).then_some(triples))
        }
        Role::P1 => {
            let [a, b] = [(); 2].map(|()| s.prg.bits(plain));
            let pairs = BitTriples::choices(&a, &b);
            let choices = digits.iter().chain([&pairs]).take(parts.len());
            let open = s.one_of_n_receive_all(&parts, &choices.map(Vec::as_slice).collect::<Vec<_>>())?; // (1) (3)
            let shares = leaves.iter().zip(&open).map(|(leaf, open)| leaf.planes(open)).collect();
            (shares, open.get(leaves.len()).map(|open| BitTriples::from_open(a, b, open)))
        }
    })
}
