//! How tiles of one or several sizes cover a dimension.

use crate::transform::{InvalidTransform, Transform};

/// One dimension of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The inputs.
    pub size: usize,
    /// The taps of the filter.
    pub kernel: usize,
    /// The distance, in inputs, of neighbouring outputs.
    pub stride: usize,
    /// Zeros before the first input.
    pub before: usize,
    /// Zeros after the last input.
    pub after: usize,
}

impl Axis {
    /// The outputs: `⌊(size + before + after − kernel) / stride⌋ + 1`, or none where the padded input is shorter than the filter.
    ///
    /// # Panics
    ///
    /// If the stride is zero.
    pub fn outputs(&self) -> usize {
        (self.size + self.before + self.after)
            .checked_sub(self.kernel)
            .map_or(0, |room| room / self.stride + 1)
    }

    /// The input at this index of the padded dimension, `None` where it is padding.
    pub(crate) fn inside(&self, padded: usize) -> Option<usize> {
        padded.checked_sub(self.before).filter(|&x| x < self.size)
    }
}

/// Where a tile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Its transform, an index into [`Tiling::transforms`].
    pub kind: usize,
    /// Its first output. Outputs past the end of the dimension are computed from zeros and dropped.
    pub start: usize,
}

/// A cover of a dimension's outputs by tiles, large ones first; only the last can reach past the end, as a cover with one tile
/// too many has not the fewest products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiling {
    axis: Axis,
    transforms: Vec<Transform>,
    tiles: Vec<Tile>,
}

impl Tiling {
    /// The cover of all outputs of `axis` by tiles of the `allowed` sizes with the fewest products; where several have the
    /// fewest, that of the least headroom, then of the fewest sizes, then of the fewest tiles. One allowed size gives the
    /// uniform tiling. All transforms are brought to the headroom of the largest.
    ///
    /// # Panics
    ///
    /// If `allowed` is empty or has more than 8 sizes.
    pub fn new(axis: Axis, allowed: &[usize]) -> Result<Self, InvalidTransform> {
        assert!((1..=8).contains(&allowed.len()), "1 to 8 tile sizes, not {}", allowed.len());
        let mut transforms = allowed
            .iter()
            .map(|&outputs| Transform::strided(outputs, axis.kernel, axis.stride))
            .collect::<Result<Vec<_>, _>>()?;
        transforms.sort_by_key(|transform| std::cmp::Reverse(transform.outputs()));
        transforms.dedup_by_key(|transform| transform.outputs());
        let outputs = axis.outputs();

        let mut best: Option<(_, Vec<Transform>, Vec<usize>)> = None;
        for subset in 1u32..1 << transforms.len() {
            let chosen = (0..transforms.len()).filter(|&i| subset >> i & 1 == 1).map(|i| &transforms[i]);
            let chosen: Vec<&Transform> = chosen.collect();
            let headroom = chosen.iter().map(|transform| transform.headroom()).max().unwrap_or(0);
            let (products, counts) = cheapest(outputs, &chosen);
            let key = (products, headroom, chosen.len(), counts.iter().sum::<usize>());
            if best.as_ref().is_none_or(|(least, ..)| key < *least) {
                let scaled = chosen.iter().map(|transform| transform.with_headroom(headroom));
                best = Some((key, scaled.collect::<Result<_, _>>()?, counts));
            }
        }
        let (_, transforms, counts) = best.expect("there is a tile size");

        let mut tiles = Vec::with_capacity(counts.iter().sum());
        let mut start = 0;
        for (kind, (transform, count)) in transforms.iter().zip(counts).enumerate() {
            for _ in 0..count {
                tiles.push(Tile { kind, start });
                start += transform.outputs();
            }
        }
        Ok(Self { axis, transforms, tiles })
    }

    /// The dimension covered.
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// The transforms of the tile sizes, large tiles first, all of the same headroom.
    pub fn transforms(&self) -> &[Transform] {
        &self.transforms
    }

    /// The tiles, in the order of their outputs.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The products of all tiles.
    pub fn products(&self) -> usize {
        self.tiles.iter().map(|tile| self.transforms[tile.kind].products()).sum()
    }

    /// h, common to all tiles.
    pub fn headroom(&self) -> u32 {
        self.transforms.first().map_or(0, Transform::headroom)
    }
}

/// The least products, then tiles, that cover `outputs` outputs, and how many tiles of each transform do.
fn cheapest(outputs: usize, transforms: &[&Transform]) -> (usize, Vec<usize>) {
    // least[k]: (products, tiles, last transform) to cover at least k outputs.
    let mut least = vec![(0, 0, 0)];
    for k in 1..=outputs {
        let with = |(i, transform): (usize, &&Transform)| {
            let (products, tiles, _) = least[k.saturating_sub(transform.outputs())];
            (products + transform.products(), tiles + 1, i)
        };
        let next = transforms.iter().enumerate().map(with).min().expect("there is a tile size");
        least.push(next);
    }
    let mut counts = vec![0; transforms.len()];
    let mut k = outputs;
    while k > 0 {
        let last = least[k].2;
        counts[last] += 1;
        k = k.saturating_sub(transforms[last].outputs());
    }
    (least[outputs].0, counts)
}
