use copriv_ring::Width;
use copriv_share::Arithmetic;

/// Groups of elements of a vector, known to both parties: the windows of a pooling layer, the rows of an argmax.
/// A window has at least one element; windows may overlap and differ in size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Windows {
    /// The elements' indices, window by window.
    index: Vec<usize>,
    /// The sizes of the windows.
    sizes: Vec<usize>,
}

/// One level of a tournament over windows that lie one after the other.
pub(crate) struct Level {
    /// Where the first and the second element of each pair are.
    pub pairs: [Vec<usize>; 2],
    /// Where each element of the next level is among the pairs' winners followed by this level's elements.
    pub next: Vec<usize>,
    sizes: Vec<usize>,
}

impl Windows {
    /// Windows of the given sizes over elements `index`, one after the other.
    ///
    /// # Panics
    /// When a size is zero or the sizes do not add up to the number of indices.
    pub fn new(index: Vec<usize>, sizes: Vec<usize>) -> Self {
        assert!(!sizes.contains(&0), "a window has at least one element");
        assert_eq!(sizes.iter().sum::<usize>(), index.len(), "an index for each element of the windows");
        Self { index, sizes }
    }

    /// Windows of `size` elements each.
    ///
    /// # Panics
    /// When `index` is not a whole number of windows.
    pub fn fixed(size: usize, index: Vec<usize>) -> Self {
        assert!(size > 0 && index.len().is_multiple_of(size), "a whole number of windows");
        let sizes = vec![size; index.len() / size];
        Self { index, sizes }
    }

    /// `count` windows of `size` elements one after the other, as the rows of a matrix.
    ///
    /// # Panics
    /// When `size` is zero.
    pub fn rows(count: usize, size: usize) -> Self {
        Self::fixed(size, (0..count * size).collect())
    }

    /// The windows of a pooling layer over `channels` maps of `rows` x `cols` elements in the order channel, row, column;
    /// elements outside the map belong to no window.
    ///
    /// # Panics
    /// When a stride is zero, the kernel is larger than the padded map, or a window lies outside the map.
    pub fn pool2d(
        channels: usize,
        [rows, cols]: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        [top, left, bottom, right]: [usize; 4],
    ) -> Self {
        let taps = |size: usize, k: usize, step: usize, before: usize, after: usize| {
            assert!(step > 0 && k <= size + before + after, "the kernel fits the padded map");
            let outputs = (size + before + after - k) / step + 1;
            (0..outputs).map(move |o| {
                let start = o * step;
                start.saturating_sub(before)..(start + k).saturating_sub(before).min(size)
            })
        };
        let (mut index, mut sizes) = (Vec::new(), Vec::new());
        for channel in 0..channels {
            for ys in taps(rows, kernel[0], stride[0], top, bottom) {
                for xs in taps(cols, kernel[1], stride[1], left, right) {
                    sizes.push(ys.len() * xs.len());
                    index.extend(
                        ys.clone().flat_map(|y| xs.clone().map(move |x| (channel * rows + y) * cols + x)),
                    );
                }
            }
        }
        Self::new(index, sizes)
    }

    /// The number of windows.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// The windows' sizes.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The indices of the elements, window by window.
    pub fn index(&self) -> &[usize] {
        &self.index
    }

    /// The elements of `x`, window by window.
    ///
    /// # Panics
    /// When an index is outside `x`.
    pub fn gather(&self, x: &Arithmetic) -> Arithmetic {
        x.gather(self.index.iter().copied())
    }

    /// The sum of each window of `x`.
    ///
    /// # Panics
    /// When an index is outside `x`.
    pub fn sums(&self, x: &Arithmetic) -> Arithmetic {
        let (words, mut rest) = (x.own().words(), self.index.as_slice());
        let sum = |&size: &usize| {
            let (window, others) = rest.split_at(size);
            rest = others;
            window.iter().fold(0u64, |sum, &i| sum.wrapping_add(words[i]))
        };
        Arithmetic::new(copriv_ring::RingVec::from_words(x.width(), self.sizes.iter().map(sum).collect()))
    }

    /// The number of pairs at each level of the tournament.
    pub(crate) fn pairs(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        let mut sizes = self.sizes.clone();
        while sizes.iter().any(|&size| size > 1) {
            counts.push(sizes.iter().map(|size| size / 2).sum());
            sizes.iter_mut().for_each(|size| *size = size.div_ceil(2));
        }
        counts
    }

    /// The levels of the tournament: neighbours are paired, the last one of an odd window has a bye, so that
    /// the order within a window is kept.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Level> {
        let mut sizes = self.sizes.clone();
        std::iter::from_fn(move || {
            let level = Level::new(&sizes)?;
            sizes.clone_from(&level.sizes);
            Some(level)
        })
    }

    /// The width of indices into windows of this size.
    pub(crate) fn largest_index_fits(&self, width: Width) -> bool {
        self.sizes.iter().all(|&size| width.contains(size as u64 - 1))
    }
}

impl Level {
    fn new(sizes: &[usize]) -> Option<Self> {
        let pairs: usize = sizes.iter().map(|size| size / 2).sum();
        if pairs == 0 {
            return None;
        }
        let next_len: usize = sizes.iter().map(|size| size.div_ceil(2)).sum();
        let (mut first, mut second) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
        let (mut next, mut start) = (Vec::with_capacity(next_len), 0);
        for &size in sizes {
            for i in 0..size / 2 {
                next.push(first.len());
                first.push(start + 2 * i);
                second.push(start + 2 * i + 1);
            }
            if size % 2 == 1 {
                next.push(pairs + start + size - 1);
            }
            start += size;
        }
        Some(Self { pairs: [first, second], next, sizes: sizes.iter().map(|s| s.div_ceil(2)).collect() })
    }
}
