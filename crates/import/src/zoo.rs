//! The zoo: networks by name, as the literature on private inference measures them, and small ones to train.
//!
//! | name | input | network |
//! |---|---|---|
//! | `digits` | 1x28x28 | trained on handwritten digits and shipped; comes with pictures it has not seen |
//! | `resnet20-digits` | 1x28x28 | `resnet20-cifar10` with half the channels and a stem of stride 2 |
//! | `mobilenetv2-digits` | 1x28x28 | eight inverted residuals of 8 to 16 channels, stride 2 in the stem and once after it |
//! | `minionn-cifar10` | 3x32x32 | seven convolutions (MiniONN, CCS 2017, figure 13) |
//! | `squeezenet-cifar10` | 3x32x32 | four fire modules (the CIFAR-10 form that CrypTFlow2 measures) |
//! | `resnet20-cifar10` | 3x32x32 | He et al. 2016 for CIFAR, n = 3, shortcuts by projection |
//! | `resnet32-cifar100` | 3x32x32 | the same, n = 5 |
//! | `resnet18-cifar100` | 3x32x32 | ResNet-18 with a 3x3 stem of stride 1 and no first pool |
//! | `resnet18-tinyimagenet` | 3x64x64 | the same, 200 classes |
//! | `mobilenetv2-cifar100` | 3x32x32 | MobileNetV2 with strides 1 in the stem and the first strided stage |
//! | `mobilenetv2-imagenet` | 3x224x224 | MobileNetV2 (Sandler et al. 2018) |
//!
//! But for `digits` the weights are random, made from a seed: He's variance for what a ReLU follows, batch norms near
//! the identity, and the last batch norm of a residual branch smaller, so that values keep their size through the network.
//! The same seed gives the same weights on every machine. Trained ones come from a file, see
//! [`safetensors`](crate::safetensors). Modules are named as in torchvision.

mod builder;
mod mobilenet;
mod plain;
mod resnet;

use copriv_ir::Graph;

use crate::{Error, onnx, picture};
use builder::Builder;

/// How a network of the zoo is made.
type Recipe = fn(Builder) -> Result<Graph, copriv_ir::Error>;

/// Name, input and recipe of the untrained networks.
const RECIPES: [(&str, [usize; 3], Recipe); 10] = [
    ("resnet20-digits", [1, 28, 28], |net| resnet::cifar(net, (8, 2), 3, 10)),
    ("mobilenetv2-digits", [1, 28, 28], mobilenet::digits),
    ("minionn-cifar10", [3, 32, 32], plain::minionn),
    ("squeezenet-cifar10", [3, 32, 32], plain::squeezenet),
    ("resnet20-cifar10", [3, 32, 32], |net| resnet::cifar(net, (16, 1), 3, 10)),
    ("resnet32-cifar100", [3, 32, 32], |net| resnet::cifar(net, (16, 1), 5, 100)),
    ("resnet18-cifar100", [3, 32, 32], |net| resnet::resnet18(net, 100)),
    ("resnet18-tinyimagenet", [3, 64, 64], |net| resnet::resnet18(net, 200)),
    ("mobilenetv2-cifar100", [3, 32, 32], |net| mobilenet::v2(net, [1, 1], 100)),
    ("mobilenetv2-imagenet", [3, 224, 224], |net| mobilenet::v2(net, [2, 2], 1000)),
];

const DIGITS: &str = "digits";

/// The names of all networks.
pub fn names() -> Vec<&'static str> {
    std::iter::once(DIGITS).chain(RECIPES.iter().map(|&(name, ..)| name)).collect()
}

/// The network called `name`, with weights from `seed`; `digits` is trained and takes none.
///
/// # Errors
/// [`Error::UnknownNetwork`].
pub fn build(name: &str, seed: u64) -> Result<Graph, Error> {
    if name == DIGITS {
        return onnx::read(include_bytes!("../assets/digits.onnx"), DIGITS);
    }
    let found = RECIPES.iter().find(|&&(known, ..)| known == name);
    let &(name, shape, recipe) = found.ok_or_else(|| Error::UnknownNetwork { name: name.to_owned() })?;
    let built = Builder::new(name, shape, seed).and_then(recipe);
    built.map_err(|e| Error::Model { file: format!("zoo:{name}"), why: e.to_string() })
}

/// Pictures of digits that the network `digits` was not trained on, and what they show.
///
/// # Errors
/// [`Error`] when the shipped files are damaged.
pub fn digits_heldout() -> Result<(Vec<Vec<f32>>, Vec<usize>), Error> {
    let shape = copriv_ir::Shape::new(1, 28, 28);
    let pictures = picture::decode_batch(include_bytes!("../assets/digits-pictures.npy"), shape)?;
    let labels = picture::decode_labels(include_bytes!("../assets/digits-labels.npy"))?;
    if pictures.len() == labels.len() {
        Ok((pictures, labels))
    } else {
        let why = format!("{} pictures and {} labels", pictures.len(), labels.len());
        Err(Error::Picture { file: "zoo:digits".to_owned(), why })
    }
}
