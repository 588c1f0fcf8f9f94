//! What a model's metadata says about the pictures that it takes.

use copriv_ir::Preprocessing;
use prost::Message;

use super::PREPROCESSING_KEY;
use super::proto::StringStringEntryProto;
use super::scan;
use crate::Error;

/// The longest text that is read: a preprocessing takes some two hundred bytes.
const MAX_TEXT: usize = 4096;

/// A model of which all but the metadata is skipped.
#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

pub(super) fn preprocessing(bytes: &[u8], file: &str) -> Result<Option<Preprocessing>, Error> {
    let malformed = |why: String| Error::Malformed { file: file.to_owned(), format: "ONNX", why };
    scan::check(bytes).map_err(malformed)?;
    let model = Metadata::decode(bytes).map_err(|e| malformed(e.to_string()))?;
    let mut texts =
        model.metadata_props.iter().filter(|entry| entry.key() == PREPROCESSING_KEY).map(|e| e.value());
    let Some(text) = texts.next() else { return Ok(None) };
    let wrong = |why: String| {
        // The text quotes the file.
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        let why =
            format!("its metadata {PREPROCESSING_KEY} is no preprocessing: {why}; correct it or take it out");
        Error::Model { file: file.to_owned(), why }
    };
    if texts.next().is_some() {
        return Err(wrong("it is there twice".to_owned()));
    }
    if text.len() > MAX_TEXT {
        return Err(wrong(format!("it has {} bytes, at most {MAX_TEXT} are read", text.len())));
    }
    let preprocessing: Preprocessing = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    preprocessing.validate().map_err(|e| wrong(e.to_string()))?;
    Ok(Some(preprocessing))
}

pub(super) fn entry(preprocessing: &Preprocessing) -> StringStringEntryProto {
    // Numbers, names and lists of them: there is always a JSON form.
    let text = serde_json::to_string(preprocessing).unwrap_or_default();
    StringStringEntryProto { key: Some(PREPROCESSING_KEY.to_owned()), value: Some(text) }
}
