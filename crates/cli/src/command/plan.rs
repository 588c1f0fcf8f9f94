use super::show;
use crate::args::{ModelArgs, ProtocolArgs};
use crate::error::Error;
use crate::{model, output};
use clap::Args;
use copriv_runner::planner;

/// Predict what an inference puts on the wire, layer by layer.
///
/// Nothing is run: the plan follows from the architecture alone, which is public. It is exact: an inference over TCP
/// counts the same bytes and rounds (demo and run compare the two). A round is a wait of the client for the server
/// after sending. P0 is the server, P1 the client.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv plan zoo:resnet18-cifar100\n  \
    copriv plan network.onnx --bits 37 --frac 10 --reveal label\n  \
    copriv plan zoo:digits --json > plan.json")]
pub struct Plan {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub fn run(self) -> Result<(), Error> {
        let ProtocolArgs { suite, reveal, fixed, .. } = self.protocol;
        let (_, lowered) = model::load(&self.model, fixed)?;
        let settings = self.protocol.settings();
        let architecture = planner::prepare_architecture(&lowered.architecture, &settings)?;
        let mut plan = copriv_runner::Plan::new(&architecture, &settings)?;
        plan.model = self.model.model;
        if self.json {
            return output::json(&plan);
        }
        output::line(format_args!(
            "{} under {suite}, {} bits, {} of them fraction; the client learns the {reveal}\n",
            plan.model, plan.bits, plan.frac
        ))?;
        output::line(show::plan(&plan))?;
        output::line("\nby kind of layer")?;
        output::line(show::kinds(&plan))
    }
}
