use super::run::Phases;
use super::show;
use crate::args::LinkArgs;
use crate::error::Error;
use crate::party::Connected;
use crate::verdict::inexact;
use crate::{model, output};
use clap::Args;
use copriv_import::picture;
use copriv_runner::{Offer, Output, Settings, Source, Store, Suite};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Ask a server for a private inference.
///
/// Secret: the input, and what the network says about it. The server learns that an inference took place and how long
/// it took. This end needs no model file: the server tells the architecture, and the input is checked against
/// it before anything is computed. Nothing is resized.
///
/// Much of the work needs no input. With --store it has been done before (copriv preprocess), and the inference is short:
/// it takes an entry that the server has too, and both destroy it. Without --store everything is done now.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv infer --server 127.0.0.1:7878 --input digit.png\n  \
    copriv infer --server example.org:7878 --input picture.npy --suite cryptflow2 --json\n  \
    copriv infer --server example.org:7878 --input picture.npy --store client.store\n  \
    copriv infer --server example.org:7878 --input picture.npy --store client.store --on-the-fly\n\n\
    Input: PNG, JPEG (bytes become n/255; colour becomes grey where the network has one channel) or .npy of shape \
    C,H,W, taken as it is.")]
pub struct Infer {
    /// The server.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// The picture: PNG, JPEG or npy.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
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
        let store = self.store.as_deref().map(existing).transpose()?;
        let source = match &store {
            None => Source::OnTheFly,
            Some(store) if self.on_the_fly => Source::StoreOrOnTheFly(store),
            Some(store) => Source::Store(store),
        };
        let mut server = Connected::open(&self.server, self.suite, self.link.remote())?;
        let Offer { settings, architecture, .. } = server.offer().clone();
        let Settings { suite, reveal, truncation, relu_drop_bits, .. } = settings;
        let pixels = picture::load(&self.input, architecture.input_shape())?;
        let input = model::encode(&architecture, &pixels)?;
        let talkative = !self.quiet && !self.json;
        if talkative {
            output::line(format_args!(
                "{} runs {} under {suite}, {} bits, {} of them fraction; you learn the {reveal}{}\n{}",
                self.server,
                architecture.name,
                architecture.width,
                architecture.frac_bits,
                inexact(&settings).map_or(String::new(), |inexact| format!("; {inexact}")),
                show::architecture(&architecture)
            ))?;
        }
        let done = server.infer(&input, source, "inference")?;
        let logits = match &done.output {
            Output::Logits(logits) => Some(model::decode(&architecture, logits)),
            Output::Label(_) => None,
        };
        let label = done.output.label();
        if self.json {
            return output::json(&json!({
                "model": architecture.name, "suite": suite, "bits": architecture.width.bits(),
                "frac": architecture.frac_bits, "reveal": reveal, "truncation": truncation,
                "relu_drop_bits": relu_drop_bits, "label": label, "logits": logits,
                "measured": done.report, "phases": Phases::of(&done.report), "as_planned": done.differences.is_empty(),
            }));
        }
        if let Some(label) = label {
            output::line(format_args!("label {label}"))?;
        }
        if talkative {
            for (index, value) in model::top(logits.as_deref().unwrap_or_default(), 5) {
                output::line(format_args!("  {index:>5}  {value:+.4}"))?;
            }
            output::line(show::summary(&done.report))?;
            if let Some(difference) = done.differences.first() {
                output::complain(format_args!("not as planned: {difference}"));
            }
        }
        Ok(())
    }
}
