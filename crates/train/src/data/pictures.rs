use std::fmt;

use copriv_ir::Shape;

use super::Error;

/// The most classes a set of pictures may have.
pub(super) const MAX_CLASSES: usize = 1 << 16;

/// Pixels in picture, channel, row, column order.
#[derive(Clone, PartialEq)]
pub enum Pixels {
    /// A byte n is the value n/255.
    Bytes(Vec<u8>),
    /// Values as they are.
    Floats(Vec<f32>),
}

impl Pixels {
    /// The number of pixels.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Floats(floats) => floats.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Bytes(_) => "bytes",
            Self::Floats(_) => "floats",
        };
        write!(f, "{} {kind}", self.len())
    }
}

/// Labelled pictures of one shape, in memory.
#[derive(Clone)]
pub struct Pictures {
    origin: String,
    shape: Shape,
    classes: Vec<String>,
    pixels: Pixels,
    labels: Vec<u16>,
}

impl Pictures {
    /// Pictures of `shape` that show `classes[label]`. `origin` says where they are from, in messages.
    ///
    /// # Errors
    /// [`Error::Content`] where there is no picture or no second class, the shape is out of its limits, pixels are not as many as
    /// the shape and the labels ask for or not finite, or a label names no class.
    pub fn new(
        origin: impl Into<String>,
        shape: Shape,
        classes: Vec<String>,
        pixels: Pixels,
        labels: Vec<u16>,
    ) -> Result<Self, Error> {
        let origin = origin.into();
        let fail = |why| Err(Error::Content { file: origin.clone(), why });
        if let Err(fault) = shape.check() {
            return fail(format!("pictures of {shape} (channels, rows, columns): {fault}"));
        }
        if labels.is_empty() {
            return fail("there is no picture".to_owned());
        }
        if classes.len() < 2 {
            return fail("all pictures are of one class; a classifier needs two classes".to_owned());
        }
        if classes.len() > MAX_CLASSES {
            return fail(format!("{} classes; at most {MAX_CLASSES} are told apart", classes.len()));
        }
        if labels.len().checked_mul(shape.len()) != Some(pixels.len()) {
            return fail(format!("{pixels:?} are not {} pictures of {shape}", labels.len()));
        }
        if let Some(i) = labels.iter().position(|&label| usize::from(label) >= classes.len()) {
            let (label, count) = (labels[i], classes.len());
            return fail(format!(
                "picture {i} has label {label}, but there are {count} classes; number them from 0"
            ));
        }
        if let Pixels::Floats(floats) = &pixels
            && let Some(i) = floats.iter().position(|value| !value.is_finite())
        {
            let (picture, value) = (i / shape.len(), floats[i]);
            return fail(format!("picture {picture} has a pixel that is {value}; pixels are finite numbers"));
        }
        Ok(Self { origin, shape, classes, pixels, labels })
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none; never so.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Where the pictures are from, for messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Channels, rows and columns of each picture.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The names of the classes, by label.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The label of picture `i`.
    ///
    /// # Panics
    /// When there is no picture `i`.
    pub fn label(&self, i: usize) -> usize {
        self.labels[i].into()
    }

    /// All labels, by picture.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// The pixels of all pictures, as they are kept.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// Writes picture `i` to `out`: channel, row, column.
    ///
    /// # Panics
    /// When there is no picture `i`, or `out` is not as long as the shape.
    pub fn write(&self, i: usize, out: &mut [f32]) {
        let range = i * self.shape.len()..(i + 1) * self.shape.len();
        match &self.pixels {
            Pixels::Floats(floats) => out.copy_from_slice(&floats[range]),
            Pixels::Bytes(bytes) => {
                let bytes = &bytes[range];
                assert_eq!(out.len(), bytes.len(), "one value for each pixel");
                for (value, &byte) in out.iter_mut().zip(bytes) {
                    *value = f32::from(byte) / 255.0;
                }
            }
        }
    }
}

/// Sizes only.
impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, shape, classes, pixels, labels } = self;
        let (len, classes) = (labels.len(), classes.len());
        write!(f, "Pictures({len} of {shape} from {origin}, {classes} classes, {pixels:?})")
    }
}
