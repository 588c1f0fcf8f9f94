use super::args::{TrainingArgs, keep_preprocessing, network};
use super::{Done, output};
use clap::Args;
use copriv_train::cost::{Budget, Objective};
use copriv_train::optimize::{Figures, Optimized, Plan, Strategy, optimize};
use copriv_train::pareto::RunResult;
use copriv_train::recipe::Recipe;
use std::path::Path;

/// Make a trained network cost fewer bytes
///
/// Removes what is dear in private inference and little missed, trains what is left with the network that was given as the teacher, merges
/// what became linear, and writes network.onnx, which every command of copriv takes. The pictures must be those that the network was
/// trained on.
///
/// Example: copriv-train optimize runs/resnet20/network.onnx --data npz:mnist.npz --budget 40% --out runs/resnet20-40
#[derive(Args)]
pub struct Optimize {
    /// The trained network: the path of an ONNX file, or zoo:digits
    model: String,
    /// What it may cost: a share of what it costs now, such as 40%, or bytes, such as 2GB
    #[arg(long)]
    budget: Budget,
    /// The name of the network in results and figures [default: from the result beside it, or the file's]
    #[arg(long, value_name = "NAME")]
    network_name: Option<String>,
    /// The bytes that are meant: total or online
    #[arg(long, default_value_t = Objective::Total)]
    objective: Objective,
    /// How: blocks; or, to compare with, snl-pixel, snl-channel, count, channels or relu-greedy
    #[arg(long, default_value_t = Strategy::Blocks)]
    method: Strategy,
    /// Passes over the pictures during the search; methods that do not search spend them on fine-tuning
    #[arg(long, default_value_t = 15, value_name = "EPOCHS")]
    search_epochs: u64,
    /// The rate of scores and masks during the search
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    search_rate: f64,
    /// Of the bytes in the loss of the search: what saving all of them is worth
    #[arg(long, default_value_t = 0.1, value_name = "LOSS")]
    strength: f64,
    /// Of snl-pixel and snl-channel: the penalty of a mask at the beginning
    #[arg(long, default_value_t = 1e-5)]
    lambda: f64,
    /// Keep all channels, so that blocks alone are chosen
    #[arg(long)]
    no_thin: bool,
    /// Keep the size of convs around what is removed, so that less is merged
    #[arg(long)]
    no_narrow: bool,
    /// No activation at the end of a merged block
    #[arg(long)]
    no_end_activation: bool,
    #[command(flatten)]
    training: TrainingArgs,
}

impl Optimize {
    pub fn run(&self) -> Done {
        let mut graph = network(&self.model, None)?;
        graph.name = self.name(graph.name);
        let finetune = self.training.recipe.fine_tuning();
        let search = Recipe {
            epochs: self.search_epochs,
            search_rate: self.search_rate,
            ema: 0.0,
            warm_up: finetune.warm_up.min(self.search_epochs as f64),
            ..finetune.clone()
        };
        finetune.check()?;
        search.check()?;
        let plan = Plan {
            strategy: self.method,
            budget: self.budget,
            objective: self.objective,
            setting: self.training.setting.setting()?,
            search,
            finetune,
            strength: self.strength,
            lambda: self.lambda,
            thin: !self.no_thin,
            narrow: !self.no_narrow,
            end_activation: !self.no_end_activation,
        };
        let data = self.training.data.load()?;
        self.training.place.prepare()?;
        let device = self.training.run.device()?;
        let done = optimize(
            &graph,
            &data,
            &self.training.data.name(),
            &plan,
            &self.training.place.out,
            self.training.place.resume,
            &device,
            !self.training.run.quiet,
        )?;
        keep_preprocessing(&self.model, &done.network)?;
        self.show(&done);
        Ok(())
    }

    /// What the network is called: files in folders of runs are all called the same.
    fn name(&self, of_file: String) -> String {
        let beside = || RunResult::read(&Path::new(&self.model).parent()?.join("result.json")).ok();
        self.network_name.clone().or_else(|| Some(beside()?.network)).unwrap_or(of_file)
    }

    fn show(&self, done: &Optimized) {
        let Optimized { original, optimized, network, dropped, result, limit, cut, seconds } = done;
        let left = match self.objective {
            Objective::Total => optimized.bytes_total,
            Objective::Online => optimized.bytes_online,
        };
        let test = result.as_ref().map(|r| r.accuracy_test);
        if self.training.run.json {
            output::json(&serde_json::json!({
                "method": self.method.name(),
                "budget": self.budget.to_string(),
                "objective": self.objective.to_string(),
                "original": original,
                "optimized": optimized,
                "limit": limit,
                "layers_cut": cut,
                "accuracy_test": test,
                "dropped": dropped.as_ref().map(|(names, _)| names),
                "network": network,
                "seconds": seconds,
            }));
            return;
        }
        let row = |name: &str, f: &Figures, test: Option<f64>| {
            vec![
                name.to_owned(),
                output::percent(f.validation),
                test.map_or_else(|| "-".to_owned(), output::percent),
                output::bytes(f.bytes_total),
                output::bytes(f.bytes_online),
                f.relus.to_string(),
                f.parameters.to_string(),
            ]
        };
        let header = ["", "validation", "test", "bytes in total", "online", "ReLUs", "parameters"];
        output::table(&header, &[row("original", original, None), row("optimized", optimized, test)]);
        if let Some((names, of)) = dropped {
            output::line(&format!("{} of {of} blocks dropped: {}", names.len(), names.join(", ")));
        }
        output::line(&format!(
            "{:.2} times fewer bytes in total, {:.2} times fewer online; {seconds:.0} s of training",
            original.bytes_total as f64 / optimized.bytes_total as f64,
            original.bytes_online as f64 / optimized.bytes_online as f64,
        ));
        if *cut > 0 {
            output::line(&format!(
                "{cut} layers have their few largest weights cut, so that all need fewer bits"
            ));
        }
        if left > *limit {
            let over = (left as f64 / *limit as f64 - 1.0) * 100.0;
            output::line(&format!(
                "{over:.1} % over the budget, as the weights grew in training; give a smaller one"
            ));
        }
        output::line(&format!("run it privately: copriv run {} --input PICTURE", network.display()));
    }
}
