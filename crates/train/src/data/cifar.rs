//! The binary versions of CIFAR-10 and CIFAR-100: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::path::Path;

use copriv_ir::Shape;

use super::file::{content, descend, label, read};
use super::pictures::{Pictures, Pixels};
use super::{Error, source::Loaded};

const SHAPE: Shape = Shape::new(3, 32, 32);
/// Bytes of the names of classes, and of a file of pictures; the largest have 1.3 kB and 154 MB.
const MAX_NAMES: u64 = 1 << 16;
const MAX_RECORDS: u64 = 1 << 28;

/// One of the two.
pub(super) struct Cifar {
    /// The folder that the archive makes.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    classes: usize,
    /// Bytes before the pixels of a picture; the last of them is the label.
    labels: usize,
    hint: &'static str,
}

pub(super) const CIFAR10: Cifar = Cifar {
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    names: "batches.meta.txt",
    classes: 10,
    labels: 1,
    hint: "give the folder that the binary version of CIFAR-10, cifar-10-binary.tar.gz, unpacks to",
};

pub(super) const CIFAR100: Cifar = Cifar {
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: "test.bin",
    names: "fine_label_names.txt",
    classes: 100,
    labels: 2,
    hint: "give the folder that the binary version of CIFAR-100, cifar-100-binary.tar.gz, unpacks to",
};

pub(super) fn load(dir: &Path, cifar: &Cifar) -> Result<Loaded, Error> {
    let dir = descend(dir, cifar.folder, cifar.test);
    let path = dir.join(cifar.names);
    let names = String::from_utf8_lossy(&read(&path, MAX_NAMES, cifar.hint)?).into_owned();
    let classes: Vec<String> =
        names.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if classes.len() != cifar.classes {
        let (found, wanted) = (classes.len(), cifar.classes);
        return Err(content(&path, format!("{found} names of classes instead of {wanted}; {}", cifar.hint)));
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in cifar.train {
        append(&dir.join(file), cifar, &mut pixels, &mut labels)?;
    }
    let train = labels.len();
    append(&dir.join(cifar.test), cifar, &mut pixels, &mut labels)?;
    let counts = [train, 0, labels.len() - train];
    let pictures = Pictures::new(label(&dir), SHAPE, classes, Pixels::Bytes(pixels), labels)?;
    Ok(Loaded { pictures, counts })
}

/// Reads one file of records: labels, then 1024 bytes each of red, green and blue.
fn append(path: &Path, cifar: &Cifar, pixels: &mut Vec<u8>, labels: &mut Vec<u16>) -> Result<(), Error> {
    let bytes = read(path, MAX_RECORDS, cifar.hint)?;
    let record = cifar.labels + SHAPE.len();
    if bytes.is_empty() || bytes.len() % record != 0 {
        let why = format!("{} bytes are not whole records of {record} bytes; unpack it anew", bytes.len());
        return Err(content(path, why));
    }
    for (i, record) in bytes.chunks_exact(record).enumerate() {
        let (label, picture) = (record[cifar.labels - 1], &record[cifar.labels..]);
        if usize::from(label) >= cifar.classes {
            let why =
                format!("picture {i} has label {label}, the last is {}; unpack it anew", cifar.classes - 1);
            return Err(content(path, why));
        }
        labels.push(label.into());
        pixels.extend_from_slice(picture);
    }
    Ok(())
}
