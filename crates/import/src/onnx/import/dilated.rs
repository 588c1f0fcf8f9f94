//! Convolutions whose taps are apart.

use copriv_ir::{NodeId, Shape, Window};

use super::super::proto::NodeProto;
use super::{Importer, Tensor, Trouble};

/// A map whose rows and columns are sorted by their remainders of the dilation: there a dilated kernel is a dense one.
pub(super) struct Parts {
    dilation: [usize; 2],
    /// Rows and columns of one part.
    rows: [usize; 2],
    /// Padding above and on the left.
    before: [usize; 2],
    /// Rows and columns of the result.
    output: [usize; 2],
}

impl Parts {
    pub(super) fn new(window: &Window, dilation: [usize; 2], x: Shape) -> Result<Self, Trouble> {
        let [top, left, bottom, right] = window.padding;
        let padded = [x.height + top + bottom, x.width + left + right];
        let output = [0, 1].map(|d| padded[d].saturating_sub((window.kernel[d] - 1) * dilation[d]));
        if output.contains(&0) {
            return Err(format!(
                "the kernel {:?} with dilations {dilation:?} is larger than the padded map {padded:?}",
                window.kernel
            )
            .into());
        }
        let rows = [0, 1].map(|d| padded[d].div_ceil(dilation[d]));
        Ok(Self { dilation, rows, before: [top, left], output })
    }
}

impl Importer {
    /// The map of [`Parts`].
    pub(super) fn parts(&mut self, node: &NodeProto, x: NodeId, parts: &Parts) -> Result<NodeId, Trouble> {
        let Shape { channels, height, width } = self.builder.shape(x);
        let [dy, dx] = parts.dilation;
        let [rows, columns] = parts.rows;
        let [top, left] = parts.before;
        // Padded to whole numbers of rows and columns, and then taken apart.
        let padded = vec![1, channels, rows * dy, columns * dx];
        let count = padded.iter().product();
        self.pay(count)?;
        self.pay(count)?;
        let place = |c: usize, y: usize, x: usize| {
            let inside = (top..top + height).contains(&y) && (left..left + width).contains(&x);
            if inside { (c * height + y - top) * width + x - left } else { usize::MAX }
        };
        let places: Vec<usize> =
            each([channels, rows * dy, columns * dx]).map(|[c, y, x]| place(c, y, x)).collect();
        let from = Tensor { id: x, dims: vec![1, channels, height, width] };
        let padded = self.view(node, "pad", &from, &places, padded)?;
        let apart: Vec<usize> = each([channels, rows * dy, columns * dx])
            .map(|[c, y, x]| {
                let (row, column) = (y % rows * dy + y / rows, x % columns * dx + x / columns);
                (c * rows * dy + row) * columns * dx + column
            })
            .collect();
        Ok(self.view(node, "apart", &padded, &apart, vec![1, channels, rows * dy, columns * dx])?.id)
    }

    /// The result of a convolution of [`Parts`], put together.
    pub(super) fn together(&mut self, node: &NodeProto, y: NodeId, parts: &Parts) -> Result<NodeId, Trouble> {
        let Shape { channels, height, width } = self.builder.shape(y);
        let ([dy, dx], [rows, columns], [oh, ow]) = (parts.dilation, parts.rows, parts.output);
        // Rows that every part has all of.
        let [used_rows, used_columns] = [oh.div_ceil(dy), ow.div_ceil(dx)];
        let count = channels.saturating_mul(used_rows * dy).saturating_mul(used_columns * dx);
        self.pay(count)?;
        self.pay(count)?;
        let places: Vec<usize> = each([channels, used_rows * dy, used_columns * dx])
            .map(|[c, y, x]| {
                let (row, column) = (y % dy * rows + y / dy, x % dx * columns + x / dx);
                let inside = row < height && column < width;
                if inside { (c * height + row) * width + column } else { usize::MAX }
            })
            .collect();
        let from = Tensor { id: y, dims: vec![1, channels, height, width] };
        let whole = self.view(
            node,
            "together",
            &from,
            &places,
            vec![1, channels, used_rows * dy, used_columns * dx],
        )?;
        let cut: Vec<usize> = each([channels, oh, ow])
            .map(|[c, y, x]| (c * used_rows * dy + y) * used_columns * dx + x)
            .collect();
        Ok(self.view(node, "crop", &whole, &cut, vec![1, channels, oh, ow])?.id)
    }
}

/// Indices of an array of three axes, in their order.
fn each([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
}

/// A kernel with zeros between its taps, in a list that `room` gives.
pub(super) fn spread(
    window: &Window,
    [dy, dx]: [usize; 2],
    weight: &[f32],
    room: impl FnOnce(usize) -> Result<Vec<f32>, Trouble>,
) -> Result<(Window, Vec<f32>), Trouble> {
    let [kh, kw] = window.kernel;
    let [h, w] = [(kh - 1) * dy + 1, (kw - 1) * dx + 1];
    // Sides are at most MAX_SIDE, and there are at most 2^28 weights: no product overflows.
    let length = weight.len() / (kh * kw) * h * w;
    let mut spread = room(length)?;
    spread.resize(length, 0.0);
    for (index, &value) in weight.iter().enumerate() {
        let (kernel, row, column) = (index / (kh * kw), index / kw % kh, index % kw);
        spread[(kernel * h + row * dy) * w + column * dx] = value;
    }
    Ok((Window { kernel: [h, w], ..*window }, spread))
}
