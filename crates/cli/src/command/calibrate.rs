use super::import;
use crate::args::{ModelArgs, PictureArgs};
use crate::error::Error;
use crate::format::{megabytes, plural};
use crate::progress::Bar;
use crate::table::Column::{Number, Words};
use crate::table::Table;
use crate::{model, output, plot};
use clap::Args;
use copriv_calibrate::{Agreement, Bits, Failure, Ranges, Room, Scaled, fit, scale};
use copriv_import::{Fixed, Network, picture};
use copriv_ir::{Architecture, Graph, LowerOptions, Lowered, Preprocessing, Shape, lower};
use copriv_ring::Width;
use copriv_runner::planner::Planner;
use copriv_runner::{Ot, Plan, Reveal, Settings, Suite, Truncation, planner};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Find the fewest bits with which a network stays as accurate, from pictures.
///
/// Layers that have nothing between them are made one first, where that costs less.
///
/// What is private costs bytes for every bit: of the ring, and of the weights. A network straight from ONNX gets a ring of 41 bits
/// with 12 of them fraction, which is safe and dear. This command evaluates the network on pictures, gives every channel a
/// scale of its own, a real number, and every layer's weights the fraction bits that fit; then it tries several
/// numbers of bits. For each it finds the narrowest ring in which nothing wraps, evaluates the network in fixed point as it
/// will run, and says how often the label is that of the float network, how far the logits are off, and what an inference
/// costs. The cheapest that keeps the labels (--agreement) and the logits (--error) is written to a file, which all commands
/// read.
///
/// That nothing wraps is measured: the ring has room for values twice as large as the largest on the pictures (--margin). With
/// --guarantee certain it has room for whatever inputs between the least and the largest of the pictures' make; that
/// takes many more bits, the more the deeper the network.
///
/// A few dozen pictures of the kind that the network will see are enough; labels are not needed.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv calibrate network.onnx --data pictures -o network.copriv\n  \
    copriv calibrate network.onnx --data pictures.npy --plot network.svg -o network.copriv\n  \
    copriv calibrate network.onnx --data pictures --bits 32 -o network.copriv\n  \
    copriv calibrate network.onnx --data random --weight-bits 8 --value-bits 12 -o network.copriv")]
pub struct Calibrate {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures: a folder of PNG, JPEG and npy files, one such file, an npy file of many, or random (a last resort: noise is
    /// not what the network was trained for).
    #[arg(long, value_name = "PATH|random")]
    data: String,
    /// Use at most so many pictures, evenly spread.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    pictures: PictureArgs,
    /// Bits of the ring: auto, or at most so many.
    #[arg(long, value_name = "auto|L", default_value = "auto", value_parser = ring)]
    bits: Ring,
    /// Bits of the weights, their sign included; otherwise several are tried.
    #[arg(long, value_name = "W", requires = "value_bits", value_parser = clap::value_parser!(u32).range(2..=24))]
    weight_bits: Option<u32>,
    /// Bits of the values, without their sign; otherwise several are tried.
    #[arg(long, value_name = "V", requires = "weight_bits", value_parser = clap::value_parser!(u32).range(6..=24))]
    value_bits: Option<u32>,
    /// The part of the pictures that must keep the float network's label.
    #[arg(long, value_name = "PART", default_value_t = 0.99, value_parser = part)]
    agreement: f64,
    /// What logits may be off typically, as a part of what they are typically from their mean; inf for whatever it is.
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = parts)]
    error: f64,
    /// What keeps values from wrapping: measured (room beyond the largest values on the pictures) or certain (room for
    /// whatever there may be).
    #[arg(long, value_name = "HOW", value_enum, default_value_t, hide_possible_values = true)]
    guarantee: Guarantee,
    /// Of a measured guarantee: room for values 2^M times as large as the largest on the pictures.
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=16))]
    margin: u32,
    /// The protocols that bytes are of.
    #[arg(long, value_name = "NAME", default_value_t)]
    suite: Suite,
    /// Where their oblivious transfers come from.
    #[arg(long, value_name = "NAME", default_value_t)]
    ot: Ot,
    /// How they divide by powers of two. One bit may be off with one-bit; it takes a margin of at least 1.
    #[arg(long, value_name = "HOW", default_value_t)]
    truncation: Truncation,
    /// Write the network here; what is there is overwritten.
    #[arg(short, long, value_name = "FILE.copriv", value_parser = import::file)]
    out: PathBuf,
    /// Draw agreement and error against bytes to this file; what is there is overwritten.
    #[arg(long, value_name = "FILE.svg", value_parser = plot::file)]
    plot: Option<PathBuf>,
    /// Print what was tried as JSON.
    #[arg(long)]
    json: bool,
}

/// A ring that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ring {
    Auto,
    AtMost(u32),
}

fn ring(text: &str) -> Result<Ring, String> {
    let wrong = || format!("{text:?} is neither auto nor a number of bits from 8 to 63");
    match text {
        "auto" => Ok(Ring::Auto),
        text => text.parse().ok().filter(|l| (8..=63).contains(l)).map(Ring::AtMost).ok_or_else(wrong),
    }
}

fn part(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no part: a number from 0 to 1");
    text.parse().ok().filter(|part| (0.0..=1.0).contains(part)).ok_or_else(wrong)
}

fn parts(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no part: a number from 0, or inf");
    text.parse().ok().filter(|part: &f64| *part >= 0.0).ok_or_else(wrong)
}

/// What keeps values from wrapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Guarantee {
    #[default]
    Measured,
    Certain,
}

/// Bits of weights and of values that are tried.
const TRIED: [Bits; 9] = [
    Bits { weights: 4, values: 8 },
    Bits { weights: 5, values: 8 },
    Bits { weights: 5, values: 9 },
    Bits { weights: 6, values: 10 },
    Bits { weights: 7, values: 11 },
    Bits { weights: 8, values: 12 },
    Bits { weights: 9, values: 13 },
    Bits { weights: 11, values: 15 },
    Bits { weights: 13, values: 17 },
];

/// What was tried, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Bits of the weights; none for the fixed point that networks get without calibration.
    pub weight_bits: Option<u32>,
    /// Bits of the values.
    pub value_bits: Option<u32>,
    /// l.
    pub ring_bits: u32,
    /// f.
    pub frac_bits: u32,
    /// The part of the pictures with the float network's label.
    pub agreement: f64,
    /// Root of the mean square of what logits are off.
    pub typical_error: f64,
    /// The same as a part of what the float network's logits are from their mean.
    pub relative_error: f64,
    /// The most that one is off.
    pub largest_error: f64,
    /// Before the input is there.
    pub preprocessing_bytes: u64,
    /// With it.
    pub online_bytes: u64,
    /// Whether it is what was written.
    pub chosen: bool,
}

impl Tried {
    /// Of both phases.
    pub fn bytes(&self) -> u64 {
        self.preprocessing_bytes + self.online_bytes
    }
}

#[derive(Serialize)]
struct Json<'a> {
    model: &'a str,
    pictures: usize,
    guarantee: Guarantee,
    typical_logit: f64,
    tried: &'a [Tried],
    written: String,
}

/// One choice of bits.
struct Attempt {
    tried: Tried,
    scaled: Scaled,
    agreement: Agreement,
    integer_bits: u32,
}

/// The protocols that are asked for.
struct Protocols {
    settings: Settings,
    planner: Planner,
}

impl copriv_calibrate::Suite for Protocols {
    fn bytes(&mut self, architecture: &Architecture) -> Result<u64, Failure> {
        let total = self.planner.plan(architecture)?.total;
        Ok(total.preprocessing.bytes() + total.online.bytes())
    }

    fn prepare(&mut self, net: &Lowered) -> Result<Lowered, Failure> {
        Ok(planner::prepare(net, &self.settings)?)
    }
}

/// Pictures, and what the float network makes of them.
struct Data {
    inputs: Vec<Vec<f32>>,
    ranges: Ranges,
}

impl Calibrate {
    pub fn run(self) -> Result<(), Error> {
        let network = model::load_network(&self.model)?;
        if network.fixed.is_some() {
            return Err(Error::other(format!(
                "{} is calibrated already; calibrate the ONNX file that it was made of",
                self.model.model
            )));
        }
        let bar = Bar::spinner("merging layers");
        let graph = model::merged(&network.graph, self.settings())?;
        drop(bar);
        let shape = graph.input_shape();
        let preprocessing = model::declared(&self.model, &self.pictures, shape)?;
        let inputs = self.inputs(shape, &preprocessing.clone().unwrap_or_default())?;
        let bar = Bar::steps("evaluating in float");
        let count = inputs.len() as u64;
        let ranges = Ranges::new(&graph, &inputs, || bar.step(count))?;
        drop(bar);
        let data = Data { inputs, ranges };

        let mut tried = vec![self.usual(&graph, &data)?];
        let mut best: Option<(usize, Scaled, u32)> = None;
        let mut typical_logit = 0.0;
        let settings = self.settings();
        let mut suite = Protocols { settings, planner: Planner::new(settings) };
        for bits in self.candidates() {
            let Some(attempt) = self.attempt(&graph, &data, bits, &mut suite)? else { continue };
            let Attempt { tried: one, scaled, agreement, integer_bits } = attempt;
            typical_logit = agreement.typical_logit;
            tried.push(one);
            let at = tried.len() - 1;
            if best.as_ref().is_none_or(|&(best, ..)| self.better(&tried[at], &tried[best])) {
                best = Some((at, scaled, integer_bits));
            }
        }
        let Some((at, scaled, integer_bits)) = best else {
            return Err(Error::other(
                "no ring is wide enough; ask for more with --bits, or for fewer bits of values",
            ));
        };
        tried[at].chosen = true;
        let chosen = tried[at].clone();
        let fixed = Fixed {
            bits: chosen.ring_bits,
            frac_bits: scaled.frac_bits,
            integer_bits,
            weight_frac_bits: scaled.weight_frac_bits,
        };
        Network { graph: scaled.graph, fixed: Some(fixed), preprocessing }.save(&self.out)?;
        if let Some(path) = &self.plot {
            plot::write_tried(&self.model.model, &tried, path)?;
        }
        if self.json {
            return output::json(&Json {
                model: &self.model.model,
                pictures: data.inputs.len(),
                guarantee: self.guarantee,
                typical_logit,
                tried: &tried,
                written: self.out.display().to_string(),
            });
        }
        self.show(&tried, &chosen, data.inputs.len(), typical_logit)
    }

    fn show(
        &self,
        tried: &[Tried],
        chosen: &Tried,
        pictures: usize,
        typical_logit: f64,
    ) -> Result<(), Error> {
        output::line(format_args!(
            "{} on {}, under {}; logits are typically {typical_logit:.3} from their mean\n",
            self.model.model,
            plural(pictures as u64, "picture"),
            self.suite
        ))?;
        output::line(table(tried))?;
        if !self.agrees(chosen) {
            output::line(format_args!(
                "\nnone keeps {:.1} % of the labels with logits off by at most {:.1} %; the nearest is chosen. More bits: --weight-bits, \
                 --value-bits",
                100.0 * self.agreement,
                100.0 * self.error
            ))?;
        }
        let room = match self.guarantee {
            Guarantee::Measured => {
                format!(
                    "in its ring values may be {} times as large as on these pictures",
                    1u64 << self.margin
                )
            }
            Guarantee::Certain => "in its ring nothing wraps, whatever the input".to_owned(),
        };
        let saved = tried[0].bytes() as f64 / chosen.bytes() as f64;
        output::line(format_args!(
            "\nwritten to {}: {saved:.2} times fewer bytes than without calibration; {room}",
            self.out.display()
        ))?;
        match &self.plot {
            Some(path) => output::line(format_args!("figure in {}", path.display())),
            None => Ok(()),
        }
    }

    fn candidates(&self) -> Vec<Bits> {
        match (self.weight_bits, self.value_bits) {
            (Some(weights), Some(values)) => vec![Bits { weights, values }],
            _ => TRIED.to_vec(),
        }
    }

    /// Whether a choice is as accurate as is asked for.
    fn agrees(&self, one: &Tried) -> bool {
        one.agreement >= self.agreement && one.relative_error <= self.error
    }

    /// Whether one choice is to be taken before another: the cheaper of those that agree, else the nearer.
    fn better(&self, a: &Tried, b: &Tried) -> bool {
        match (self.agrees(a), self.agrees(b)) {
            (true, true) if self.bits == Ring::Auto => a.bytes() < b.bytes(),
            // In a given ring, as accurate as can be.
            (true, true) => a.typical_error < b.typical_error,
            (true, false) => true,
            (false, true) => false,
            (false, false) => (a.agreement, -a.typical_error) > (b.agreement, -b.typical_error),
        }
    }

    fn settings(&self) -> Settings {
        Settings { ot: self.ot, truncation: self.truncation, ..Settings::new(self.suite, Reveal::Logits) }
    }

    /// The fixed point that networks get without calibration.
    fn usual(&self, graph: &Graph, data: &Data) -> Result<Tried, Error> {
        let width = Width::of(Network::BITS);
        let lowered = lower(graph, LowerOptions { width, frac_bits: Network::FRAC_BITS })?;
        let net = planner::prepare(&lowered, &self.settings())?;
        let (tried, _) = self.measure(&net, data, "as it is")?;
        Ok(tried)
    }

    /// With so many bits; none where the ring would be too wide.
    fn attempt(
        &self,
        graph: &Graph,
        data: &Data,
        bits: Bits,
        suite: &mut Protocols,
    ) -> Result<Option<Attempt>, Error> {
        let scaled = scale(graph, &data.ranges, bits)?;
        let bar = Bar::spinner("looking for the ring");
        bar.at(format!("of {} and {} bits", bits.weights, bits.values));
        let room = match self.guarantee {
            Guarantee::Measured => Room::Measured { margin: self.margin },
            Guarantee::Certain => {
                let values = || data.inputs.iter().flatten().copied();
                Room::Certain { low: values().fold(0.0, f32::min), high: values().fold(0.0, f32::max) }
            }
        };
        let widest = match self.bits {
            Ring::Auto => 63,
            Ring::AtMost(most) => most,
        };
        let found = match fit(&scaled, suite, &data.inputs, room, widest, || bar.tick()) {
            Ok(found) => found,
            Err(copriv_calibrate::Error::TooWide { .. }) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        drop(bar);
        let net = &found.net;
        let (mut tried, agreement) =
            self.measure(net, data, &format!("{} and {} bits", bits.weights, bits.values))?;
        (tried.weight_bits, tried.value_bits) = (Some(bits.weights), Some(bits.values));
        Ok(Some(Attempt { tried, scaled, agreement, integer_bits: found.integer_bits }))
    }

    /// What a network costs, and how far it is from the float one.
    fn measure(&self, net: &Lowered, data: &Data, what: &str) -> Result<(Tried, Agreement), Error> {
        let plan = Plan::new(&net.architecture, &self.settings())?;
        let bar = Bar::steps(&format!("evaluating with {what}"));
        let count = data.inputs.len() as u64;
        let agreement = Agreement::new(net, &data.inputs, &data.ranges.logits, || bar.step(count))?;
        let tried = Tried {
            weight_bits: None,
            value_bits: None,
            ring_bits: net.architecture.width.bits(),
            frac_bits: net.architecture.frac_bits,
            agreement: agreement.share(),
            typical_error: agreement.typical_error,
            relative_error: agreement.relative_error(),
            largest_error: agreement.largest_error,
            preprocessing_bytes: plan.total.preprocessing.bytes(),
            online_bytes: plan.total.online.bytes(),
            chosen: false,
        };
        Ok((tried, agreement))
    }

    /// The pictures, at most as many as may be used.
    fn inputs(&self, shape: Shape, preprocessing: &Preprocessing) -> Result<Vec<Vec<f32>>, Error> {
        let limit = self.limit as usize;
        if self.data == "random" {
            return Ok((0..limit as u64).map(|seed| model::random(seed, shape.len())).collect());
        }
        let path = Path::new(&self.data);
        let refused = |e| Error::other(format!("{}: {e}", path.display()));
        if !std::fs::metadata(path).map_err(refused)?.is_dir() {
            let one = picture::load_with(path, shape, preprocessing);
            // An npy file of several is no picture, but a batch.
            let all = match one {
                Ok(one) => vec![one],
                Err(e) if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) => {
                    picture::load_batch(path, shape).map_err(|_| e)?
                }
                Err(e) => return Err(e.into()),
            };
            return Ok(spread(&all, limit).into_iter().cloned().collect());
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(refused)? {
            let file = entry.map_err(refused)?.path();
            let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if ["png", "jpg", "jpeg", "npy"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(Error::other(format!("{} has no PNG, JPEG or npy file", path.display())));
        }
        let chosen = spread(&files, limit);
        let bar = Bar::steps("reading pictures");
        let read = |file: &PathBuf| {
            bar.step(chosen.len() as u64);
            picture::load_with(file, shape, preprocessing).map_err(Error::from)
        };
        chosen.iter().map(|file| read(file)).collect()
    }
}

/// At most so many of a list, evenly spread.
fn spread<T>(list: &[T], limit: usize) -> Vec<&T> {
    let count = list.len().min(limit);
    (0..count).map(|i| &list[i * list.len() / count]).collect()
}

fn table(tried: &[Tried]) -> Table {
    let mut table = Table::new(&[
        Words(""),
        Number("weights\nbits"),
        Number("values\nbits"),
        Number("ring\nbits"),
        Number("same\nlabel"),
        Number("typical\nerror"),
        Number("of\nlogits"),
        Number("largest\nerror"),
        Number("before\nMB"),
        Number("online\nMB"),
    ]);
    for one in tried {
        let bits = |bits: Option<u32>| bits.map_or_else(|| "-".into(), |bits| bits.to_string());
        let mark = if one.chosen { "→" } else { "" };
        table.row([
            mark.to_owned(),
            bits(one.weight_bits),
            bits(one.value_bits),
            one.ring_bits.to_string(),
            format!("{:.1} %", 100.0 * one.agreement),
            format!("{:.4}", one.typical_error),
            format!("{:.1} %", 100.0 * one.relative_error),
            format!("{:.4}", one.largest_error),
            megabytes(one.preprocessing_bytes),
            megabytes(one.online_bytes),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_asked_for() {
        assert_eq!(ring("auto"), Ok(Ring::Auto));
        assert_eq!(ring("41"), Ok(Ring::AtMost(41)));
        for wrong in ["", "7", "64", "-1", "Auto"] {
            assert!(ring(wrong).is_err(), "{wrong}");
        }
        assert_eq!(part("1"), Ok(1.0));
        for wrong in ["", "1.01", "-0.1", "nan", "99%"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
        assert_eq!(["0", "1.01", "inf"].map(parts), [Ok(0.0), Ok(1.01), Ok(f64::INFINITY)]);
        for wrong in ["", "-0.1", "nan", "-inf", "10%"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_spread() {
        let list: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&list, 4), [&0, &2, &5, &7]);
        assert_eq!(spread(&list, 20).len(), 10);
        assert!(spread(&list[..0], 3).is_empty());
    }
}
