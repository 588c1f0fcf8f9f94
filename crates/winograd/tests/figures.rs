//! The algorithms over the rationals, and their figures.

use copriv_winograd::ratio::Ratio;
use copriv_winograd::{Axis, InvalidTransform, Point, Tiling, Transform};

fn all() -> Vec<Transform> {
    let mut all = Vec::new();
    for (stride, kernels) in [(1, 1..=7), (2, 1..=7), (3, 1..=7)] {
        for kernel in kernels {
            all.extend((1..=8).filter_map(|outputs| Transform::strided(outputs, kernel, stride).ok()));
        }
    }
    all
}

/// `Σ_p A'[i][p]·G'[p][j]·B'[p][k] = 2^h·[k = stride·i + j]`: the whole statement, as both sides are bilinear.
fn assert_exact(t: &Transform) {
    for (i, row) in t.output().iter().enumerate() {
        for j in 0..t.kernel() {
            for k in 0..t.input_len() {
                let sum = row.iter().enumerate().fold(Ratio::ZERO, |sum, (p, &a)| {
                    let product = Ratio::from(t.filter()[p][j])
                        .checked_mul(Ratio::from(t.input()[p][k]))
                        .expect("no overflow");
                    sum.checked_add(a.checked_mul(product).expect("no overflow")).expect("no overflow")
                });
                let expected = if k == t.stride() * i + j { 1i64 << t.headroom() } else { 0 };
                assert_eq!(sum, Ratio::from(expected), "{t:?} at {i}, {j}, {k}");
            }
        }
    }
}

#[test]
fn every_transform_is_exact_over_the_rationals() {
    let all = all();
    assert!(all.len() > 60);
    for transform in all {
        assert_exact(&transform);
        assert_exact(&transform.with_headroom(transform.headroom() + 3).unwrap());
    }
}

#[test]
fn other_points_are_exact() {
    let textbook = [0, 1, -1, 2, -2].map(Point::integer);
    let points: Vec<Point> = textbook.into_iter().chain([Point::INFINITY]).collect();
    let transform = Transform::toom_cook(4, 3, &points).unwrap();
    assert_exact(&transform);
    assert_eq!(2 * transform.headroom(), 6);
    assert_exact(
        &Transform::toom_cook(2, 3, &[(3, 4), (-4, 6), (7, 5), (11, 1)].map(|(p, q)| Point::ratio(p, q)))
            .unwrap(),
    );
}

#[test]
fn shifts_are_what_the_columns_have_in_common() {
    for t in all() {
        for p in 0..t.products() {
            let column = t.output().iter().map(|row| row[p]);
            assert!(column.clone().all(|x| x.denominator() % 2 == 1));
            let common = column.map(|x| x.numerator().trailing_zeros()).min().unwrap();
            assert_eq!(t.shifts()[p], common, "{t:?}");
        }
    }
}

#[test]
fn figures() {
    // (m, r, stride), products in one dimension, h in two, norms of G', shifts
    type Row = ((usize, usize, usize), usize, u32, &'static [u64], &'static [u32]);
    let rows: &[Row] = &[
        ((2, 3, 1), 4, 2, &[1, 3, 3, 1], &[1, 0, 0, 1]),
        ((3, 3, 1), 5, 2, &[1, 3, 3, 7, 1], &[0, 0, 0, 0, 1]),
        ((4, 3, 1), 6, 2, &[1, 7, 3, 3, 7, 1], &[0; 6]),
        ((5, 3, 1), 7, 6, &[1, 7, 7, 3, 3, 7, 1], &[1, 0, 0, 2, 2, 2, 2]),
        ((6, 3, 1), 8, 6, &[1, 7, 7, 3, 3, 7, 7, 1], &[1, 0, 0, 2, 2, 0, 0, 1]),
        ((2, 2, 1), 3, 0, &[1, 2, 1], &[0; 3]),
        ((3, 2, 1), 4, 2, &[1, 2, 2, 1], &[1, 0, 0, 1]),
        ((4, 2, 1), 5, 2, &[1, 2, 2, 3, 1], &[0, 0, 0, 0, 1]),
        ((2, 3, 2), 5, 0, &[1, 2, 1, 1, 1], &[0; 5]),
        ((3, 3, 2), 7, 2, &[1, 2, 2, 1, 1, 1, 1], &[1, 0, 0, 1, 1, 1, 1]),
        ((4, 3, 2), 9, 2, &[1, 2, 2, 3, 1, 1, 1, 1, 1], &[0, 0, 0, 0, 1, 1, 1, 1, 1]),
    ];
    for &((m, r, stride), products, headroom, norms, shifts) in rows {
        let t = Transform::strided(m, r, stride).unwrap();
        let got = (t.products(), 2 * t.headroom(), t.filter_norms(), t.shifts().to_vec());
        assert_eq!(
            got,
            (products, headroom, norms.to_vec(), shifts.to_vec()),
            "F({m}, {r}) at stride {stride}"
        );
    }
}

/// `(2G)·g·(2G)ᵀ` of Lavin and Gray, equation 6: the factors 2 of its outer rows are in the output transform here.
#[test]
fn f_2_3_is_the_textbook_one() {
    let t = Transform::standard(2, 3).unwrap();
    let doubled: Vec<Vec<i64>> = t
        .filter()
        .iter()
        .zip(t.shifts())
        .map(|(row, shift)| row.iter().map(|x| x << shift).collect())
        .collect();
    assert_eq!(doubled, [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]);
    let norms: Vec<i64> = doubled.iter().map(|row| row.iter().map(|x| x.abs()).sum()).collect();
    assert_eq!(norms, [2, 3, 3, 2]);
    assert_eq!(t.input(), [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]);
}

#[test]
fn tilings_have_the_fewest_products() {
    let tiling = |size, allowed: &[usize]| {
        let axis = Axis { size, kernel: 3, stride: 1, before: 1, after: 1 };
        let tiling = Tiling::new(axis, allowed).unwrap();
        let sizes =
            tiling.tiles().iter().map(|tile| tiling.transforms()[tile.kind].outputs()).collect::<Vec<_>>();
        (sizes, tiling.products(), tiling.headroom())
    };
    assert_eq!(tiling(32, &[2, 4, 6]), (vec![6, 6, 6, 6, 4, 4], 44, 3));
    assert_eq!(tiling(32, &[4]), (vec![4; 8], 48, 1));
    assert_eq!(tiling(8, &[6, 2, 4, 2]), (vec![4, 4], 12, 1)); // not 6 + 2, as dear and with more headroom
    assert_eq!(tiling(7, &[2, 4]), (vec![4, 4], 12, 1));
    assert_eq!(tiling(5, &[2, 4]), (vec![4, 2], 10, 1));
    assert_eq!(tiling(1, &[4]), (vec![4], 6, 1));
    assert_eq!(tiling(0, &[2, 4]).1, 0);
}

#[test]
fn faults() {
    let points = [Point::integer(0), Point::ratio(1, 2), Point::ratio(2, 4), Point::INFINITY];
    assert_eq!(Transform::toom_cook(2, 3, &points), Err(InvalidTransform::RepeatedPoint(1, 2)));
    let count = InvalidTransform::PointCount { expected: 5, got: 4 };
    assert_eq!(Transform::toom_cook(3, 3, &points), Err(count));
    assert_eq!(Transform::standard(7, 3), Err(InvalidTransform::NoStandardPoints(9)));
    assert_eq!(Transform::strided(2, 3, 0), Err(InvalidTransform::Empty));
    let huge: Vec<Point> = (0..6).map(|i| Point::integer(i32::MAX - i)).collect();
    assert_eq!(Transform::toom_cook(3, 4, &huge), Err(InvalidTransform::Overflow));
}
