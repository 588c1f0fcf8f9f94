use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use copriv_import::zoo;
use copriv_ir::Shape;
use serde::{Deserialize, Serialize};

use super::pictures::{Pictures, Pixels};
use super::{Error, cifar, folder, npz};

/// Where labelled pictures are from: a text that a user gives and a run keeps.
///
/// | text | pictures |
/// |---|---|
/// | `digits` | the 1,000 handwritten digits that ship with `copriv-import` |
/// | `cifar10:DIR`, `cifar100:DIR` | the binary version of CIFAR, in DIR or in the folder below it that the archive makes |
/// | `folder:DIR` | PNG and JPEG files, a subfolder for each class, in `train`, `val` and `test` or without |
/// | `npz:FILE` | a NumPy archive of `x`, `y` and, if there are, `x_val`, `y_val`, `x_test`, `y_test` |
///
/// A folder may be followed by `,size=HxW`, the rows and columns to resize to, and by `,channels=1` or `,channels=3`.
///
/// ```
/// use copriv_train::data::Source;
///
/// let source: Source = "folder:leaves,size=64x48".parse()?;
/// assert_eq!(source, Source::Folder { dir: "leaves".into(), size: Some([64, 48]), channels: None });
/// assert_eq!(source.to_string(), "folder:leaves,size=64x48");
/// # Ok::<(), copriv_train::data::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// The held-out digits of the zoo, 1x28x28.
    Digits,
    /// The folder of CIFAR-10, 3x32x32.
    Cifar10(PathBuf),
    /// The folder of CIFAR-100, 3x32x32; its labels are the fine ones.
    Cifar100(PathBuf),
    /// A folder of pictures.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Rows and columns to crop at the centre and resize to; without, all pictures must be of one size.
        size: Option<[usize; 2]>,
        /// 1 or 3; without, 1 where all pictures are grey.
        channels: Option<usize>,
    },
    /// A NumPy archive.
    Npz(PathBuf),
}

/// Pictures, those to train with first, then those to validate with, then those to test with.
pub(super) struct Loaded {
    pub(super) pictures: Pictures,
    /// How many there are for each [`Part`](super::Part); 0 where the source has no such part.
    pub(super) counts: [usize; 3],
}

impl Source {
    pub(super) fn load(&self) -> Result<Loaded, Error> {
        match self {
            Self::Digits => digits(),
            Self::Cifar10(dir) => cifar::load(dir, &cifar::CIFAR10),
            Self::Cifar100(dir) => cifar::load(dir, &cifar::CIFAR100),
            Self::Folder { dir, size, channels } => folder::load(dir, *size, *channels),
            Self::Npz(file) => npz::load(file),
        }
    }
}

fn digits() -> Result<Loaded, Error> {
    let origin = "digits";
    let (pictures, labels) =
        zoo::digits_heldout().map_err(|e| Error::Content { file: origin.to_owned(), why: e.to_string() })?;
    let labels: Vec<u16> = labels.into_iter().map(|label| label as u16).collect();
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let counts = [labels.len(), 0, 0];
    let pixels = Pixels::Floats(pictures.concat());
    Ok(Loaded { pictures: Pictures::new(origin, Shape::new(1, 28, 28), classes, pixels, labels)?, counts })
}

const HELP: &str =
    "give digits, cifar10:DIR, cifar100:DIR, folder:DIR, folder:DIR,size=HxW,channels=1 or npz:FILE";

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |why: &str| Error::Source { text: text.to_owned(), why: why.to_owned() };
        if text == "digits" {
            return Ok(Self::Digits);
        }
        let (kind, path) = text.split_once(':').ok_or_else(|| fail(HELP))?;
        let source = match kind {
            "cifar10" => Self::Cifar10(path.into()),
            "cifar100" => Self::Cifar100(path.into()),
            "folder" => parse_folder(path).map_err(fail)?,
            "npz" => Self::Npz(path.into()),
            _ => return Err(fail(HELP)),
        };
        if source.path().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(fail("a path must follow the colon"));
        }
        Ok(source)
    }
}

/// Options are taken from the end, so that a path may have commas.
fn parse_folder(text: &str) -> Result<Source, &'static str> {
    let (mut dir, mut size, mut channels) = (text, None, None);
    while let Some((before, option)) = dir.rsplit_once(',') {
        if let Some(value) = option.strip_prefix("size=") {
            let sides = value.split_once('x').and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
            let sides = sides.filter(|sides| !sides.contains(&0));
            if size.replace(sides.ok_or("a size is rows x columns, such as size=32x32")?).is_some() {
                return Err("the size is given twice");
            }
        } else if let Some(value) = option.strip_prefix("channels=") {
            let count = value.parse().ok().filter(|count| matches!(count, 1 | 3));
            if channels.replace(count.ok_or("pictures have channels=1 or channels=3")?).is_some() {
                return Err("the channels are given twice");
            }
        } else {
            break;
        }
        dir = before;
    }
    Ok(Source::Folder { dir: dir.into(), size, channels })
}

impl Source {
    /// The file or folder, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Digits => None,
            Self::Cifar10(path) | Self::Cifar100(path) | Self::Npz(path) => Some(path),
            Self::Folder { dir, .. } => Some(dir),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Cifar10(dir) => write!(f, "cifar10:{}", dir.display()),
            Self::Cifar100(dir) => write!(f, "cifar100:{}", dir.display()),
            Self::Npz(file) => write!(f, "npz:{}", file.display()),
            Self::Folder { dir, size, channels } => {
                write!(f, "folder:{}", dir.display())?;
                size.map_or(Ok(()), |[h, w]| write!(f, ",size={h}x{w}"))?;
                channels.map_or(Ok(()), |count| write!(f, ",channels={count}"))
            }
        }
    }
}

impl TryFrom<String> for Source {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}
