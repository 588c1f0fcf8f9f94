use crate::error::Error;
use clap::Args;

/// Measure what this machine does.
#[derive(Args, Debug)]
pub struct Bench {}

impl Bench {
    pub fn run(self) -> Result<(), Error> {
        Err(Error::other("not there yet"))
    }
}
