//! How a picture becomes a network's input.

use crate::Shape;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest side of a resized picture.
const MAX_SIDE: u32 = 1 << 14;
/// The largest mean and standard deviation.
const MAX_NUMBER: f32 = 65536.0;
/// The least standard deviation: with the largest number above the result stays below 2^33.
const MIN_STD: f32 = 1.0 / 65536.0;

/// How a picture becomes a network's input: resized, cropped about its centre to the size of the input, and each byte n of
/// it brought to (range(n) - mean) / std of its channel.
///
/// It is public: the party with the weights knows it, the one with the picture does it. What arrives from a peer or a file is
/// hostile until [`validate`](Self::validate) or [`check`](Self::check) has accepted it.
///
/// ```
/// use copriv_ir::{Preprocessing, Preset, Shape};
///
/// let imagenet = Preset::Imagenet.of(Shape::new(3, 224, 224));
/// imagenet.check(Shape::new(3, 224, 224))?;
/// assert_eq!(imagenet.value(255, 0), (1.0 - 0.485) / 0.229);
/// let json = r#"{"resize":{"shorter":256},"range":"unit","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],"channels":"rgb"}"#;
/// assert_eq!(serde_json::to_string(&imagenet)?, json);
/// assert_eq!(serde_json::from_str::<Preprocessing>(json)?, imagenet);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocessing {
    /// To which size, before the crop.
    pub resize: Resize,
    /// What a byte stands for.
    pub range: PixelRange,
    /// What is subtracted: one number for all channels, or one for each channel of the network's input in its order.
    pub mean: Vec<f32>,
    /// What the difference is divided by: one number, or one for each channel.
    pub std: Vec<f32>,
    /// The order of the input's channels.
    pub channels: ChannelOrder,
}

/// The size that a picture is brought to, by a triangle filter as wide as the scale ("bilinear with antialiasing").
///
/// As text `none`, `input`, `256` or `256x320`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// A picture of another size than the network's input is refused.
    #[default]
    None,
    /// The size of the network's input; the ratio of the sides may change.
    Input,
    /// The shorter side to so many pixels, the ratio kept but for the fraction of a pixel.
    Shorter(u32),
    /// So many rows and columns.
    Exact([u32; 2]),
}

/// What a byte n of a picture stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelRange {
    /// n/255.
    #[default]
    Unit,
    /// n.
    Byte,
}

/// The order of the channels of a network's input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Default for Preprocessing {
    /// That of [`Preset::None`].
    fn default() -> Self {
        Self {
            resize: Resize::None,
            range: PixelRange::Unit,
            mean: vec![0.0],
            std: vec![1.0],
            channels: ChannelOrder::Rgb,
        }
    }
}

/// Why a preprocessing was refused.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessingError {
    /// A size of a resized picture.
    #[error("a picture cannot be resized to {got} pixels a side; 1 to {MAX_SIDE} can be")]
    Side {
        /// The size.
        got: u32,
    },
    /// A number that is NaN, infinite, or so large or small that nobody can mean it.
    #[error("the {what} is {got}, outside {low}..={MAX_NUMBER}")]
    Number {
        /// Which number.
        what: &'static str,
        /// What it is.
        got: f32,
        /// The least it may be.
        low: f32,
    },
    /// Numbers that are not one for each channel.
    #[error(
        "the {what} has {got} numbers; give 1, or one for each of the {channels} channels of the network"
    )]
    Count {
        /// Mean or standard deviation.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// In words, how many channels there are.
        channels: String,
    },
    /// A text that says no preset, resize, range or order.
    #[error("{what} {got:?} is not known; choose {choice}")]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The text.
        got: String,
        /// What there is.
        choice: &'static str,
    },
}

impl Preprocessing {
    /// Accepts a preprocessing whose numbers are all in bounds.
    ///
    /// # Errors
    /// With the first that is not.
    pub fn validate(&self) -> Result<(), PreprocessingError> {
        let Self { resize, range: _, mean, std, channels: _ } = self;
        let sides = match *resize {
            Resize::None | Resize::Input => [1, 1],
            Resize::Shorter(side) => [side, side],
            Resize::Exact(sides) => sides,
        };
        if let Some(&got) = sides.iter().find(|side| !(1..=MAX_SIDE).contains(*side)) {
            return Err(PreprocessingError::Side { got });
        }
        for (what, numbers, low) in [("mean", mean, -MAX_NUMBER), ("standard deviation", std, MIN_STD)] {
            if !matches!(numbers.len(), 1 | 3) {
                let channels = "1 or 3".to_owned();
                return Err(PreprocessingError::Count { what, got: numbers.len(), channels });
            }
            // Not a number is in no range.
            if let Some(&got) = numbers.iter().find(|number| !(low..=MAX_NUMBER).contains(*number)) {
                return Err(PreprocessingError::Number { what, got, low });
            }
        }
        Ok(())
    }

    /// Accepts a preprocessing that is [valid](Self::validate) and fits a network's input.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate), and when it has numbers for other channels than the input's.
    pub fn check(&self, input: Shape) -> Result<(), PreprocessingError> {
        self.validate()?;
        for (what, numbers) in [("mean", &self.mean), ("standard deviation", &self.std)] {
            if numbers.len() != 1 && numbers.len() != input.channels {
                let (got, channels) = (numbers.len(), input.channels.to_string());
                return Err(PreprocessingError::Count { what, got, channels });
            }
        }
        Ok(())
    }

    /// What byte `n` becomes in channel `channel` of the input.
    ///
    /// # Panics
    /// When there is no mean or standard deviation: [`validate`](Self::validate) first.
    pub fn value(&self, n: u8, channel: usize) -> f32 {
        let of = |numbers: &[f32]| if numbers.len() == 1 { numbers[0] } else { numbers[channel] };
        let byte = f32::from(n);
        let pixel = match self.range {
            PixelRange::Unit => byte / 255.0,
            PixelRange::Byte => byte,
        };
        (pixel - of(&self.mean)) / of(&self.std)
    }
}

impl fmt::Display for Preprocessing {
    /// On one line: `shorter side to 256, centre crop, (n/255 - 0.5) / 0.25, RGB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resize {
            Resize::None => write!(f, "not resized")?,
            Resize::Input => write!(f, "resized to the input")?,
            Resize::Shorter(side) => write!(f, "shorter side to {side}, centre crop")?,
            Resize::Exact([rows, columns]) => write!(f, "resized to {rows}x{columns}, centre crop")?,
        }
        let list = |numbers: &[f32]| match numbers {
            [number] => number.to_string(),
            _ => format!("({})", numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(", ")),
        };
        let pixel = match self.range {
            PixelRange::Unit => "n/255",
            PixelRange::Byte => "n",
        };
        let moved = self.mean.iter().any(|&mean| mean != 0.0);
        let scaled = self.std.iter().any(|&std| std != 1.0);
        let (mean, std) = (list(&self.mean), list(&self.std));
        match (moved, scaled) {
            (false, false) => write!(f, ", {pixel}")?,
            (false, true) => write!(f, ", {pixel} / {std}")?,
            (true, false) => write!(f, ", {pixel} - {mean}")?,
            (true, true) => write!(f, ", ({pixel} - {mean}) / {std}")?,
        }
        write!(f, ", {}", self.channels.to_string().to_uppercase())
    }
}

/// A preprocessing by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// n/255 and nothing else.
    None,
    /// The shorter side to 8/7 of the input's, 256 for 224, the centre, and mean and standard deviation of ImageNet: what
    /// the classification presets of torchvision evaluate with.
    ///
    /// Source: `torchvision.transforms._presets.ImageClassification` (resize_size 256, crop_size 224, mean, std).
    Imagenet,
    /// Resized to the input; mean and standard deviation of the pixels of CIFAR-10's training set.
    ///
    /// Source: github.com/kuangliu/pytorch-cifar, issue 19, which computes them. The code there divides by the mean of
    /// the deviations within each picture instead, 0.2023, 0.1994, 0.2010.
    Cifar10,
    /// Resized to the input; mean and standard deviation of the pixels of CIFAR-100's training set.
    ///
    /// Source: github.com/weiaicunzai/pytorch-cifar100, conf/global_settings.py, rounded to four places.
    Cifar100,
    /// Resized to the input, which has one channel; mean and standard deviation of the pixels of MNIST's training set.
    ///
    /// Source: github.com/pytorch/examples, mnist/main.py.
    Mnist,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Imagenet, Self::Cifar10, Self::Cifar100, Self::Mnist];

    /// The name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Imagenet => "imagenet",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Mnist => "mnist",
        }
    }

    /// The preprocessing for a network that takes `input`.
    pub fn of(self, input: Shape) -> Preprocessing {
        let (resize, mean, std) = match self {
            Self::None => return Preprocessing::default(),
            Self::Imagenet => {
                // 256/224, rounded to the nearest.
                let shorter = (input.height.min(input.width) * 256 + 112) / 224;
                let resize = Resize::Shorter(u32::try_from(shorter).unwrap_or(u32::MAX));
                (resize, vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225])
            }
            Self::Cifar10 => (Resize::Input, vec![0.4914, 0.4822, 0.4465], vec![0.2470, 0.2435, 0.2616]),
            Self::Cifar100 => (Resize::Input, vec![0.5071, 0.4865, 0.4409], vec![0.2673, 0.2564, 0.2762]),
            Self::Mnist => (Resize::Input, vec![0.1307], vec![0.3081]),
        };
        Preprocessing { resize, mean, std, ..Preprocessing::default() }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = PreprocessingError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let choice = "none, imagenet, cifar10, cifar100 or mnist";
        let unknown = || unknown("preprocessing", text, choice);
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or_else(unknown)
    }
}

fn unknown(what: &'static str, got: &str, choice: &'static str) -> PreprocessingError {
    PreprocessingError::Unknown { what, got: got.chars().take(40).collect(), choice }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Input => f.write_str("input"),
            Self::Shorter(side) => write!(f, "{side}"),
            Self::Exact([rows, columns]) => write!(f, "{rows}x{columns}"),
        }
    }
}

impl FromStr for Resize {
    type Err = PreprocessingError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |side: &str| {
            let choice = "none, input, the pixels of the shorter side, or ROWSxCOLUMNS";
            let side = side.parse().map_err(|_| unknown("size", text, choice))?;
            if (1..=MAX_SIDE).contains(&side) {
                Ok(side)
            } else {
                Err(PreprocessingError::Side { got: side })
            }
        };
        match (text, text.split_once('x')) {
            ("none", _) => Ok(Self::None),
            ("input", _) => Ok(Self::Input),
            (_, Some((rows, columns))) => Ok(Self::Exact([side(rows)?, side(columns)?])),
            (_, None) => Ok(Self::Shorter(side(text)?)),
        }
    }
}

impl fmt::Display for PixelRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unit => "unit",
            Self::Byte => "byte",
        })
    }
}

impl FromStr for PixelRange {
    type Err = PreprocessingError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unit" => Ok(Self::Unit),
            "byte" => Ok(Self::Byte),
            _ => Err(unknown("range", text, "unit or byte")),
        }
    }
}

impl fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
        })
    }
}

impl FromStr for ChannelOrder {
    type Err = PreprocessingError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            _ => Err(unknown("order of channels", text, "rgb or bgr")),
        }
    }
}
