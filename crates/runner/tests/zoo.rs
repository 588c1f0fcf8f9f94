//! The baseline's published size: convolutions of the zoo's networks at 41 bits.

use copriv_ir::{LowerOptions, lower};
use copriv_ring::Width;
use copriv_runner::{Plan, Reveal, Suite};

#[test]
fn convolutions_cost_what_is_published() {
    for (name, least, most) in [
        ("zoo:resnet18-cifar100", 60.0, 65.0),
        ("zoo:resnet32-cifar100", 7.7, 8.5),
        ("zoo:resnet18-tinyimagenet", 240.0, 249.0),
    ] {
        let graph = copriv_import::load(name).unwrap();
        let net = lower(&graph, LowerOptions { width: Width::of(41), frac_bits: 12 }).unwrap();
        let plan = Plan::new(&net.architecture, Suite::Cryptflow2, Reveal::Logits).unwrap();
        let bytes: u64 = plan.layers.iter().filter(|l| l.op == "conv").map(|l| l.online.bytes()).sum();
        let gigabytes = bytes as f64 / 1e9;
        assert!((least..=most).contains(&gigabytes), "{name}: {gigabytes} GB");
    }
}
