//! NumPy's `.npy` arrays, as they come out of a decompressor: what the header says is checked against a budget before
//! anything is kept, and memory grows with the bytes that really come.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::Read;

/// NumPy writes 118 bytes for every array of up to some ten dimensions.
const MAX_HEADER: usize = 4096;
const MAX_DIMS: usize = 8;
/// Bytes converted at a time; whole elements of every type.
const CHUNK: usize = 1 << 16;

/// An array in C order.
pub(super) struct Array {
    pub(super) dims: Vec<usize>,
    pub(super) values: Values,
}

pub(super) enum Values {
    Bytes(Vec<u8>),
    /// `float32` or `float64`.
    Floats(Vec<f32>),
    /// `int32` or `int64`.
    Integers(Vec<i64>),
}

/// Reads an array to the end of `from`; takes its bytes off `budget`.
pub(super) fn read(from: &mut dyn Read, budget: &mut u64) -> Result<Array, String> {
    let mut start = [0; 10];
    fill(from, &mut start)?;
    let length = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high] => u16::from_le_bytes([low, high]).into(),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, low, high] => {
            let mut upper = [0; 2];
            fill(from, &mut upper)?;
            u32::from_le_bytes([low, high, upper[0], upper[1]]) as usize
        }
        _ => return Err("it does not begin as an npy array of version 1, 2 or 3".to_owned()),
    };
    if length > MAX_HEADER {
        return Err(format!("its header says it is {length} bytes long, at most {MAX_HEADER} are read"));
    }
    let mut header = vec![0; length];
    fill(from, &mut header)?;
    let (descr, dims) = parse(&String::from_utf8_lossy(&header))?;
    let (size, mut values) = match descr.as_str() {
        "|u1" | "<u1" => (1, Values::Bytes(Vec::new())),
        "<f4" => (4, Values::Floats(Vec::new())),
        "<f8" => (8, Values::Floats(Vec::new())),
        "<i4" => (4, Values::Integers(Vec::new())),
        "<i8" => (8, Values::Integers(Vec::new())),
        _ => return Err(format!("elements of type {descr:?}; save uint8, float32, float64, int32 or int64")),
    };
    let bytes = dims.iter().try_fold(size, |n: u64, &d| n.checked_mul(d as u64)).filter(|n| n <= budget);
    let mut left = bytes.ok_or_else(|| {
        format!("shape {dims:?} is more than a file of this size should hold; save it with numpy.savez")
    })?;
    *budget -= left;

    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK as u64) as usize];
        fill(from, chunk)?;
        left -= chunk.len() as u64;
        let (four, eight) = (chunk.as_chunks::<4>().0, chunk.as_chunks::<8>().0);
        match &mut values {
            Values::Bytes(out) => out.extend_from_slice(chunk),
            Values::Floats(out) if size == 4 => out.extend(four.iter().map(|&b| f32::from_le_bytes(b))),
            Values::Floats(out) => out.extend(eight.iter().map(|&b| f64::from_le_bytes(b) as f32)),
            Values::Integers(out) if size == 4 => {
                out.extend(four.iter().map(|&b| i64::from(i32::from_le_bytes(b))));
            }
            Values::Integers(out) => out.extend(eight.iter().map(|&b| i64::from_le_bytes(b))),
        }
    }
    // At the end the archive's checksum is compared, too.
    match from.read(&mut [0]).map_err(|e| e.to_string())? {
        0 => Ok(Array { dims, values }),
        _ => Err(format!("more follows than shape {dims:?} takes")),
    }
}

fn fill(from: &mut dyn Read, out: &mut [u8]) -> Result<(), String> {
    from.read_exact(out).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "it is cut short; save it anew".to_owned(),
        _ => e.to_string(),
    })
}

/// Element type and shape from `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, as NumPy writes it.
fn parse(text: &str) -> Result<(String, Vec<usize>), String> {
    let value = |key: &str| {
        let (_, rest) = text.split_once(key).ok_or_else(|| format!("its header lacks {key}"))?;
        Ok::<_, String>(rest.trim_start())
    };
    let between =
        |rest: &str, open: char, close: char| Some(rest.strip_prefix(open)?.split_once(close)?.0.to_owned());
    if !value("'fortran_order':")?.starts_with("False") {
        return Err("it is in Fortran order; save numpy.ascontiguousarray(x)".to_owned());
    }
    let descr = between(value("'descr':")?, '\'', '\'').ok_or("its elements are not plain numbers")?;
    let dims = between(value("'shape':")?, '(', ')').ok_or("its header has no shape")?;
    let dims = dims.split(',').map(str::trim).filter(|d| !d.is_empty()).map(str::parse);
    match dims.take(MAX_DIMS + 1).collect::<Result<Vec<usize>, _>>() {
        Ok(dims) if dims.len() <= MAX_DIMS => Ok((descr, dims)),
        _ => Err(format!("its shape is not up to {MAX_DIMS} sizes")),
    }
}
