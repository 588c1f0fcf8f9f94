use copriv_ir::Shape;
use rayon::prelude::*;

use super::draw::Draw;
use super::{AUGMENT, Data, ORDER, Part, Pictures};
use crate::augment::Augment;

/// One pass over the pictures to train with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Epoch {
    /// The seed of the run.
    pub seed: u64,
    /// Which pass it is.
    pub number: u64,
    /// Pictures in a batch.
    pub batch: usize,
    /// Whether a last batch of fewer pictures is left out.
    pub drop_last: bool,
    /// How pictures are varied.
    pub augment: Augment,
}

/// Some pictures and what they show.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Picture, channel, row, column.
    pub pixels: Vec<f32>,
    /// The label of each picture.
    pub labels: Vec<usize>,
}

/// An iterator of batches. Those passed over by [`nth`](Iterator::nth) and [`skip`](Iterator::skip) cost nothing, and
/// those after them are what they would be without.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    pictures: &'a Pictures,
    /// Pictures in the order in which they come.
    order: Vec<usize>,
    batch: usize,
    next: usize,
    count: usize,
    /// Seed and number of the epoch.
    vary: Option<(Augment, [u64; 2])>,
}

/// The batches to train with in one epoch: a permutation of the training part that depends on the seed and on the
/// number of the epoch, each picture varied in a way that depends on these two and on the picture. The number of
/// threads changes nothing.
///
/// # Panics
/// When a batch is to have no picture.
pub fn batches<'a>(data: &'a Data, epoch: &Epoch) -> Batches<'a> {
    let mut order = data.part(Part::Train).to_vec();
    Draw::new(epoch.seed, &[ORDER, epoch.number]).shuffle(&mut order);
    let mut batches = Batches::new(data, order, epoch.batch);
    if epoch.drop_last {
        batches.count = batches.order.len() / epoch.batch;
    }
    batches.vary = Some((epoch.augment, [epoch.seed, epoch.number])).filter(|(a, _)| *a != Augment::NONE);
    batches
}

/// The pictures of `part` as they are, in batches of `batch` in their order, the last of them smaller where they
/// do not divide.
///
/// # Panics
/// When a batch is to have no picture.
pub fn in_order(data: &Data, part: Part, batch: usize) -> Batches<'_> {
    Batches::new(data, data.part(part).to_vec(), batch)
}

impl<'a> Batches<'a> {
    fn new(data: &'a Data, order: Vec<usize>, batch: usize) -> Self {
        assert_ne!(batch, 0, "a batch has pictures");
        let count = order.len().div_ceil(batch);
        Self { pictures: data.pictures(), order, batch, next: 0, count, vary: None }
    }

    /// The shape of each picture.
    pub fn shape(&self) -> Shape {
        self.pictures.shape()
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next == self.count {
            return None;
        }
        let start = self.next * self.batch;
        let chosen = &self.order[start..self.order.len().min(start + self.batch)];
        self.next += 1;
        let shape = self.shape();
        let mut pixels = vec![0.0; chosen.len() * shape.len()];
        pixels.par_chunks_mut(shape.len()).zip(chosen).for_each_init(Vec::new, |scratch, (out, &picture)| {
            self.pictures.write(picture, out);
            if let Some((augment, [seed, epoch])) = &self.vary {
                let mut draw = Draw::new(*seed, &[AUGMENT, *epoch, picture as u64]);
                augment.apply(out, shape, scratch, &mut draw);
            }
        });
        let labels = chosen.iter().map(|&picture| self.pictures.label(picture)).collect();
        Some(Batch { pixels, labels })
    }

    fn nth(&mut self, n: usize) -> Option<Batch> {
        self.next += n.min(self.count - self.next);
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count - self.next, Some(self.count - self.next))
    }
}

impl ExactSizeIterator for Batches<'_> {}
