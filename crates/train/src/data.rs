//! Labelled pictures: where they are from, which are held out, and how they are dealt out to train on.
//!
//! [`Data::load`] reads all pictures of a [`Source`] into memory and divides them into three [`Part`]s; [`batches`] deals
//! out those to train with, [`in_order`] any part to look at. Everything depends on seeds alone: a run that is resumed
//! in the middle of an epoch sees what it would have seen, on any number of threads, and [`Data::digest`] tells whether the
//! pictures are still the same. Files are taken to be hostile: they end in pictures or in an [`Error`] that says what
//! to do.
//!
//! ```
//! use copriv_train::augment::Augment;
//! use copriv_train::data::{Data, Epoch, Part, Split, batches};
//!
//! let data = Data::load(&"digits".parse()?, &Split { validation: 0.2, test: 0.0, seed: 1 })?;
//! assert_eq!((data.part(Part::Train).len(), data.part(Part::Validation).len()), (799, 201));
//!
//! let augment = Augment { crop: 2, ..Augment::NONE };
//! let epoch = Epoch { seed: 1, number: 0, batch: 64, drop_last: false, augment };
//! let all: Vec<_> = batches(&data, &epoch).collect();
//! assert_eq!(batches(&data, &epoch).skip(5).next().as_ref(), Some(&all[5]));
//! # Ok::<(), copriv_train::data::Error>(())
//! ```

mod batches;
mod cifar;
mod draw;
mod error;
mod file;
mod folder;
mod npy;
mod npz;
mod pictures;
mod source;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use batches::{Batch, Batches, Epoch, batches, in_order};
pub use draw::Draw;
pub use error::Error;
pub use pictures::{Pictures, Pixels};
use source::Loaded;
pub use source::Source;

/// First steps of the paths of [`Draw`].
const SPLIT: u64 = 0;
const LIMIT: u64 = 1;
const ORDER: u64 = 2;
const AUGMENT: u64 = 3;

/// What a picture is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// To train on.
    Train,
    /// To choose settings and to stop by.
    Validation,
    /// To measure the result on, once.
    Test,
}

/// How pictures are divided where the source does not do so itself. Shares are of the pictures that are not held out
/// already, class by class, rounded; each class gives at least one.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The share to validate with, more than 0; without effect where the source has pictures for that.
    pub validation: f64,
    /// The share to test with, which may be 0; without effect where the source has pictures for that.
    pub test: f64,
    /// Decides which pictures, and which a [limit](Data::limit) keeps.
    pub seed: u64,
}

impl Split {
    /// Whether the shares leave something to train with.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<(), Error> {
        let fail = |name, why: String| Err(Error::Setting { name, why });
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let why = format!("{} is no share to hold out; use one such as 0.1", self.validation);
            return fail("validation", why);
        }
        if !(0.0..1.0).contains(&self.test) {
            return fail("test", format!("{} is no share to hold out; use one such as 0.1, or 0", self.test));
        }
        if self.validation + self.test >= 1.0 {
            return fail("validation and test", "together they leave nothing to train with".to_owned());
        }
        Ok(())
    }
}

/// Pictures and their parts. No picture is in two of them; each has an order of its own.
#[derive(Clone)]
pub struct Data {
    pictures: Pictures,
    parts: [Vec<usize>; 3],
    seed: u64,
}

impl Data {
    /// Reads the pictures of `source` and divides them.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Content`] where files cannot be read or used, [`Error::Setting`] for shares out of
    /// range, [`Error::TooFew`] where a class cannot be divided.
    pub fn load(source: &Source, split: &Split) -> Result<Self, Error> {
        split.check()?;
        Self::divide(source.load()?, split)
    }

    /// Like [`load`](Self::load) with a NumPy archive as the source, from bytes in memory.
    ///
    /// # Errors
    /// Those of [`load`](Self::load) but for [`Error::Io`].
    pub fn from_npz(bytes: &[u8], split: &Split) -> Result<Self, Error> {
        split.check()?;
        Self::divide(npz::decode(bytes, "the archive")?, split)
    }

    /// Divides pictures that are in memory already.
    ///
    /// # Errors
    /// [`Error::Setting`] and [`Error::TooFew`].
    pub fn new(pictures: Pictures, split: &Split) -> Result<Self, Error> {
        split.check()?;
        let counts = [pictures.len(), 0, 0];
        Self::divide(Loaded { pictures, counts }, split)
    }

    fn divide(Loaded { pictures, counts }: Loaded, split: &Split) -> Result<Self, Error> {
        let [train, validation, test] = counts;
        let fractions =
            [if validation == 0 { split.validation } else { 0.0 }, if test == 0 { split.test } else { 0.0 }];
        let needed = 1 + fractions.iter().filter(|&&fraction| fraction > 0.0).count();
        let held_out = |range: std::ops::Range<usize>| range.collect::<Vec<usize>>();
        let mut parts =
            [Vec::new(), held_out(train..train + validation), held_out(train + validation..pictures.len())];
        for (class, mut members) in by_class(&pictures, 0..train).into_iter().enumerate() {
            let found = members.len();
            if found < needed {
                let (file, class) = (pictures.origin().to_owned(), pictures.classes()[class].clone());
                return Err(Error::TooFew { file, class, found, needed });
            }
            let mut shares = fractions.map(|fraction| match fraction {
                0.0 => 0,
                _ => ((found as f64 * fraction).round() as usize).max(1),
            });
            // Rounding may leave nothing to train with; as there are enough pictures, the larger share is above 1.
            while shares[0] + shares[1] >= found {
                shares[usize::from(shares[1] > shares[0])] -= 1;
            }
            Draw::new(split.seed, &[SPLIT, class as u64]).shuffle(&mut members);
            parts[1].extend(members.drain(..shares[0]));
            parts[2].extend(members.drain(..shares[1]));
            parts[0].extend(members);
        }
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(Self { pictures, parts, seed: split.seed })
    }

    /// Keeps `train` pictures to train with, in each class in proportion and one at least, and all others; all where
    /// there are no more.
    ///
    /// # Errors
    /// [`Error::Setting`] when `train` is less than the number of classes.
    pub fn limit(mut self, train: usize) -> Result<Self, Error> {
        let classes = self.pictures.classes().len();
        if train < classes {
            let why =
                format!("{train} pictures to train with; at least {classes} are needed, one of each class");
            return Err(Error::Setting { name: "limit", why });
        }
        let total = self.parts[0].len();
        if train >= total {
            return Ok(self);
        }
        let members = by_class(&self.pictures, self.parts[0].iter().copied());
        // One of each class, then what is left in proportion: class c ends at ⌊share·before(c + 1)⌋, so that no class
        // gets more than it has. total > train ≥ classes.
        let ends = |before: usize| before as u128 * (train - classes) as u128 / (total - classes) as u128;
        let mut before = 0;
        self.parts[0].clear();
        for (class, mut members) in members.into_iter().enumerate() {
            let after = before + members.len() - 1;
            Draw::new(self.seed, &[LIMIT, class as u64]).shuffle(&mut members);
            members.truncate(1 + (ends(after) - ends(before)) as usize);
            self.parts[0].extend(members);
            before = after;
        }
        self.parts[0].sort_unstable();
        Ok(self)
    }

    /// All pictures.
    pub fn pictures(&self) -> &Pictures {
        &self.pictures
    }

    /// The pictures of a part, by their number in [`pictures`](Self::pictures), ascending.
    pub fn part(&self, part: Part) -> &[usize] {
        &self.parts[part as usize]
    }

    /// SHA-256 of shape, pixels, labels and parts: whether two runs see the same.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let shape = self.pictures.shape();
        let numbers = [shape.channels, shape.height, shape.width, self.pictures.classes().len()];
        for list in [&numbers[..], &self.parts[0], &self.parts[1], &self.parts[2]] {
            hash.update((list.len() as u64).to_le_bytes());
            list.iter().for_each(|&number| hash.update((number as u64).to_le_bytes()));
        }
        self.pictures.labels().iter().for_each(|label| hash.update(label.to_le_bytes()));
        match self.pictures.pixels() {
            Pixels::Bytes(bytes) => {
                hash.update([0]);
                hash.update(bytes);
            }
            Pixels::Floats(floats) => {
                hash.update([1]);
                floats.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
        }
        hash.finalize().into()
    }
}

/// The pictures `among` by their label.
fn by_class(pictures: &Pictures, among: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); pictures.classes().len()];
    among.for_each(|picture| members[pictures.label(picture)].push(picture));
    members
}

/// Sizes only.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test] = self.parts.each_ref().map(Vec::len);
        write!(f, "Data({:?}: {train} to train, {validation} to validate, {test} to test)", self.pictures)
    }
}
