//! Products of matrices.

use super::super::import::Trouble;
use super::call::Call;
use super::walk::{Walk, broadcast, empty};
use super::{Budget, Element, Known, Wide};

/// A matrix: its elements, and the distance of the next row and column.
type Matrix<'a, T> = (&'a [T], usize, usize);

/// The product of an m × k and a k × n matrix, row by row.
fn product<'a, T: Element>(
    (a, a_row, a_column): Matrix<'a, T>,
    (b, b_row, b_column): Matrix<'a, T>,
    [m, k, n]: [usize; 3],
) -> impl Iterator<Item = T::Wide> + 'a {
    let dot = move |row: usize, column: usize| {
        let term = |i: usize| {
            let (a, b) = (a[row * a_row + i * a_column], b[i * b_row + column * b_column]);
            a.widen().times(b.widen())
        };
        (0..k).map(term).fold(T::Wide::default(), T::Wide::plus)
    };
    (0..m).flat_map(move |row| (0..n).map(move |column| dot(row, column)))
}

/// MatMul as numpy has it: a vector is a row on the left and a column on the right, and the axes before the last two
/// broadcast.
pub(super) fn mat_mul(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let wrong = || Trouble::from(format!("{:?} and {:?} are no matrices to multiply", x.dims, y.dims));
    let (x_batch, m, k) = match &x.dims[..] {
        [] => return Err(wrong()),
        [k] => (&[][..], 1, *k),
        [batch @ .., m, k] => (batch, *m, *k),
    };
    let (y_batch, rows, n) = match &y.dims[..] {
        [] => return Err(wrong()),
        [rows] => (&[][..], *rows, 1),
        [batch @ .., rows, n] => (batch, *rows, *n),
    };
    if rows != k {
        return Err(wrong());
    }
    let batch = broadcast(x_batch, y_batch)?;
    let mut dims = batch.clone();
    dims.extend((x.rank() > 1).then_some(m));
    dims.extend((y.rank() > 1).then_some(n));
    let total = budget.tensor(&dims)?;
    budget.steps(&[total, k])?;
    if total == 0 {
        return Ok(empty(x, dims));
    }
    fn with<T: Element>(
        a: &[T],
        b: &[T],
        batches: impl Iterator<Item = (usize, usize)>,
        mkn: [usize; 3],
    ) -> Vec<T> {
        let [m, k, n] = mkn;
        let matrices = batches.map(|(i, j)| ((&a[i * m * k..], k, 1), (&b[j * k * n..], n, 1)));
        matrices.flat_map(|(a, b)| product(a, b, mkn)).map(T::narrow).collect()
    }
    let batches = Walk::broadcast(x_batch, &batch).zip(Walk::broadcast(y_batch, &batch));
    Ok(each!(&x.data, v => Known::made(dims, with(v, y.elements()?, batches, [m, k, n]))))
}

/// Gemm, of floats: alpha·A·B + beta·C, where C broadcasts.
pub(super) fn gemm(call: &Call, budget: &mut Budget) -> Result<Known, Trouble> {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let (&[x_rows, x_columns], &[y_rows, y_columns]) = (&x.dims[..], &y.dims[..]) else {
        return Err(format!("{:?} and {:?} are no matrices", x.dims, y.dims).into());
    };
    // Sizes and distances of a matrix as it is multiplied.
    let turned = |flag, rows: usize, columns: usize| -> Result<[usize; 4], Trouble> {
        Ok(if call.flag(flag)? { [columns, rows, 1, columns] } else { [rows, columns, columns, 1] })
    };
    let [m, k, a_row, a_column] = turned("transA", x_rows, x_columns)?;
    let [rows, n, b_row, b_column] = turned("transB", y_rows, y_columns)?;
    if rows != k {
        return Err(format!("{:?} and {:?} are no matrices to multiply", x.dims, y.dims).into());
    }
    let total = budget.tensor(&[m, n])?;
    budget.steps(&[total, k])?;
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let added = match call.optional(2) {
        Some(c) if broadcast(&c.dims, &[m, n])? == [m, n] => {
            (c.floats(budget)?, Walk::broadcast(&c.dims, &[m, n]))
        }
        Some(c) => return Err(format!("C of {:?} does not broadcast to {m} × {n}", c.dims).into()),
        None => (vec![0.0], Walk::broadcast(&[], &[m, n])),
    };
    let (c, walk) = added;
    fn with<T: Element<Wide = f64>>(sums: impl Iterator<Item = f64>) -> Vec<T> {
        sums.map(T::narrow).collect()
    }
    let sum = |(sum, at): (f64, usize)| alpha * sum + beta * c[at];
    each_float!(&x.data, v => {
        let product = product((&v[..], a_row, a_column), (y.elements()?, b_row, b_column), [m, k, n]);
        Ok(Known::made(vec![m, n], same(v, with(product.zip(walk).map(sum)))))
    })
}

/// Makes the type of `elements` that of others.
fn same<T>(_: &[T], elements: Vec<T>) -> Vec<T> {
    elements
}
