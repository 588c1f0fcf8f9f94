//! The one-dimensional algorithms F(m, r), from the points of Toom and Cook.
//!
//! # Construction
//!
//! Take n = m + r − 1 distinct points p/q of the projective line, infinity being 1/0, each in lowest
//! terms. Let V_k be the n × k matrix with rows `q^(k-1), p·q^(k-2), …, p^(k-1)` and
//! `N_i = Π_{j≠i} (p_i·q_j − p_j·q_i)`. The coefficients of `Π_{j≠i} (q_j·x − p_j)` are row i of an integer matrix L
//! with `L·V_nᵀ = diag(N)`, as that polynomial vanishes at all points but i, where it is N_i. The points being distinct, no N_i
//! is zero, and `V_nᵀ·diag(1/N)·L = 1`. At every point, entry i of V_m times entry j of V_r is entry i + j of V_n, hence the
//! filter
//!
//! `y = V_mᵀ · diag(1/N) · [(V_r·g) ⊙ (L·d)]`,  `y_i = Σ_j g_j·d_{i+j}`.
//!
//! G' = V_r and B' = L are integer matrices. With `|N_i| = 2^{a_i}·o_i`, o_i odd, and `h = max a_i` the
//! output transform is `A' = V_mᵀ·diag(2^{h−a_i} / o_i)` (the sign of N_i goes to row i of B'), whose odd
//! denominators are units of every Z_{2^l}. So `A'·[(G'g) ⊙ (B'd)] = 2^h·y`, over the rationals and in every Z_{2^l}.
//!
//! # Headroom
//!
//! `a_i` sums, over the other points j, the exponent of 2 in `p_i·q_j − p_j·q_i`: the number of bits to which points i and j
//! agree. Modulo 2 the projective line has three points (0, 1, ∞), and a_i = 0 says that point i is alone in its class. So
//! with n ≤ 3 points h = 0 is possible, and not with more; two in each class, different mod 4, give h = 1 for n ≤ 6. From n = 7
//! on a class has three points, and, as it has two classes mod 4, two of the three agree mod 4: each of these has a_i ≥ 2 + 1,
//! so n = 7 and n = 8 need h = 3. On given points no smaller h does, either: the rows of G', B' and V_m have no common factor
//! (those of B' by Gauss's lemma), so that where a_i = h, column i of A' has an odd entry and nothing to give away. The
//! standard sets attain the minima:
//!
//! | n | points                         | h | used for         |
//! |---|--------------------------------|---|------------------|
//! | 3 | 0, 1, ∞                        | 0 | F(2,2)           |
//! | 4 | 0, 1, −1, ∞                    | 1 | F(2,3), F(3,2)   |
//! | 5 | 0, 1, −1, 2, ∞                 | 1 | F(3,3), F(4,2)   |
//! | 6 | 0, 2, 1, −1, 1/2, ∞            | 1 | F(4,3)           |
//! | 7 | 0, 2, −2, 1, −1, 1/2, ∞        | 3 | F(5,3)           |
//! | 8 | 0, 2, −2, 1, −1, 1/2, −1/2, ∞  | 3 | F(6,3)           |
//!
//! Nested in two dimensions, the h of the two add.
//!
//! # Reference
//!
//! S. Winograd, *Arithmetic Complexity of Computations*, 1980; A. Lavin and S. Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, CVPR 2016.

use std::fmt;

use crate::ratio::{Ratio, gcd};

/// A point p/q of the projective line over the rationals, in lowest terms, q ≥ 0; infinity is 1/0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    p: i64,
    q: i64,
}

impl Point {
    /// The point at infinity.
    pub const INFINITY: Self = Self { p: 1, q: 0 };

    /// The point `p / q`.
    ///
    /// # Panics
    ///
    /// If q is not positive.
    pub fn ratio(p: i32, q: i32) -> Self {
        assert!(q > 0, "a finite point has a positive denominator");
        let divisor = gcd(i128::from(p), i128::from(q)) as i64;
        Self { p: i64::from(p) / divisor, q: i64::from(q) / divisor }
    }

    /// The point `value`.
    pub const fn integer(value: i32) -> Self {
        Self { p: value as i64, q: 1 }
    }

    /// The standard points for n = m + r − 1, as in the [module's table](self); `None` outside 3..=8.
    pub fn standard(n: usize) -> Option<Vec<Self>> {
        let i = Self::integer;
        let half = Self::ratio(1, 2);
        let finite = match n {
            3 => vec![i(0), i(1)],
            4 => vec![i(0), i(1), i(-1)],
            5 => vec![i(0), i(1), i(-1), i(2)],
            6 => vec![i(0), i(2), i(1), i(-1), half],
            7 => vec![i(0), i(2), i(-2), i(1), i(-1), half],
            8 => vec![i(0), i(2), i(-2), i(1), i(-1), half, Self::ratio(-1, 2)],
            _ => return None,
        };
        Some(finite.into_iter().chain([Self::INFINITY]).collect())
    }

    /// `q^(k-1), p·q^(k-2), …, p^(k-1)`.
    fn powers(self, k: usize) -> Option<Vec<i64>> {
        let power = |base: i64, exponent: usize| base.checked_pow(exponent as u32);
        (0..k).map(|j| power(self.p, j)?.checked_mul(power(self.q, k - 1 - j)?)).collect()
    }

    /// `p·q' − p'·q`: zero exactly where the points are equal.
    fn cross(self, other: Self) -> i128 {
        i128::from(self.p) * i128::from(other.q) - i128::from(other.p) * i128::from(self.q)
    }
}

/// Why there is no such transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidTransform {
    /// Outputs, kernel or stride is zero.
    Empty,
    /// F(m, r) has m + r − 1 points.
    PointCount {
        /// m + r − 1.
        expected: usize,
        /// The number given.
        got: usize,
    },
    /// The two points with these indices are equal.
    RepeatedPoint(usize, usize),
    /// There are no standard points for this n = m + r − 1.
    NoStandardPoints(usize),
    /// A coefficient does not fit.
    Overflow,
}

impl fmt::Display for InvalidTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "outputs, kernel and stride must be at least 1"),
            Self::PointCount { expected, got } => write!(f, "expected {expected} points, got {got}"),
            Self::RepeatedPoint(i, j) => write!(f, "points {i} and {j} are equal"),
            Self::NoStandardPoints(n) => {
                write!(f, "no standard points for n = {n}; give points, or use smaller tiles")
            }
            Self::Overflow => {
                write!(f, "a coefficient of the transform overflows; use smaller points or tiles")
            }
        }
    }
}

impl std::error::Error for InvalidTransform {}

/// An exact bilinear algorithm for m outputs `y_i = Σ_j g_j·d_{s·i+j}` of a filter of r taps at stride s:
/// `A'·[(G'g) ⊙ (B'd)] = 2^h·y` with `n` products. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    outputs: usize,
    kernel: usize,
    stride: usize,
    headroom: u32,
    filter: Vec<Vec<i64>>,
    input: Vec<Vec<i64>>,
    output: Vec<Vec<Ratio>>,
    shifts: Vec<u32>,
}

impl Transform {
    /// F(`outputs`, `kernel`) at stride 1 on the given points.
    pub fn toom_cook(outputs: usize, kernel: usize, points: &[Point]) -> Result<Self, InvalidTransform> {
        if outputs == 0 || kernel == 0 {
            return Err(InvalidTransform::Empty);
        }
        let n = outputs + kernel - 1;
        if points.len() != n {
            return Err(InvalidTransform::PointCount { expected: n, got: points.len() });
        }
        for j in 0..n {
            if let Some(i) = (0..j).find(|&i| points[i] == points[j]) {
                return Err(InvalidTransform::RepeatedPoint(i, j));
            }
        }
        Self::on_distinct(outputs, kernel, points).ok_or(InvalidTransform::Overflow)
    }

    fn on_distinct(outputs: usize, kernel: usize, points: &[Point]) -> Option<Self> {
        let n = points.len();
        let others = |i: usize| (0..n).filter(move |&j| j != i);
        let filter = points.iter().map(|point| point.powers(kernel)).collect::<Option<Vec<_>>>()?;
        let evaluation = points.iter().map(|point| point.powers(outputs)).collect::<Option<Vec<_>>>()?;
        let mut input = Vec::with_capacity(n);
        let mut units = Vec::with_capacity(n);
        let mut valuations = Vec::with_capacity(n);
        for i in 0..n {
            let norm = others(i).try_fold(1i128, |norm, j| norm.checked_mul(points[i].cross(points[j])))?;
            let mut row = vec![norm.signum() as i64];
            for j in others(i) {
                row = times_linear(&row, points[j])?;
            }
            input.push(row);
            valuations.push(norm.trailing_zeros());
            units.push(norm.checked_abs()? >> norm.trailing_zeros());
        }
        let headroom = valuations.iter().copied().max()?;
        let shifts: Vec<u32> = valuations.iter().map(|valuation| headroom - valuation).collect();
        let entry = |row: usize, i: usize| {
            let scaled = i128::from(evaluation[i][row]).checked_mul(1i128.checked_shl(shifts[i])?)?;
            Ratio::new(scaled, units[i])
        };
        let output = (0..outputs)
            .map(|row| (0..n).map(|i| entry(row, i)).collect())
            .collect::<Option<Vec<Vec<_>>>>()?;
        Some(Self { outputs, kernel, stride: 1, headroom, filter, input, output, shifts })
    }

    /// F(`outputs`, `kernel`) at stride 1 on the standard points; the definition itself, h = 0, where either is 1.
    pub fn standard(outputs: usize, kernel: usize) -> Result<Self, InvalidTransform> {
        match (outputs, kernel) {
            (0, _) | (_, 0) => Err(InvalidTransform::Empty),
            (1, n) | (n, 1) => Ok(Self::direct(outputs, kernel, n)),
            _ => {
                let n = outputs + kernel - 1;
                let points = Point::standard(n).ok_or(InvalidTransform::NoStandardPoints(n))?;
                Self::toom_cook(outputs, kernel, &points)
            }
        }
    }

    /// The n products of the definition for one output or one tap.
    fn direct(outputs: usize, kernel: usize, n: usize) -> Self {
        let identity: Vec<Vec<i64>> = (0..n).map(|i| (0..n).map(|j| i64::from(i == j)).collect()).collect();
        let ones = vec![1i64; n];
        let (filter, output) = match kernel {
            1 => (ones.iter().map(|&one| vec![one]).collect(), identity.clone()),
            _ => (identity.clone(), vec![ones]),
        };
        let output =
            output.into_iter().map(|row: Vec<i64>| row.into_iter().map(Ratio::from).collect()).collect();
        Self { outputs, kernel, stride: 1, headroom: 0, filter, input: identity, output, shifts: vec![0; n] }
    }

    /// `outputs` outputs at any stride, from the phases of the input (polyphase): phase t of the input meets every
    /// `stride`-th tap from t on, by the standard F(`outputs`, ·), and the pieces are summed.
    ///
    /// For 3 taps at stride 2 the pieces are F(m, 2) and F(m, 1), n = 2m + 1; nested in two dimensions
    /// they are the 2×2, 2×1, 1×2 and 1×1 parts of the kernel, with 25, 49 and 81 products for m = 2, 3, 4.
    pub fn strided(outputs: usize, kernel: usize, stride: usize) -> Result<Self, InvalidTransform> {
        if outputs == 0 || kernel == 0 || stride == 0 {
            return Err(InvalidTransform::Empty);
        }
        let pieces = (0..stride.min(kernel))
            .map(|phase| Self::standard(outputs, (kernel - phase).div_ceil(stride)))
            .collect::<Result<Vec<_>, _>>()?;
        let headroom = pieces.iter().map(|piece| piece.headroom).max().unwrap_or(0);
        let input_len = (outputs - 1) * stride + kernel;
        let mut whole = Self {
            outputs,
            kernel,
            stride,
            headroom,
            filter: Vec::new(),
            input: Vec::new(),
            output: vec![Vec::new(); outputs],
            shifts: Vec::new(),
        };
        for (phase, piece) in pieces.into_iter().enumerate() {
            let piece = piece.with_headroom(headroom)?;
            let spread = |row: &Vec<i64>, len: usize| {
                let mut wide = vec![0; len];
                row.iter().enumerate().for_each(|(j, &x)| wide[phase + stride * j] = x);
                wide
            };
            whole.filter.extend(piece.filter.iter().map(|row| spread(row, kernel)));
            // Index phase + stride·(m + r' − 2) is at most stride·(m − 1) + r − 1, as phase + stride·(r' − 1) < r.
            whole.input.extend(piece.input.iter().map(|row| spread(row, input_len)));
            whole.output.iter_mut().zip(piece.output).for_each(|(whole, piece)| whole.extend(piece));
            whole.shifts.extend(piece.shifts);
        }
        Ok(whole)
    }

    /// The same algorithm with a larger h: the output transform is multiplied by a power of two.
    ///
    /// # Panics
    ///
    /// If `headroom` is below the transform's own.
    pub fn with_headroom(&self, headroom: u32) -> Result<Self, InvalidTransform> {
        assert!(
            headroom >= self.headroom,
            "headroom {headroom} is below the transform's own {}",
            self.headroom
        );
        let more = headroom - self.headroom;
        let factor =
            1i128.checked_shl(more).and_then(|f| Ratio::new(f, 1)).ok_or(InvalidTransform::Overflow)?;
        let scale = |row: &Vec<Ratio>| row.iter().map(|x| x.checked_mul(factor)).collect::<Option<Vec<_>>>();
        let output =
            self.output.iter().map(scale).collect::<Option<_>>().ok_or(InvalidTransform::Overflow)?;
        let shifts = self.shifts.iter().map(|shift| shift + more).collect();
        Ok(Self { headroom, output, shifts, ..self.clone() })
    }

    /// m, the outputs of one tile.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// r, the taps of the filter.
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// The distance, in inputs, of neighbouring outputs.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// n, the products of one tile: m + r − 1 at stride 1.
    pub fn products(&self) -> usize {
        self.filter.len()
    }

    /// The inputs one tile reads: `(m − 1)·stride + r`.
    pub fn input_len(&self) -> usize {
        (self.outputs - 1) * self.stride + self.kernel
    }

    /// h: the algorithm's result is 2^h times the convolution.
    pub fn headroom(&self) -> u32 {
        self.headroom
    }

    /// G', the filter transform: n rows of r integers.
    pub fn filter(&self) -> &[Vec<i64>] {
        &self.filter
    }

    /// B' (Bᵀ in the usual notation), the input transform: n rows of [`Transform::input_len`] integers.
    pub fn input(&self) -> &[Vec<i64>] {
        &self.input
    }

    /// A' (2^h·Aᵀ in the usual notation), the output transform: m rows of n rationals with odd denominators.
    pub fn output(&self) -> &[Vec<Ratio>] {
        &self.output
    }

    /// For each product the power of two that its column of A' has in common: mod 2^l the result depends on the product
    /// only mod 2^(l − shift).
    pub fn shifts(&self) -> &[u32] {
        &self.shifts
    }

    /// The L1 norms of the rows of G'. `|(G'g)_i| ≤ norm_i · max|g|`, attained by the signs of the row.
    pub fn filter_norms(&self) -> Vec<u64> {
        self.filter.iter().map(|row| row.iter().map(|x| x.unsigned_abs()).sum()).collect()
    }

    /// The L1 norms of the rows of B'. `|(B'd)_i| ≤ norm_i · max|d|`, attained by the signs of the row.
    pub fn input_norms(&self) -> Vec<u64> {
        self.input.iter().map(|row| row.iter().map(|x| x.unsigned_abs()).sum()).collect()
    }
}

/// `polynomial · (q·x − p)`, coefficients of ascending powers; one longer than the polynomial.
fn times_linear(polynomial: &[i64], point: Point) -> Option<Vec<i64>> {
    let at = |k: Option<usize>| k.and_then(|k| polynomial.get(k)).copied().unwrap_or(0);
    (0..=polynomial.len())
        .map(|k| at(k.checked_sub(1)).checked_mul(point.q)?.checked_sub(at(Some(k)).checked_mul(point.p)?))
        .collect()
}
