use super::show;
use crate::args::{LinkArgs, ModelArgs, Network, PictureArgs, ProtocolArgs};
use crate::error::Error;
use crate::format::bytes;
use crate::labels::{Labels, Named};
use crate::party::{Pair, PeakMemory};
use crate::progress::Bar;
use crate::verdict::{Verdict, inexact};
use crate::{model, output};
use clap::Args;
use copriv_import::picture;
use copriv_ir::Preprocessing;
use copriv_runner::{Offer, Output, PhaseCost, Plan, Report, Reveal, Settings, Source, planner};
use serde::Serialize;
use std::path::PathBuf;

/// Run both parties on this machine, for any network, and compare with the result in the clear.
///
/// Server and client are two processes that share nothing but a TCP connection on loopback. When the private inference
/// is over, the same fixed-point network is evaluated in the clear; the two results must be equal bit for bit (with
/// --truncation one-bit or --relu-drop-bits, within what these may cause), and the bytes and rounds of each layer those of
/// the plan. If not, the exit code is 1.
///
/// An inference has two phases: what is done before the input is there (preprocessing), and what is done with it (online).
/// Here the one follows the other at once; copriv preprocess does the first ahead. The suite cryptflow2 has the second
/// only.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv run zoo:digits --input digit.png\n  \
    copriv run zoo:resnet20-cifar10 --input random --seed 3 --network wan\n  \
    copriv run zoo:resnet20-cifar10 --input random --suite cryptflow2\n  \
    copriv run resnet50.onnx --input photo.jpg --preprocess imagenet --labels imagenet.txt\n  \
    copriv run network.onnx --input picture.npy --json\n\n\
    Input: PNG, JPEG or .npy of shape C,H,W. Bytes become n/255 unless the model file (its metadata has the key \
    copriv.preprocessing) or the options say otherwise; floats of an .npy are taken as they are.")]
pub struct Run {
    #[command(flatten)]
    model: ModelArgs,
    /// The input: a PNG, JPEG or npy file, or random.
    #[arg(long, value_name = "FILE|random")]
    input: String,
    /// The seed of a random input.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Call the classes by the names in this file: one a line, or JSON, a list or names by index.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    link: LinkArgs,
    /// Print the plan and what was counted as JSON.
    #[arg(long)]
    json: bool,
    // Last: what follows would come under its heading.
    #[command(flatten)]
    pictures: PictureArgs,
}

/// The plan's keys, and what was counted.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    measured: &'a Report,
    reveal: Reveal,
    network: Network,
    label: Option<usize>,
    name: Option<&'a str>,
    top: Option<Vec<Named<'a>>>,
    /// Null where the input is random.
    preprocessing: Option<Preprocessing>,
    #[serde(flatten)]
    verdict: Verdict,
    as_planned: bool,
    seconds: f64,
    phases: Phases,
    peak_memory_bytes: PeakMemory,
}

/// What was counted in each phase.
#[derive(Serialize)]
pub struct Phases {
    preprocessing: Counted,
    online: Counted,
}

/// Bytes of both directions, rounds, and wall-clock seconds at the client.
#[derive(Serialize)]
struct Counted {
    bytes: u64,
    rounds: u64,
    seconds: f64,
}

impl Phases {
    /// Those of a report.
    pub fn of(report: &Report) -> Self {
        let counted =
            |cost: PhaseCost, seconds| Counted { bytes: cost.bytes(), rounds: cost.rounds, seconds };
        Self {
            preprocessing: counted(report.total.preprocessing, report.preprocessing_seconds),
            online: counted(report.total.online, report.online_seconds),
        }
    }
}

impl Run {
    pub fn run(self) -> Result<(), Error> {
        if self.input != "random" {
            model::check_file(self.input.as_ref())?;
        }
        let labels = self.labels.as_deref().map(Labels::load).transpose()?;
        let mut pair = Pair::start(&self.model, self.protocol, self.link.local())?;
        let Offer { architecture, settings, preprocessing, .. } = pair.client.offer().clone();
        if let Some(labels) = &labels {
            labels.check(architecture.output_shape().len())?;
        }
        let Settings { suite, reveal, .. } = settings;
        let shape = architecture.input_shape();
        let (pixels, pictures) = match self.input.as_str() {
            "random" => (model::random(self.seed, shape.len()), None),
            file => {
                let pictures = self.pictures.settle(preprocessing, shape)?;
                (picture::load_with(file, shape, &pictures)?, Some(pictures))
            }
        };
        let input = model::encode(&architecture, &pixels)?;
        let mut done = pair.client.infer(&input, Source::OnTheFly, "private inference")?;
        let memory = pair.finish()?;
        done.plan.model.clone_from(&self.model.model);

        // Only now does this process see the network.
        let (_, lowered) = model::load(&self.model, self.protocol.fixed)?;
        let bar = Bar::spinner("evaluating in the clear");
        let lowered = planner::prepare(&lowered, &settings)?;
        let clear = copriv_plain::evaluate_output(&lowered, &input)?;
        drop(bar);
        let verdict = Verdict::new(&settings, &lowered, &done.output, &clear)?;
        let label = done.output.label();
        let name = label.and_then(|label| labels.as_ref()?.name(label));
        let logits = match &done.output {
            Output::Logits(logits) => Some(model::decode(&architecture, logits)),
            Output::Label(_) => None,
        };
        let top = labels.as_ref().zip(logits.as_ref()).map(|(labels, logits)| labels.top(logits));
        if self.json {
            output::json(&Json {
                plan: &done.plan,
                measured: &done.report,
                reveal,
                network: self.link.network,
                label,
                name,
                top,
                preprocessing: pictures,
                verdict,
                as_planned: done.differences.is_empty(),
                seconds: done.report.seconds,
                phases: Phases::of(&done.report),
                peak_memory_bytes: memory,
            })?;
        } else {
            let (bits, frac) = (done.plan.bits, done.plan.frac);
            output::line(format_args!(
                "{} under {suite}, {bits} bits, {frac} of them fraction; {}\n",
                self.model.model, self.link.network
            ))?;
            if let Some(inexact) = inexact(&settings) {
                output::line(format_args!("inexact: {inexact}\n"))?;
            }
            if let Some(pictures) = pictures.filter(|pictures| *pictures != Preprocessing::default()) {
                output::line(format_args!("pictures: {pictures}\n"))?;
            }
            output::line(show::inference(&done))?;
            let label = label.map_or("label none".into(), |label| show::label(label, name));
            // A name may have commas in it.
            let stop = if name.is_some() { ';' } else { ',' };
            output::line(format_args!("\n{label}{stop} {}", verdict.describe()))?;
            if let Some(top) = &top {
                output::line(show::top(top))?;
            }
            output::line(show::summary(&done.report))?;
            if let (Some(server), Some(client)) = (memory.server, memory.client) {
                let (server, client) = (bytes(server), bytes(client));
                output::line(format_args!(
                    "at most {server} of memory at the server, {client} at the client"
                ))?;
            }
        }
        verdict.check(&done)
    }
}
