//! One module per command.

pub mod bench;
pub mod calibrate;
pub mod demo;
pub mod import;
pub mod infer;
pub mod plan;
pub mod preprocess;
pub mod run;
pub mod serve;
mod show;
pub mod train;
pub mod zoo;

use crate::args::Command;
use crate::error::Error;

/// Does what the command line asks.
pub fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Infer(infer) => infer.run(),
        Command::Preprocess(preprocess) => preprocess.run(),
        Command::Run(run) => run.run(),
        Command::Plan(plan) => plan.run(),
        Command::Import(import) => import.run(),
        Command::Calibrate(calibrate) => calibrate.run(),
        Command::Zoo(zoo) => zoo.run(),
        Command::Bench(bench) => bench.run(),
        Command::Train(train) => train.run("train"),
        Command::Optimize(train) => train.run("optimize"),
        Command::Eval(train) => train.run("eval"),
        Command::Pareto(train) => train.run("pareto"),
    }
}
