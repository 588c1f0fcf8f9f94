use super::args::{TrainingArgs, keep_preprocessing, network};
use super::{Done, output};
use clap::Args;
use copriv_import::onnx;
use copriv_ir::fold_affine;
use copriv_train::Error;
use copriv_train::checkpoint::replace;
use copriv_train::cost::{Costs, Objective, parameters, relus};
use copriv_train::curves;
use copriv_train::data::Part;
use copriv_train::fit::{Place, Plain, calibrate, evaluate, fit};
use copriv_train::network::{Init, Network};
use copriv_train::pareto::{FORMAT, ORIGINAL, RunResult, Size};
use copriv_train::progress::Progress;
use std::path::PathBuf;

/// Train a network, or go on training one
///
/// A network of the zoo begins with new weights, one from a file with those it has. The folder of the run gets network.onnx, weights.safetensors,
/// curves of loss and accuracy, and result.json with the accuracy on the test data.
///
/// Example: copriv-train train zoo:resnet20-digits --data npz:mnist.npz --epochs 10 --crop 2 --out runs/resnet20
#[derive(Args)]
pub struct Train {
    /// zoo:NAME or the path of an ONNX file
    model: String,
    /// Weights for it, as safetensors
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// keep the weights, or begin with new ones: he [default: he for the zoo, keep for files]
    #[arg(long, value_name = "keep|he", value_parser = parse_init)]
    init: Option<Init>,
    /// A trained network to learn from, with --distill
    #[arg(long, value_name = "MODEL")]
    teacher: Option<String>,
    #[command(flatten)]
    training: TrainingArgs,
}

fn parse_init(text: &str) -> Result<Init, String> {
    match text {
        "keep" => Ok(Init::Keep),
        "he" => Ok(Init::He),
        _ => Err("it is keep or he".to_owned()),
    }
}

impl Train {
    pub fn run(&self) -> Done {
        let graph = network(&self.model, self.weights.as_deref())?;
        let recipe = self.training.recipe.anew();
        recipe.check()?;
        let data = self.training.data.load()?;
        let setting = self.training.setting.setting()?;
        self.training.place.prepare()?;
        let device = self.training.run.device()?;
        let mut net = Network::new(&graph, &device)?;
        let untrained =
            self.model.starts_with("zoo:") && self.model != "zoo:digits" && self.weights.is_none();
        match self.init.unwrap_or(if untrained { Init::He } else { Init::Keep }) {
            Init::He => net.initialise(recipe.seed)?,
            Init::Keep => calibrate(&mut net, &data, 5_000)?,
        }
        let teacher = match &self.teacher {
            Some(spec) => {
                let mut teacher = Network::new(&network(spec, None)?, &device)?;
                calibrate(&mut teacher, &data, 5_000)?;
                Some(teacher)
            }
            None => None,
        };
        let out = &self.training.place.out;
        let place = Place { resume: self.training.place.resume, ..Place::new(out) };
        let progress = if self.training.run.quiet { Progress::hidden() } else { Progress::new("training") };
        let outcome = fit(&mut net, &data, &recipe, teacher.as_ref(), &mut Plain, &place, &progress)?;

        let trained = net.graph()?;
        replace(&out.join("network.onnx"), &onnx::write(&trained))?;
        keep_preprocessing(&self.model, &out.join("network.onnx"))?;
        let weights = copriv_import::safetensors::write(&trained)?;
        replace(&out.join("weights.safetensors"), &weights)?;
        let records = curves::read(&place.metrics())?;
        curves::draw(
            &records,
            &format!("{} on {}", graph.name, self.training.data.name()),
            &out.join("curves.png"),
            Size::default(),
        )?;
        let mut costs = Costs::new(setting, Objective::Total);
        let folded = fold_affine(&trained).map_err(Error::Graph)?;
        let bytes = costs.of(&folded)?;
        let mut test = None;
        if !data.part(Part::Test).is_empty() {
            let (loss, accuracy) = evaluate(&net, &data, Part::Test)?;
            test = Some(accuracy);
            let result = RunResult {
                format: FORMAT,
                method: ORIGINAL.to_owned(),
                network: graph.name.clone(),
                data: self.training.data.name(),
                seed: recipe.seed,
                accuracy_validation: outcome.validation,
                accuracy_test: accuracy,
                loss: Some(loss).filter(|l| l.is_finite()),
                bytes_total: bytes.total,
                bytes_online: bytes.online,
                relus: relus(&folded) as u64,
                parameters: parameters(&folded) as u64,
                budget: String::new(),
                notes: String::new(),
            };
            result.write(out)?;
        }
        if self.training.run.json {
            output::json(&serde_json::json!({
                "network": out.join("network.onnx"),
                "steps": outcome.steps,
                "seconds": outcome.seconds,
                "accuracy_validation": outcome.validation,
                "accuracy_test": test,
                "bytes_total": bytes.total,
                "bytes_online": bytes.online,
            }));
            return Ok(());
        }
        output::table(
            &["network", "validation", "test", "bytes in total", "online", "steps", "seconds"],
            &[vec![
                graph.name.clone(),
                output::percent(outcome.validation),
                test.map_or_else(|| "-".to_owned(), output::percent),
                output::bytes(bytes.total),
                output::bytes(bytes.online),
                outcome.steps.to_string(),
                format!("{:.1}", outcome.seconds),
            ]],
        );
        output::line(&format!("{} holds network.onnx, weights.safetensors and curves.png", out.display()));
        Ok(())
    }
}
