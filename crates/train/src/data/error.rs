use std::io;

/// Why pictures could not be had, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("{file}: {source}; {hint}")]
    Io {
        /// The file or folder.
        file: String,
        /// What the operating system says.
        source: io::Error,
        /// What should be there.
        hint: &'static str,
    },

    /// What a file or folder holds cannot be used.
    #[error("{file}: {why}")]
    Content {
        /// The file or folder.
        file: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// A class has too few pictures.
    #[error(
        "{file}: class {class} needs at least {needed} pictures to divide and has {found}: one to train with and one \
         for each part held out; add pictures, or leave the class out and number the others from 0"
    )]
    TooFew {
        /// Where the pictures are from.
        file: String,
        /// The name of the class.
        class: String,
        /// Its pictures that may be divided.
        found: usize,
        /// How many it takes.
        needed: usize,
    },

    /// A text that names no source of pictures.
    #[error("{text:?} names no pictures: {why}")]
    Source {
        /// The text.
        text: String,
        /// What is wrong and what to do.
        why: String,
    },

    /// A setting out of its range.
    #[error("{name}: {why}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
}
