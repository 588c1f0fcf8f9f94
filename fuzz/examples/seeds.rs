//! Writes every target's seeds to `corpus/TARGET/`, where the fuzzer starts from them.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for target in copriv_fuzz::targets() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (i, seed) in target.seeds().iter().enumerate() {
            fs::write(folder.join(format!("seed-{i}")), seed)?;
        }
    }
    Ok(())
}
