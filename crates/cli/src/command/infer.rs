use super::run::Phases;
use super::show;
use crate::args::{LinkArgs, PictureArgs};
use crate::error::Error;
use crate::labels::{Labels, SHOWN};
use crate::party::Connected;
use crate::verdict::inexact;
use crate::{model, output};
use clap::Args;
use copriv_import::picture;
use copriv_ir::Preprocessing;
use copriv_runner::{Offer, Output, Settings, Source, Store, Suite};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Ask a server for a private inference.
///
/// Secret: the input, and what the network says about it. The server learns that an inference took place and how long
/// it took. This end needs no model file: the server tells the architecture, and the input is checked against
/// it before anything is computed.
///
/// The server may tell how a picture becomes the network's input; then pictures of any size are taken. Where it does not, or
/// for another way, the options below say it. Otherwise nothing is resized.
///
/// Much of the work needs no input. With --store it has been done before (copriv preprocess), and the inference is short:
/// it takes an entry that the server has too, and both destroy it. Without --store everything is done now.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv infer --server 127.0.0.1:7878 --input digit.png\n  \
    copriv infer --server example.org:7878 --input photo.jpg --labels imagenet.txt\n  \
    copriv infer --server example.org:7878 --input photo.jpg --preprocess imagenet --resize 232\n  \
    copriv infer --server example.org:7878 --input picture.npy --suite cryptflow2 --json\n  \
    copriv infer --server example.org:7878 --input picture.npy --store client.store\n  \
    copriv infer --server example.org:7878 --input picture.npy --store client.store --on-the-fly\n\n\
    Input: PNG, JPEG or .npy of shape C,H,W. Bytes become n/255 unless the server or the options say otherwise; colour becomes \
    grey where the network has one channel; floats of an .npy are taken as they are.")]
pub struct Infer {
    /// The server.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// The picture: PNG, JPEG or npy.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Call the classes by the names in this file: one a line, or JSON, a list or names by index.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Take the material of the inference, made before with copriv preprocess, from this store; each entry serves once.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Where the store has no entry that the server has too, preprocess now.
    #[arg(long, requires = "store")]
    on_the_fly: bool,
    /// Insist on these protocols; otherwise the server's are taken.
    #[arg(long, value_name = "NAME")]
    suite: Option<Suite>,
    #[command(flatten)]
    link: LinkArgs,
    /// Show the result only.
    #[arg(short, long)]
    quiet: bool,
    /// Print the result and what was counted as JSON.
    #[arg(long)]
    json: bool,
    // Last: what follows would come under its heading.
    #[command(flatten)]
    pictures: PictureArgs,
}

/// A store that is there: a new one would have no entry.
fn existing(path: &Path) -> Result<Store, Error> {
    let missing = |e| Error::other(format!("{}: {e}; copriv preprocess makes a store", path.display()));
    std::fs::metadata(path).map_err(missing)?;
    Ok(Store::open(path)?)
}

impl Infer {
    pub fn run(self) -> Result<(), Error> {
        // A file that is not there is found before the server is bothered.
        model::check_file(&self.input)?;
        let labels = self.labels.as_deref().map(Labels::load).transpose()?;
        let store = self.store.as_deref().map(existing).transpose()?;
        let source = match &store {
            None => Source::OnTheFly,
            Some(store) if self.on_the_fly => Source::StoreOrOnTheFly(store),
            Some(store) => Source::Store(store),
        };
        let mut server = Connected::open(&self.server, self.suite, self.link.remote())?;
        let Offer { settings, architecture, preprocessing, .. } = server.offer().clone();
        let Settings { suite, reveal, truncation, relu_drop_bits, .. } = settings;
        if let Some(labels) = &labels {
            labels.check(architecture.output_shape().len())?;
        }
        let shape = architecture.input_shape();
        let pictures = self.pictures.settle(preprocessing, shape)?;
        let pixels = picture::load_with(&self.input, shape, &pictures)?;
        let input = model::encode(&architecture, &pixels)?;
        let talkative = !self.quiet && !self.json;
        if talkative {
            output::line(format_args!(
                "{} runs {} under {suite}, {} bits, {} of them fraction; you learn the {reveal}{}\n{}{}",
                self.server,
                architecture.name,
                architecture.width,
                architecture.frac_bits,
                inexact(&settings).map_or(String::new(), |inexact| format!("; {inexact}")),
                match pictures == Preprocessing::default() {
                    true => String::new(),
                    false => format!("pictures: {pictures}\n"),
                },
                show::architecture(&architecture)
            ))?;
        }
        let done = server.infer(&input, source, "inference")?;
        let logits = match &done.output {
            Output::Logits(logits) => Some(model::decode(&architecture, logits)),
            Output::Label(_) => None,
        };
        let label = done.output.label();
        let name = label.and_then(|label| labels.as_ref()?.name(label));
        let top = labels.as_ref().zip(logits.as_ref()).map(|(labels, logits)| labels.top(logits));
        if self.json {
            return output::json(&json!({
                "model": architecture.name, "suite": suite, "bits": architecture.width.bits(),
                "frac": architecture.frac_bits, "reveal": reveal, "truncation": truncation,
                "relu_drop_bits": relu_drop_bits, "label": label, "logits": logits,
                "name": name, "top": top, "preprocessing": pictures,
                "measured": done.report, "phases": Phases::of(&done.report), "as_planned": done.differences.is_empty(),
            }));
        }
        if let Some(label) = label {
            output::line(show::label(label, name))?;
        }
        if talkative {
            match &top {
                Some(top) => output::line(show::top(top))?,
                None => {
                    for (index, value) in model::top(logits.as_deref().unwrap_or_default(), SHOWN) {
                        output::line(format_args!("  {index:>5}  {value:+.4}"))?;
                    }
                }
            }
            output::line(show::summary(&done.report))?;
            if let Some(difference) = done.differences.first() {
                output::complain(format_args!("not as planned: {difference}"));
            }
        }
        Ok(())
    }
}
