//! The result of a run: the file that a finished run leaves in its folder.

use super::{Error, ORIGINAL};
use crate::figure::read;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The version of `result.json` that is written and read here.
pub const FORMAT: u64 = 1;

const NAME: &str = "result.json";
/// Larger files are none of ours.
const LIMIT: u64 = 1 << 20;
/// How far below a folder runs are looked for.
const DEPTH: usize = 6;

/// What came out of a run. Keys that are not known are ignored, so that later versions may add some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`FORMAT`].
    pub format: u64,
    /// The method of network optimisation.
    pub method: String,
    /// The network's name.
    pub network: String,
    /// The data's name.
    pub data: String,
    /// Of everything random in the run.
    pub seed: u64,
    /// The part of the validation data that is told right, from 0 to 1.
    pub accuracy_validation: f64,
    /// The part of the test data that is told right, from 0 to 1.
    pub accuracy_test: f64,
    /// On the test data; none where it is no number.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Bytes of one private inference, both phases and both ways.
    pub bytes_total: u64,
    /// The bytes of the online phase among them.
    pub bytes_online: u64,
    /// Elements that still go through a ReLU.
    pub relus: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// What the method was allowed, in its own words; runs of one budget differ in their seeds alone.
    #[serde(default)]
    pub budget: String,
    /// Anything else, for people.
    #[serde(default)]
    pub notes: String,
}

impl RunResult {
    /// Reads a `result.json`. The last bit of a number of 16 digits or more may not be the one that was written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        let bytes = read(path, LIMIT)?;
        let damaged = |why: &dyn ToString| Error::Damaged(path.to_owned(), why.to_string());
        let version: Version = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
        if version.format != FORMAT {
            return Err(Error::Format(path.to_owned(), version.format, FORMAT));
        }
        let result: Self = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
        result.check().map_err(|why| damaged(&why))?;
        Ok(result)
    }

    /// Writes the `result.json` of the run in `folder`, whole or not at all, over what is there.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        self.check().map_err(|why| Error::Damaged(path.clone(), why))?;
        let text =
            serde_json::to_string_pretty(self).map_err(|e| Error::Damaged(path.clone(), e.to_string()))?;
        let part = folder.join("result.json.part");
        let written = std::fs::write(&part, text + "\n").and_then(|()| std::fs::rename(&part, &path));
        written.map_err(|source| Error::Write(path, source))
    }

    fn check(&self) -> Result<(), String> {
        for (key, text) in [("method", &self.method), ("network", &self.network), ("data", &self.data)] {
            if text.trim().is_empty() {
                return Err(format!("{key} is empty"));
            }
        }
        for text in [&self.method, &self.network, &self.data, &self.budget] {
            if text.chars().count() > 100 || text.chars().any(char::is_control) {
                return Err(format!(
                    "{text:?} is no name: it is longer than 100 letters or has a control letter"
                ));
            }
        }
        for accuracy in [self.accuracy_validation, self.accuracy_test] {
            if !(0.0..=1.0).contains(&accuracy) {
                return Err(format!("an accuracy is {accuracy}, and not from 0 to 1"));
            }
        }
        match (self.bytes_online, self.bytes_total) {
            (0, _) => Err("bytes_online is 0, and no private inference is free".into()),
            (online, total) if online > total => {
                Err(format!("bytes_online {online} is above bytes_total {total}"))
            }
            _ => Ok(()),
        }
    }

    /// What no two runs share.
    fn key(&self) -> (&str, &str, &str, &str, u64) {
        // The original has no budget.
        let budget = if self.method == ORIGINAL { "" } else { self.budget.as_str() };
        (&self.network, &self.data, &self.method, budget, self.seed)
    }
}

/// The results in `folders`: each is the folder of a run, or has such folders below. A run that is named twice counts
/// once; links to folders are followed only where they are named themselves.
pub fn load(folders: &[impl AsRef<Path>]) -> Result<Vec<RunResult>, Error> {
    let mut files = BTreeSet::new();
    for folder in folders.iter().map(AsRef::as_ref) {
        let folder = folder.canonicalize().map_err(|source| Error::Read(folder.to_owned(), source))?;
        let before = files.len();
        let found = find(&folder, DEPTH, &mut files)?;
        if !found && files.len() == before {
            return Err(Error::NoRun(folder));
        }
    }
    let mut results = BTreeMap::new();
    for file in files {
        let result = RunResult::read(&file)?;
        if let Some((first, _)) =
            results.values().find(|(_, other): &&(PathBuf, RunResult)| other.key() == result.key())
        {
            return Err(Error::Twice(first.clone(), file));
        }
        results.insert(file.clone(), (file, result));
    }
    Ok(results.into_values().map(|(_, result)| result).collect())
}

/// Adds the results in `folder` and below, and says whether there was one.
fn find(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> Result<bool, Error> {
    let failed = |source| Error::Read(folder.to_owned(), source);
    let mut found = false;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && depth > 0 {
            found |= find(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() && entry.file_name() == NAME {
            files.insert(entry.path());
            found = true;
        }
    }
    Ok(found)
}
