use crate::Error;
use copriv_bits::Block;
use copriv_prg::Prg;
use zeroize::Zeroize;

/// A generator seeded by the operating system: the one place where entropy enters.
///
/// # Errors
/// When the operating system has no entropy to give.
pub fn entropy() -> Result<Prg, Error> {
    let mut seed = [0; Block::BYTES];
    getrandom::fill(&mut seed).map_err(Error::Entropy)?;
    let prg = Prg::from_seed(Block::from_bytes(seed));
    seed.zeroize();
    Ok(prg)
}
