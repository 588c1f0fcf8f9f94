//! NumPy's `.npy` arrays of bytes, floats and labels.
//!
//! Read by hand: the header is a Python literal, and general readers of such literals recurse on what the
//! file says. Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use crate::Error;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy writes 118 bytes for every array of up to some ten dimensions.
const MAX_HEADER: usize = 4096;
const MAX_DIMS: usize = 8;

/// An array in C order, its elements still as they lie in the file.
pub(crate) struct Array<'a> {
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: Kind,
    bytes: &'a [u8],
}

/// The element types that are read. All little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    U8,
    I32,
    I64,
    F32,
    F64,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

pub(crate) fn is_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The array in `bytes`; `file` is for messages.
pub(crate) fn parse<'a>(bytes: &'a [u8], file: &str) -> Result<Array<'a>, Error> {
    let bad = |why: String| Error::Malformed { file: file.to_owned(), format: "npy", why };
    let cut = || bad("it ends inside its header".to_owned());

    let rest =
        bytes.strip_prefix(MAGIC).ok_or_else(|| bad("it does not begin with \\x93NUMPY".to_owned()))?;
    let (&[major, minor], rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match major {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u16::from_le_bytes(*length) as usize, rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => return Err(bad(format!("version {major}.{minor} is not one of 1, 2 and 3"))),
    };
    if length > MAX_HEADER {
        return Err(bad(format!("its header says it is {length} bytes long, at most {MAX_HEADER} are read")));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| bad("its header is not text".to_owned()))?;
    let header = Header::parse(header).map_err(bad)?;

    if header.fortran {
        return Err(bad("it is in Fortran order; save numpy.ascontiguousarray(x)".to_owned()));
    }
    let kind = match header.descr {
        "|u1" | "<u1" => Kind::U8,
        "<i4" => Kind::I32,
        "<i8" => Kind::I64,
        "<f4" => Kind::F32,
        "<f8" => Kind::F64,
        other => return Err(bad(format!("elements of type {other:?}; save uint8 or float32"))),
    };
    let stated = header.shape.iter().try_fold(kind.size(), |n, &d| n.checked_mul(d));
    if stated != Some(data.len()) {
        let shape = &header.shape;
        return Err(bad(format!(
            "shape {shape:?} does not take the {} bytes that follow the header",
            data.len()
        )));
    }
    Ok(Array { shape: header.shape, kind, bytes: data })
}

impl<'a> Array<'a> {
    /// The elements, where they are bytes.
    pub(crate) fn bytes_if_u8(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::U8).then_some(self.bytes)
    }

    /// Pixels: bytes as n/255, floats as they are. `None` for the other types.
    pub(crate) fn pixels(&self) -> Option<Vec<f32>> {
        let (four, _) = self.bytes.as_chunks::<4>();
        let (eight, _) = self.bytes.as_chunks::<8>();
        match self.kind {
            Kind::U8 => Some(self.bytes.iter().map(|&b| f32::from(b) / 255.0).collect()),
            Kind::F32 => Some(four.iter().map(|&b| f32::from_le_bytes(b)).collect()),
            Kind::F64 => Some(eight.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()),
            Kind::I32 | Kind::I64 => None,
        }
    }

    /// Non-negative integers. `None` for floats and where an element is negative.
    pub(crate) fn labels(&self) -> Option<Vec<usize>> {
        let (four, _) = self.bytes.as_chunks::<4>();
        let (eight, _) = self.bytes.as_chunks::<8>();
        match self.kind {
            Kind::U8 => Some(self.bytes.iter().map(|&b| b.into()).collect()),
            Kind::I32 => four.iter().map(|&b| i32::from_le_bytes(b).try_into().ok()).collect(),
            Kind::I64 => eight.iter().map(|&b| i64::from_le_bytes(b).try_into().ok()).collect(),
            Kind::F32 | Kind::F64 => None,
        }
    }
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`
struct Header<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut at = Cursor(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        at.expect('{')?;
        while !at.take('}') {
            let key = at.string()?;
            at.expect(':')?;
            match key {
                "descr" if descr.is_none() => descr = Some(at.string()?),
                "fortran_order" if fortran.is_none() => fortran = Some(at.boolean()?),
                "shape" if shape.is_none() => shape = Some(at.tuple()?),
                _ => return Err(format!("unexpected key {key:?} in its header")),
            }
            if !at.take(',') {
                at.expect('}')?;
                break;
            }
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Self { descr, fortran, shape }),
            _ => Err("its header lacks descr, fortran_order or shape".to_owned()),
        }
    }
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, c: char) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.take(c) { Ok(()) } else { Err(format!("its header lacks a {c:?}")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('\'') {
            '\''
        } else {
            self.expect('"')
                .map_err(|_| "its header names elements that are not a plain number".to_owned())?;
            '"'
        };
        let (inside, rest) = self.0.split_once(quote).ok_or("its header has an open string")?;
        self.0 = rest;
        Ok(inside)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.0 = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err("fortran_order is neither True nor False".to_owned())
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            self.0 = self.0.trim_start();
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            dims.push(digits.parse().map_err(|_| format!("{digits:?} is not a dimension"))?);
            self.0 = rest;
            if dims.len() > MAX_DIMS {
                return Err(format!("more than {MAX_DIMS} dimensions"));
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(dims)
    }
}
