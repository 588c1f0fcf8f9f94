//! `copriv-train`: training, network optimisation and what it comes to. `copriv train`, `copriv optimize`, `copriv eval` and
//! `copriv pareto` hand over to it.

mod program;

fn main() -> std::process::ExitCode {
    copriv_runner::keep_memory();
    program::run()
}
