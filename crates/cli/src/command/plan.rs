use super::show;
use crate::args::{ModelArgs, PictureArgs, ProtocolArgs};
use crate::compare::{Comparison, Link};
use crate::error::Error;
use crate::verdict::inexact;
use crate::{model, output, plot, units};
use clap::Args;
use copriv_ir::{Lowered, Preprocessing};
use copriv_runner::{Settings, Suite, planner};
use std::path::PathBuf;

/// Predict what an inference puts on the wire, layer by layer.
///
/// Nothing is run: the plan follows from the architecture alone, which is public. It is exact: an inference over TCP
/// counts the same bytes and rounds (demo and run compare the two). A round is a wait of the client for the server
/// after sending. P0 is the server, P1 the client.
///
/// An inference has two phases. What is before needs no input: it can be done ahead (copriv preprocess). What is online
/// is what somebody waits for. The suite cryptflow2 does everything online.
///
/// With --compare all suites are planned for the network, and their costs are shown side by side, by kind of
/// operation. Times are estimates: of the bytes and the delays on a link, computation aside; both directions share the
/// bandwidth.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv plan zoo:resnet18-cifar100\n  \
    copriv plan network.onnx --suite cryptflow2 --bits 37 --frac 10 --reveal label\n  \
    copriv plan zoo:digits --json > plan.json\n  \
    copriv plan zoo:resnet32-cifar100 --compare\n  \
    copriv plan zoo:resnet32-cifar100 --compare --bandwidth 100Mbit --rtt 20ms\n  \
    copriv plan zoo:resnet32-cifar100 --compare --json --plot resnet32.svg > resnet32.json")]
pub struct Plan {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// Show all suites side by side instead, by kind of operation.
    #[arg(long, conflicts_with = "suite")]
    compare: bool,
    /// With --compare, estimate times for a link of this bandwidth, such as 100Mbit; otherwise for a LAN (3 Gbit/s, 0.8 ms)
    /// and a WAN (200 Mbit/s, 40 ms).
    #[arg(long, value_name = "RATE", value_parser = units::bandwidth, requires_all = ["rtt", "compare"])]
    bandwidth: Option<f64>,
    /// The round trip of that link, such as 20ms.
    #[arg(long, value_name = "TIME", value_parser = units::time, requires_all = ["bandwidth", "compare"])]
    rtt: Option<f64>,
    /// Draw the bytes of all suites, by kind of operation, to this file; what is there is overwritten.
    #[arg(long, value_name = "FILE.svg", value_parser = plot::file)]
    plot: Option<PathBuf>,
    /// Print the plan, or the comparison, as JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub fn run(self) -> Result<(), Error> {
        let (_, lowered) = model::load(&self.model, self.protocol.fixed)?;
        let pictures = model::preprocessing(&self.model, &PictureArgs::default(), &lowered.architecture)?;
        let service = (lowered, pictures);
        let drawn = match self.compare || self.plot.is_some() {
            true => Some(self.comparison(&service)?),
            false => None,
        };
        if let (Some(comparison), Some(path)) = (&drawn, &self.plot) {
            plot::write(comparison, path)?;
        }
        match drawn.filter(|_| self.compare) {
            Some(comparison) if self.json => output::json(&comparison)?,
            Some(comparison) => show_comparison(&comparison)?,
            None => self.show_plan(&self.of(&service, self.protocol.suite)?)?,
        }
        match &self.plot {
            Some(path) if !self.json => output::line(format_args!("\nfigure in {}", path.display())),
            _ => Ok(()),
        }
    }

    /// The plan under one suite, of a server that tells how pictures are prepared where the model's file does.
    fn of(
        &self,
        (lowered, pictures): &(Lowered, Preprocessing),
        suite: Suite,
    ) -> Result<copriv_runner::Plan, Error> {
        let asked = self.protocol.settings();
        // In a comparison the others are as exact as they are.
        let settings = match suite == asked.suite {
            true => asked,
            false => Settings { ot: asked.ot, ..Settings::new(suite, asked.reveal) },
        };
        let architecture = planner::prepare_architecture(&lowered.architecture, &settings)?;
        let mut plan = match pictures == &Preprocessing::default() {
            true => copriv_runner::Plan::new(&architecture, &settings)?,
            false => copriv_runner::Plan::telling(&architecture, &settings, pictures.clone())?,
        };
        plan.model.clone_from(&self.model.model);
        Ok(plan)
    }

    fn comparison(&self, service: &(Lowered, Preprocessing)) -> Result<Comparison, Error> {
        let plans: Vec<_> =
            Suite::ALL.into_iter().map(|suite| self.of(service, suite)).collect::<Result<_, _>>()?;
        let links = match (self.bandwidth, self.rtt) {
            (Some(bits_per_second), Some(round_trip_seconds)) => {
                vec![Link { name: "given", bits_per_second, round_trip_seconds }]
            }
            _ => Link::usual(),
        };
        Ok(Comparison::new(&plans, self.protocol.reveal, links))
    }

    fn show_plan(&self, plan: &copriv_runner::Plan) -> Result<(), Error> {
        if self.json {
            return output::json(plan);
        }
        let ProtocolArgs { suite, reveal, .. } = self.protocol;
        output::line(format_args!(
            "{} under {suite}, {} bits, {} of them fraction; the client learns the {reveal}\n",
            plan.model, plan.bits, plan.frac
        ))?;
        if let Some(inexact) = inexact(&self.protocol.settings()) {
            output::line(format_args!("inexact: {inexact}\n"))?;
        }
        output::line(show::plan(plan))?;
        output::line("\nby kind of layer")?;
        output::line(show::kinds(plan))
    }
}

fn show_comparison(comparison: &Comparison) -> Result<(), Error> {
    let Comparison { model, bits, frac, reveal, .. } = comparison;
    output::line(format_args!(
        "{model} under all suites, {bits} bits, {frac} of them fraction; the client learns the {reveal}\n"
    ))?;
    output::line("bytes and rounds")?;
    output::line(comparison.costs())?;
    output::line("\nestimated time on the link")?;
    output::line(comparison.seconds())?;
    output::line("\ntotals")?;
    output::line(comparison.totals())?;
    output::line(comparison.notes())
}
