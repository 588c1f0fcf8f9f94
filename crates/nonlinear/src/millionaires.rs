//! Comparison of two private integers.
//!
//! # Functionality
//! P0: a, P1: b, integers of n bits. Output: XOR shares of 1{a < b}; from [`less_than_low`] also of
//! 1{a mod 2^k < b mod 2^k}; from [`less_than_parts`] of the latter, once, and of comparisons of several a with several b that have
//! their k low bits in common, or of 1{a >> j < b >> j} for them and some j ≥ k.
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
//! Step 2 (`small_digits`) is for digits of one bit and, where 1-of-N OTs are made of RCOTs, for those of two and a lowest one of three.
//! From RCOTs the OTs of step 1 are shared ones, which make r and e; from KK13 the triples of step 3 are made in the same round as
//! step 1. Steps 4 and 5 once for each level of a balanced tree. What contains the lowest digit has no eq. The part above k is a tree
//! of its own until the part below is one node, which then becomes its lowest, of each of several numbers; the part above j has a lowest
//! digit of its own.
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
    cost_parts(params, n, Parts { bits, low, from: 0, copies: 1 })
}

/// Comparisons that have a part in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Of the integers, 1..=64.
    pub bits: u32,
    /// Of the part that is compared by itself, 1..=`bits`.
    pub low: u32,
    /// 0: the integers are compared as a whole. At least `low` and below `bits`: without so many of their low bits.
    pub from: u32,
    /// Integers of each party that have the low part in common, at least 1.
    pub copies: usize,
}

/// The cost of `n` times the comparisons of `parts`.
///
/// # Panics
/// When a number is out of its range.
pub fn cost_parts(params: &Params, n: usize, parts: Parts) -> Cost {
    Digits::of(params.digit_bits, parts).cost(params, n)
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
    less_than_parts(s, Parts { bits, low, from: 0, copies: 1 }, &[own])
}

/// Shares of 1{a >> from < b >> from}, those of the first of `own`, then those of the second and so on, and of the comparison of the low
/// bits of the first.
///
/// # Errors
/// As [`less_than`].
///
/// # Panics
/// When a number is out of its range, or there are not as many vectors of `own` as copies, of one length.
pub fn less_than_parts(s: &mut Session, parts: Parts, own: &[&[u64]]) -> Result<(Boolean, Boolean)> {
    Digits::of(s.params.digit_bits, parts).less_than(s, own)
}

/// How integers are cut: where each digit starts and how many bits it has, the lowest first.
struct Digits {
    digits: Vec<(u32, u32)>,
    /// Digits of the low part.
    low: usize,
    /// Whether the low part is part of the other comparisons.
    joined: bool,
    /// Comparisons that share the low part.
    copies: usize,
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
    /// The digits of all copies, for one comparison each.
    count: usize,
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

    /// The leaf's digits for `n` times all comparisons.
    fn kind(&self, n: usize) -> Kind {
        Kind { bits: self.bits, eq: self.eq, count: n * self.count }
    }

    /// The leaf's OTs for `n` times all comparisons.
    fn part(&self, params: &Params, n: usize) -> Part {
        let (width, count) = (Width::of(1 + u32::from(self.eq)), n * self.count);
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
    fn of(m: u32, Parts { bits, low, from, copies }: Parts) -> Self {
        assert!((1..=64).contains(&bits) && (1..=bits).contains(&low), "integers have 1 to 64 bits");
        assert!(from == 0 || (low..bits).contains(&from), "what is left out is above the low part");
        assert!(copies > 0, "there is something to compare");
        let (mut digits, joined) = (from_lowest(m, 0, low), from == 0);
        let low_digits = digits.len();
        match joined {
            true => digits.extend(cut(m, low, bits)),
            false => digits.extend(from_lowest(m, from, bits)),
        }
        Self { digits, low: low_digits, joined, copies }
    }

    /// The cost of `n` times all comparisons.
    fn cost(&self, params: &Params, n: usize) -> Cost {
        let whole = if n < BATCH { Cost::ZERO } else { self.cost_batch(params, BATCH).repeat(n / BATCH) };
        if n.is_multiple_of(BATCH) { whole } else { whole + self.cost_batch(params, n % BATCH) }
    }

    fn cost_batch(&self, params: &Params, n: usize) -> Cost {
        let levels = self.levels(n);
        let Level { singles, pairs } = total(&levels);
        let Leaves { small, tables } = self.leaves(params);
        let small: Vec<Kind> = small.iter().map(|leaf| leaf.kind(n)).collect();
        let mut parts: Vec<Part> = tables.iter().map(|leaf| leaf.part(params, n)).collect();
        let triples = if triples::shared(params) {
            triples::cost(params, singles, pairs)
        } else {
            parts.push(triple::part(singles + 2 * pairs));
            Cost::ZERO
        };
        let open = |level: &Level| and::cost_open(params, level.singles, level.pairs);
        small_digits::cost_draw(params, &small)
            + params.one_of_n_cost_all(Role::P0, &parts)
            + small_digits::cost_send(&small)
            + triples
            + levels.iter().map(open).sum()
    }

    /// Shares of the comparisons as a whole or of the high parts, and of the low part.
    fn less_than(&self, s: &mut Session, own: &[&[u64]]) -> Result<(Boolean, Boolean)> {
        let n = own.first().map_or(0, |own| own.len());
        assert!(own.len() == self.copies && own.iter().all(|own| own.len() == n), "as many integers of each");
        let (mut high, mut low) = (vec![BitVec::default(); self.copies], BitVec::default());
        for start in (0..n).step_by(BATCH) {
            let batch: Vec<&[u64]> = own.iter().map(|own| &own[start..n.min(start + BATCH)]).collect();
            let (nodes, triples) = self.compare(s, &batch)?;
            let (batch_high, batch_low) = self.combine(s, nodes, triples)?;
            let batch = batch_low.len();
            for (copy, high) in high.iter_mut().enumerate() {
                high.extend(&batch_high.slice(copy * batch..(copy + 1) * batch));
            }
            low.extend(&batch_low);
        }
        Ok((Boolean::new(BitVec::concat(&high)), Boolean::new(low)))
    }

    /// How many copies of digit j there are.
    fn copies(&self, j: usize) -> usize {
        if j < self.low { 1 } else { self.copies }
    }

    /// Whether nothing is below digit j in a comparison.
    fn is_lowest(&self, j: usize) -> bool {
        j == 0 || j == self.low && !self.joined
    }

    /// The digits in batches of one size each, first those of a low part.
    fn leaves(&self, params: &Params) -> Leaves {
        let mut leaves: Vec<Leaf> = Vec::new();
        for (j, &(_, bits)) in self.digits.iter().enumerate() {
            let eq = !self.is_lowest(j);
            match leaves.iter_mut().find(|leaf| (leaf.bits, leaf.eq) == (bits, eq)) {
                Some(leaf) => {
                    leaf.digits.push(j);
                    leaf.count += self.copies(j);
                }
                None => leaves.push(Leaf { bits, eq, digits: vec![j], count: self.copies(j) }),
            }
        }
        let (small, tables) = leaves.into_iter().partition(|leaf| leaf.is_small(params));
        Leaves { small, tables }
    }

    /// The ANDs at each level of the tree, for `n` times all comparisons.
    fn levels(&self, n: usize) -> Vec<Level> {
        // Nodes, those of which one has a lowest digit, and copies of each.
        let mut low = (self.low, true, n);
        let mut high = (self.digits.len() - self.low, !self.joined, self.copies * n);
        let mut levels = Vec::new();
        loop {
            if self.joined && low.0 == 1 {
                (low, high) = ((high.0 + 1, true, high.2), (0, false, 0));
            }
            if low.0 <= 1 && high.0 <= 1 {
                return levels;
            }
            let of = |(nodes, lowest, copies): (usize, bool, usize)| {
                let single = usize::from(nodes > 1 && lowest);
                [copies * single, copies * (nodes / 2 - single)]
            };
            let [[a, b], [c, d]] = [of(low), of(high)];
            levels.push(Level { singles: a + c, pairs: b + d });
            (low.0, high.0) = (low.0.div_ceil(2), high.0.div_ceil(2));
        }
    }

    /// Steps 1 to 3: lt and eq of every digit, and the triples for the tree.
    fn compare(&self, s: &mut Session, own: &[&[u64]]) -> Result<(Vec<Node>, Triples)> {
        let n = own[0].len();
        let Level { singles, pairs } = total(&self.levels(n));
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
            let mut start = 0;
            for &j in &leaf.digits {
                let range = start..start + self.copies(j) * n;
                start = range.end;
                nodes[j].lt = lt.slice(range.clone());
                if leaf.eq {
                    nodes[j].eq = eq.slice(range);
                }
            }
        }
        Ok((nodes, triples))
    }

    /// The bits of the leaf's digits, the lowest first, each of all digits one after the other.
    fn own_bits(&self, leaf: &Leaf, own: &[&[u64]]) -> Vec<BitVec> {
        let plane = |bit: u32| {
            let parts = self.own_parts(leaf, own);
            let planes = parts.iter().map(|&(start, own)| BitVec::from_plane(own, |x| x >> (start + bit)));
            BitVec::concat(&planes.collect::<Vec<_>>())
        };
        (0..leaf.bits).map(plane).collect()
    }

    fn own_digits(&self, leaf: &Leaf, own: &[&[u64]]) -> Vec<u8> {
        let mask = Width::of(leaf.bits).mask();
        let parts = self.own_parts(leaf, own).into_iter();
        parts.flat_map(|(start, own)| own.iter().map(move |x| (x >> start & mask) as u8)).collect()
    }

    /// Where each digit of a leaf starts, and the integers it is of.
    fn own_parts<'a>(&self, leaf: &Leaf, own: &[&'a [u64]]) -> Vec<(u32, &'a [u64])> {
        let of = |&j: &usize| own[..self.copies(j)].iter().map(move |&own| (self.digits[j].0, own));
        leaf.digits.iter().flat_map(of).collect()
    }

    /// Steps 4 and 5: lt of the high part, or of all digits, and of the low part.
    fn combine(&self, s: &mut Session, mut low: Vec<Node>, mut triples: Triples) -> Result<(BitVec, BitVec)> {
        let mut high = low.split_off(self.low);
        let mut low_lt = BitVec::default();
        loop {
            if self.joined && low.len() == 1 && low_lt.is_empty() {
                low_lt = low[0].lt.clone();
                low[0].lt = BitVec::concat(vec![&low_lt; self.copies]);
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
            let mut products = Products { products, used: [0; 2] };
            low = next_level(low, &mut products);
            high = next_level(high, &mut products);
        }
    }
}

/// The products of a level, in the order of the nodes.
struct Products {
    /// eq_h ∧ lt_l where l has a lowest digit; elsewhere that and eq_h ∧ eq_l.
    products: (BitVec, [BitVec; 2]),
    used: [usize; 2],
}

impl Products {
    /// Those of the next pair of nodes.
    fn next(&mut self, low: &Node) -> LtEq {
        let Self { products: (single, pair), used } = self;
        let lowest = low.eq.is_empty();
        let used = &mut used[usize::from(lowest)];
        let range = *used..*used + low.lt.len();
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

/// The ANDs of all levels.
fn total(levels: &[Level]) -> Level {
    let sum = |of: fn(&Level) -> usize| levels.iter().map(of).sum();
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
        let (lt, eq) = products.next(&low);
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
            let drawn = |prg: &mut Prg, part: &Part| {
                if part.shared { Vec::new() } else { prg.ring(part.width, part.count).into_words() }
            };
            let drawn: Vec<Vec<u64>> =
                leaves.iter().zip(&parts).map(|(_, part)| drawn(&mut s.prg, part)).collect();
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
