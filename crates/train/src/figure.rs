//! Figures for people: an SVG, and a PNG on request, from one scene of lines, areas and words.
//!
//! A scene is [`UNITS`] wide whatever the size of the file, so a larger picture has larger letters. A PNG needs
//! nothing of the machine: its letters are Noto Sans, which comes inside a crate. An SVG names that font and others
//! for viewers that lack it.

mod axis;
mod render;
mod scene;
mod words;

pub(crate) use axis::{Axis, Frame, Kind, Sample, is_shown, legend};
pub(crate) use scene::{GREY, INK, Look, Scene, Style};
pub use words::bytes;
pub(crate) use words::{count, number, percent};

use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The width of every scene.
pub(crate) const UNITS: f64 = 1200.0;

/// Why runs cannot be read or a figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{0:?} cannot be read: {1}; check the path and its permissions")]
    Read(PathBuf, #[source] io::Error),
    /// A file cannot be written.
    #[error("{0:?} cannot be written: {1}; name a file in a folder that exists and can be written to")]
    Write(PathBuf, #[source] io::Error),
    /// A file holds something else than it should.
    #[error("{0:?}: {1}; repair the file, or leave its run out")]
    Damaged(PathBuf, String),
    /// A result of another version of this program: the version found, and the one that is read.
    #[error(
        "{0:?} has format {1}, and this program reads format {2}; use the version that wrote it, or train again"
    )]
    Format(PathBuf, u64, u64),
    /// A folder without a run.
    #[error(
        "{0:?} has no result.json, nor has a folder below; only finished runs have one: name the folder of one"
    )]
    NoRun(PathBuf),
    /// Two runs that should be one.
    #[error(
        "{0:?} and {1:?} are one run: same network, data, method, budget and seed; leave one of them out"
    )]
    Twice(PathBuf, PathBuf),
    /// A file name that does not say what to write.
    #[error("{0:?} does not end in .svg or .png; give the figure one of these endings")]
    Ending(PathBuf),
    /// A size at which a figure does not look right.
    #[error(
        "{0} by {1} pixels: a figure is 300 to 4800 wide, and 0.4 to 2 times as high; choose such a size"
    )]
    Size(u32, u32),
    /// A figure of nothing, or of what does not belong in one figure.
    #[error("{0}")]
    Content(String),
    /// The drawing itself failed.
    #[error("the figure cannot be drawn: {0}; please report this with the files it was made from")]
    Draw(String),
}

/// The size of a figure in pixels; of an SVG, the size at which it is first shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From the left to the right.
    pub width: u32,
    /// From the top to the bottom.
    pub height: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { width: 1280, height: 640 }
    }
}

/// The files that a figure named `path` is written to: an SVG always, and before it the PNG if `path` is one.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let is = |ending| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    match (is("svg"), is("png")) {
        (true, _) => Ok(vec![path.to_owned()]),
        (_, true) => Ok(vec![path.to_owned(), path.with_extension("svg")]),
        _ => Err(Error::Ending(path.to_owned())),
    }
}

/// Writes `scene` over what is at the [`files`] of `path`, and says which these are.
pub(crate) fn write(scene: &Scene, path: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = files(path)?;
    for (index, file) in files.iter().enumerate() {
        let is_svg = index + 1 == files.len();
        let figure = if is_svg { render::svg(scene)?.into_bytes() } else { render::png(scene)? };
        std::fs::write(file, figure).map_err(|source| Error::Write(file.clone(), source))?;
    }
    Ok(files)
}

/// The bytes of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read(path.to_owned(), source);
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|f| f.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let reason = format!("is larger than {limit} bytes, so it is no file of a run");
        return Err(Error::Damaged(path.to_owned(), reason));
    }
    Ok(bytes)
}
