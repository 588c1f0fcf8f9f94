use crate::{Error, Scaled};
use copriv_ir::{Architecture, INTEGER_BITS, Lowered};
use copriv_plain::{Headroom, bounds, headroom};
use copriv_ring::{RingVec, Width};

/// What keeps values from wrapping.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Room {
    /// Room for values 2^`margin` times as large as the largest on the data.
    Measured {
        /// In bits.
        margin: u32,
    },
    /// Room for whatever inputs between these bounds make of the weights: nothing wraps, certainly.
    Certain {
        /// The least value of an input.
        low: f32,
        /// The largest.
        high: f32,
    },
}

/// What makes a lowered network one that runs.
pub trait Suite {
    /// The bytes of an inference.
    ///
    /// # Errors
    /// When it does not run.
    fn bytes(&mut self, architecture: &Architecture) -> Result<u64, Failure>;
    /// The network as it will run.
    ///
    /// # Errors
    /// When it does not run.
    fn prepare(&mut self, net: &Lowered) -> Result<Lowered, Failure>;
}

/// Why a network does not run.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A ring that a network fits.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// l.
    pub width: Width,
    /// Bits above the fraction that rewrites leave.
    pub integer_bits: u32,
    /// The network as it will run.
    pub net: Lowered,
    /// What an inference costs.
    pub bytes: u64,
}

/// Rings wider than the narrowest that are tried.
const WIDER: u32 = 12;
const WIDEST: u32 = 63;

/// The cheapest way to run a network with the room that is asked for, in a ring of at most `widest` bits. The narrowest ring need not
/// be it: rewrites and some protocols need room of their own, and are cheaper. `inputs` are as reals; `done` is called after
/// each way that is tried on them.
///
/// # Errors
/// [`Error::TooWide`] when there is none, and when the network does not run.
pub fn fit(
    scaled: &Scaled,
    suite: &mut dyn Suite,
    inputs: &[Vec<f32>],
    room: Room,
    widest: u32,
    mut done: impl FnMut(),
) -> Result<Fit, Error> {
    // As it is lowered a network needs what its products do; rewritten, at least as much.
    let lowered = |bits, integer_bits| scaled.lower(Width::of(bits), integer_bits);
    let (mut layer, mut most) = needed(&lowered(WIDEST, INTEGER_BITS)?, inputs, room)?;
    let mut ways = Vec::new();
    for bits in most..=(most + WIDER).min(widest).min(WIDEST) {
        for integer_bits in scaled.integer_bits() {
            // A bias or a bound may not fit yet.
            if let Ok(net) = lowered(bits, integer_bits) {
                let bytes = suite.bytes(&net.architecture).map_err(Error::Suite)?;
                ways.push((bytes, bits, integer_bits));
            }
        }
    }
    ways.sort_unstable();
    for (bytes, bits, integer_bits) in ways {
        let net = suite.prepare(&lowered(bits, integer_bits)?).map_err(Error::Suite)?;
        // One input tells of most rings that they are too narrow.
        for inputs in [&inputs[..inputs.len().min(1)], inputs] {
            (layer, most) = needed(&net, inputs, room)?;
            if most > bits {
                break;
            }
        }
        done();
        if most <= bits {
            return Ok(Fit { width: Width::of(bits), integer_bits, net, bytes });
        }
    }
    Err(Error::TooWide { layer, bits: most })
}

/// The bits that the layer needs that needs most.
fn needed(net: &Lowered, inputs: &[Vec<f32>], room: Room) -> Result<(String, u32), Error> {
    let (reports, margin): (Vec<Vec<Headroom>>, u32) = match room {
        Room::Certain { low, high } => (vec![bounds(net, [low, high])?], 0),
        Room::Measured { margin } => {
            let report = |input: &Vec<f32>| Ok::<_, Error>(headroom(net, &encode(net, input)?)?);
            (inputs.iter().map(report).collect::<Result<_, _>>()?, margin)
        }
    };
    let most = reports.iter().flatten().max_by(|a, b| a.largest.total_cmp(&b.largest));
    let Some(most) = most else { return Err(Error::NoData) };
    // A value below 2^k needs k bits and its sign.
    let bits = (most.largest + 1.0).log2().ceil().clamp(1.0, 1000.0) as u32;
    Ok((most.layer.clone(), (bits + 1 + margin).max(8)))
}

/// An input in the ring of a network.
pub(crate) fn encode(net: &Lowered, input: &[f32]) -> Result<RingVec, Error> {
    let (width, scale) = (net.architecture.width, f64::from(net.architecture.frac_bits).exp2());
    let limit = f64::from(width.bits() - 1).exp2();
    let word = |&value: &f32| {
        let scaled = (f64::from(value) * scale).round();
        if scaled.abs() < limit { Ok(scaled as i64) } else { Err(Error::Input { value }) }
    };
    Ok(RingVec::from_signed(width, &input.iter().map(word).collect::<Result<Vec<_>, _>>()?))
}
