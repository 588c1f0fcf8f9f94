use super::args::{DataArgs, RunArgs, SettingArgs, network};
use super::{Done, output};
use clap::{Args, ValueEnum};
use copriv_ir::fold_affine;
use copriv_train::Error;
use copriv_train::cost::{Costs, Objective, parameters, relus};
use copriv_train::data;
use copriv_train::fit::evaluate;
use copriv_train::network::Network;
use std::path::PathBuf;

/// Measure networks: accuracy on pictures, and the bytes of a private inference
///
/// Example: copriv-train eval runs/*/network.onnx --data npz:mnist.npz
#[derive(Args)]
pub struct Eval {
    /// zoo:NAME or paths of ONNX files
    #[arg(required = true)]
    models: Vec<String>,
    /// Weights for a single network, as safetensors
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The pictures to measure on; those of test are for the end
    #[arg(long, value_enum, default_value_t = Part::Validation)]
    part: Part,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    setting: SettingArgs,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Train,
    Validation,
    Test,
}

impl Eval {
    pub fn run(&self) -> Done {
        if self.weights.is_some() && self.models.len() > 1 {
            let why = "they are for one network; give one".to_owned();
            return Err(Error::Setting { name: "weights", why });
        }
        let data = self.data.load()?;
        let part = match self.part {
            Part::Train => data::Part::Train,
            Part::Validation => data::Part::Validation,
            Part::Test => data::Part::Test,
        };
        if data.part(part).is_empty() {
            let why =
                "the data has no such pictures; hold some out by --test or choose another part".to_owned();
            return Err(Error::Setting { name: "part", why });
        }
        let device = self.run.device()?;
        let mut costs = Costs::new(self.setting.setting()?, Objective::Total);
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for spec in &self.models {
            let graph = network(spec, self.weights.as_deref())?;
            let (loss, accuracy) = evaluate(&Network::new(&graph, &device)?, &data, part)?;
            let folded = fold_affine(&graph).map_err(Error::Graph)?;
            let bytes = costs.of(&folded)?;
            rows.push(vec![
                spec.clone(),
                output::percent(accuracy),
                format!("{loss:.4}"),
                output::bytes(bytes.total),
                output::bytes(bytes.online),
                relus(&folded).to_string(),
                parameters(&folded).to_string(),
            ]);
            values.push(serde_json::json!({
                "network": spec,
                "accuracy": accuracy,
                "loss": loss,
                "pictures": data.part(part).len(),
                "bytes_total": bytes.total,
                "bytes_online": bytes.online,
                "relus": relus(&folded),
                "parameters": parameters(&folded),
            }));
        }
        if self.run.json {
            output::json(&serde_json::Value::Array(values));
        } else {
            let header = ["network", "accuracy", "loss", "bytes in total", "online", "ReLUs", "parameters"];
            output::table(&header, &rows);
        }
        Ok(())
    }
}
