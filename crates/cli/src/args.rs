//! The command line: groups of options that commands share, and the program itself.

use crate::command::{bench, calibrate, demo, import, infer, plan, preprocess, run, serve, train, zoo};
use crate::error::Error;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use copriv_import::onnx::Options;
use copriv_ir::{ChannelOrder, PixelRange, Preprocessing, Preset, Resize, Shape};
use copriv_runner::{Ot, Reveal, Settings, Suite, Truncation};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Private neural-network inference between two parties.
///
/// A server has a network, a client has a picture. The client learns what the network says about the picture. The
/// server learns nothing of the picture, the client nothing of the weights; both know the architecture: the layers,
/// their shapes and the bit widths. Nobody else is needed, and neither party has to trust the other with its data,
/// as long as both follow the protocol (the semi-honest model).
#[derive(Parser)]
#[command(
    name = "copriv",
    version,
    after_long_help = "Start here:\n  \
        copriv demo                                  a handwritten digit, recognised in private\n  \
        copriv plan zoo:resnet18-cifar100            what an inference would put on the wire\n  \
        copriv plan zoo:resnet18-cifar100 --compare  the same under each suite of protocols\n\n\
        Your own network:\n  \
        copriv plan network.onnx                                           what it would cost\n  \
        copriv calibrate network.onnx --data pictures -o network.copriv    fewer bits, as accurate\n  \
        copriv run network.copriv --input picture.png                      in private\n\n\
        Two machines:\n  \
        copriv serve zoo:digits --listen 0.0.0.0:7878            on one\n  \
        copriv infer --server HOST:7878 --input digit.png        on the other\n\n\
        Photos in, names out:\n  \
        copriv serve resnet50.onnx --listen 0.0.0.0:7878 --preprocess imagenet\n  \
        copriv infer --server HOST:7878 --input photo.jpg --labels imagenet.txt\n\n\
        With the work done ahead:\n  \
        copriv serve zoo:digits --listen 0.0.0.0:7878 --store server.store\n  \
        copriv preprocess --server HOST:7878 --store client.store --count 10\n  \
        copriv infer --server HOST:7878 --store client.store --input digit.png",
    max_term_width = 100
)]
pub struct Program {
    /// Trace on standard error what happens; twice for more.
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 1000)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Subcommand)]
pub enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Infer(infer::Infer),
    Preprocess(preprocess::Preprocess),
    Run(run::Run),
    Plan(plan::Plan),
    Import(import::Import),
    Calibrate(calibrate::Calibrate),
    Zoo(zoo::Zoo),
    Bench(bench::Bench),
    /// Train a network (copriv-train).
    Train(train::Train),
    /// Make a network cheaper in private while it trains (copriv-train).
    Optimize(train::Train),
    /// Measure what a trained network gets right, and its bytes (copriv-train).
    Eval(train::Train),
    /// Put runs side by side: accuracy against bytes, as a table and a figure (copriv-train).
    Pareto(train::Train),
}

/// Which network.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// The network: zoo:NAME (copriv zoo lists them), an .onnx file, or a .copriv file (of copriv import and copriv calibrate).
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// The dimensions of an ONNX model's input, batch included, where the model leaves some open: such as 1x3x224x224, or 1x224x224x3
    /// where it has its channels last.
    #[arg(long, value_name = "DIMS", value_parser = dimensions)]
    pub input_shape: Option<Dimensions>,
    /// Which value of an ONNX model is the network's output, where it has several outputs: the logits.
    #[arg(long, value_name = "NAME")]
    pub output: Option<String>,
    /// Take the weights from this safetensors file instead.
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
}

impl ModelArgs {
    /// A network by its name alone.
    pub fn named(model: &str) -> Self {
        Self { model: model.into(), input_shape: None, output: None, weights: None }
    }

    /// What they say of an ONNX model.
    pub fn options(&self) -> Options {
        Options { input: self.input_shape.clone().map(|dims| dims.0), output: self.output.clone() }
    }
}

/// The dimensions of an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dimensions(Vec<usize>);

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&dims.join("x"))
    }
}

fn dimensions(text: &str) -> Result<Dimensions, String> {
    let wrong =
        || format!("{text:?} is no shape; write the dimensions with x between them, such as 1x3x224x224");
    let size = |part: &str| part.trim().parse().ok().filter(|&size: &usize| size > 0);
    text.split('x').map(size).collect::<Option<Vec<_>>>().map(Dimensions).ok_or_else(wrong)
}

/// How a network is run; what both parties must agree on.
#[derive(Args, Clone, Copy, Debug)]
pub struct ProtocolArgs {
    /// The protocols: best (the cheapest of everything, layer by layer), copriv (as in the paper: Winograd F(2,3), the
    /// cheaper OT role) or cryptflow2 (the baseline).
    #[arg(long, value_name = "NAME", default_value_t)]
    pub suite: Suite,
    /// Where the oblivious transfers of suite best come from: silent (under a bit each where that is cheaper than its set-up,
    /// with softspoken for linear layers), softspoken (32 bits each) or iknp (128 bits each).
    #[arg(long, value_name = "NAME", default_value_t)]
    pub ot: Ot,
    #[command(flatten)]
    pub fixed: FixedArgs,
    /// What the client learns: logits (the network's output) or label (the index of its largest element).
    #[arg(long, value_name = "WHAT", default_value_t)]
    pub reveal: Reveal,
    /// How suite best divides by powers of two: exact, or one-bit (a third fewer bytes online: the result may be the integer below
    /// the floor, and values must leave two bits of the ring free).
    #[arg(long, value_name = "HOW", default_value_t)]
    pub truncation: Truncation,
    /// Let ReLUs of suite best find signs without this many low bits. A value below 2^D before its truncation, so below 2^(D-2F) as
    /// a number, may become 0. 0 is exact.
    #[arg(long, value_name = "D", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=62))]
    pub relu_drop_bits: u32,
}

impl ProtocolArgs {
    /// What they say of the protocols.
    pub fn settings(&self) -> Settings {
        let Self { suite, ot, fixed: _, reveal, truncation, relu_drop_bits } = *self;
        Settings { suite, ot, reveal, truncation, relu_drop_bits }
    }
}

/// The fixed point.
#[derive(Args, Clone, Copy, Debug)]
pub struct FixedArgs {
    /// Bits of the ring that all values live in [default: 41, or what a .copriv file was calibrated to].
    #[arg(long, value_name = "L", value_parser = clap::value_parser!(u32).range(2..=64))]
    pub bits: Option<u32>,
    /// How many of them are fraction [default: 12, or what a .copriv file was calibrated to].
    #[arg(long, value_name = "F", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub frac: Option<u32>,
}

/// How a picture becomes the network's input.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Pictures")]
pub struct PictureArgs {
    /// Prepare pictures as for one of: imagenet (shorter side to 8/7 of the input, 256 for 224, centre crop, mean and standard
    /// deviation of ImageNet), cifar10, cifar100, mnist (resized to the input, mean and standard deviation of the data set), none
    /// (bytes n become n/255). It takes the place of what the model file or the server says; the options below change parts of
    /// either.
    #[arg(long, value_name = "PRESET")]
    pub preprocess: Option<Preset>,
    /// Resize pictures: N (the shorter side to N pixels), ROWSxCOLUMNS, input (to the network's input) or none. Then the centre is
    /// cropped to the network's input, with black around it where the picture is smaller.
    #[arg(long, value_name = "SIZE")]
    pub resize: Option<Resize>,
    /// Subtract this, from each channel of the network's input in its order.
    #[arg(long, value_name = "A,B,C", value_parser = numbers)]
    pub mean: Option<Numbers>,
    /// And divide by this.
    #[arg(long, value_name = "A,B,C", value_parser = numbers)]
    pub std: Option<Numbers>,
    /// The order of the network's channels: rgb or bgr.
    #[arg(long, value_name = "ORDER")]
    pub channels: Option<ChannelOrder>,
    /// What a byte n of a picture stands for, before mean and standard deviation: unit (n/255) or byte (n).
    #[arg(long, value_name = "RANGE")]
    pub range: Option<PixelRange>,
}

impl PictureArgs {
    /// Whether they say anything.
    pub fn is_given(&self) -> bool {
        let Self { preprocess, resize, mean, std, channels, range } = self;
        preprocess.is_some()
            || resize.is_some()
            || mean.is_some()
            || std.is_some()
            || channels.is_some()
            || range.is_some()
    }

    /// How pictures are prepared for a network that takes `input`, where the model file or the server says `told`.
    pub fn settle(&self, told: Option<Preprocessing>, input: Shape) -> Result<Preprocessing, Error> {
        let Self { preprocess, resize, mean, std, channels, range } = self;
        let told = match preprocess {
            Some(preset) => preset.of(input),
            None => told.unwrap_or_default(),
        };
        let settled = Preprocessing {
            resize: resize.unwrap_or(told.resize),
            range: range.unwrap_or(told.range),
            mean: mean.as_ref().map_or(told.mean, |numbers| numbers.0.clone()),
            std: std.as_ref().map_or(told.std, |numbers| numbers.0.clone()),
            channels: channels.unwrap_or(told.channels),
        };
        settled.check(input)?;
        Ok(settled)
    }
}

/// Numbers between commas.
#[derive(Clone, PartialEq, Debug)]
pub struct Numbers(Vec<f32>);

fn numbers(text: &str) -> Result<Numbers, String> {
    let number = |text: &str| text.trim().parse().map_err(|_| format!("{text:?} is no number"));
    text.split(',').map(number).collect::<Result<_, _>>().map(Numbers)
}

/// The connection between the parties.
#[derive(Args, Clone, Copy, Debug)]
pub struct LinkArgs {
    /// The link that this end imitates: none (the network as it is), lan (3 Gbit/s, 0.8 ms) or wan (200 Mbit/s, 40 ms).
    #[arg(long, value_name = "LINK", value_enum, default_value_t, hide_possible_values = true)]
    pub network: Network,
    /// Give up when nothing comes from the other party for so long [default: 60, or 600 where both parties run here].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

impl LinkArgs {
    /// For a peer that may be anywhere.
    pub fn remote(self) -> Link {
        self.or(60)
    }

    /// For two processes of this machine, of which one notices when the other ends.
    pub fn local(self) -> Link {
        self.or(600)
    }

    fn or(self, seconds: u64) -> Link {
        let timeout = self.timeout.unwrap_or(Duration::from_secs(seconds));
        Link { network: self.network, timeout }
    }
}

/// [`LinkArgs`] with the time limit settled.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The link that this end imitates.
    pub network: Network,
    /// How long nothing may come.
    pub timeout: Duration,
}

/// A link to imitate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// The network as it is.
    #[default]
    None,
    /// 3 Gbit/s, 0.8 ms round trip.
    Lan,
    /// 200 Mbit/s, 40 ms round trip.
    Wan,
}

impl Network {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "TCP on loopback, not shaped",
            Self::Lan => "TCP on loopback, shaped to a LAN of 3 Gbit/s and 0.8 ms",
            Self::Wan => "TCP on loopback, shaped to a WAN of 200 Mbit/s and 40 ms",
        })
    }
}

/// A time limit: positive, and at most a day.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no number of seconds between 0.001 and 86400");
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if (0.001..=86_400.0).contains(&value) { Ok(Duration::from_secs_f64(value)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Program::command().debug_assert();
    }

    #[test]
    fn options_change_parts_of_what_is_told() {
        let input = Shape::new(3, 32, 32);
        let cifar = Preset::Cifar10.of(input);
        let settle = |args: &PictureArgs| args.settle(Some(cifar.clone()), input);
        assert_eq!(settle(&PictureArgs::default()).unwrap(), cifar);
        let std = Some(numbers("0.25, 0.5,1").unwrap());
        let changed = settle(&PictureArgs { std, resize: Some(Resize::None), ..PictureArgs::default() });
        let expected = Preprocessing { resize: Resize::None, std: vec![0.25, 0.5, 1.0], ..cifar.clone() };
        assert_eq!(changed.unwrap(), expected);
        // A preset takes the place of all of it.
        let mut args = PictureArgs { preprocess: Some(Preset::None), ..PictureArgs::default() };
        assert_eq!(settle(&args).unwrap(), Preprocessing::default());
        args.channels = Some(ChannelOrder::Bgr);
        assert_eq!(settle(&args).unwrap().channels, ChannelOrder::Bgr);
        // Numbers of three channels do not fit one.
        assert!(PictureArgs::default().settle(Some(cifar.clone()), Shape::new(1, 32, 32)).is_err());
        for wrong in ["", "a", "1,,2", "1;2"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
        for wrong in ["nan", "inf", "0", "1,2", "1,2,-3"] {
            let std = Some(numbers(wrong).unwrap());
            assert!(settle(&PictureArgs { std, ..PictureArgs::default() }).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shapes() {
        assert_eq!(dimensions("1x3x224x224").map(|dims| dims.to_string()), Ok("1x3x224x224".into()));
        for wrong in ["", "1x", "3x0x2", "-1x3", "1,3", "x"] {
            assert!(dimensions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn time_limits() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
