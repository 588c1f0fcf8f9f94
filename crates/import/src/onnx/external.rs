//! Weights that lie in files beside the model.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::proto::TensorProto;
use super::tensor::EXTERNAL;

/// The folder of a model, and how many bytes of its files may still be read.
pub(super) struct Beside {
    folder: PathBuf,
    bytes: u64,
}

/// All weights of the largest model, in floats of 64 bits.
const MAX_BYTES: u64 = 1 << 31;

impl Beside {
    /// The files beside the model at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { folder: path.parent().map(Path::to_path_buf).unwrap_or_default(), bytes: MAX_BYTES }
    }

    /// The tensor with its elements, which lie in another file.
    pub(super) fn read(&mut self, tensor: &TensorProto) -> Result<TensorProto, String> {
        let label = tensor.label();
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key() == key).map(|entry| entry.value())
        };
        let location =
            entry("location").ok_or_else(|| format!("{label} lies in a file that is not named"))?;
        let shown = super::import::shown(location);
        // Files beside the model and below: a model cannot have others read.
        let relative = Path::new(location);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if location.is_empty() || !inside {
            return Err(format!("{label} lies in {shown}, which is not in the model's folder"));
        }
        let number = |key: &str| -> Result<Option<u64>, String> {
            let wrong = |text: &str| format!("{label}: {key} {} is no number", super::import::shown(text));
            entry(key).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let path = self.folder.join(relative);
        let refused = |e: std::io::Error| format!("{label} lies in {shown}, which cannot be read: {e}");
        let metadata = std::fs::metadata(&path).map_err(refused)?;
        let size = metadata.len();
        let length = length.unwrap_or(size.saturating_sub(offset));
        if !metadata.is_file() || offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!(
                "{label} is bytes {offset} to {} of {shown}, which has {size}; is the file complete?",
                offset.saturating_add(length)
            ));
        }
        self.bytes = self
            .bytes
            .checked_sub(length)
            .ok_or_else(|| format!("{label}: all weights together are more than this reader takes"))?;
        let mut file = File::open(&path).map_err(refused)?;
        file.seek(SeekFrom::Start(offset)).map_err(refused)?;
        let mut raw = Vec::new();
        file.take(length).read_to_end(&mut raw).map_err(refused)?;
        Ok(TensorProto {
            name: tensor.name.clone(),
            dims: tensor.dims.clone(),
            data_type: tensor.data_type,
            raw_data: Some(raw),
            ..TensorProto::default()
        })
    }
}

impl TensorProto {
    pub(super) fn is_external(&self) -> bool {
        self.data_location() == EXTERNAL
    }
}
