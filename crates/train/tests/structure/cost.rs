use crate::common::{Numbers, Outcome, costs, network};
use copriv_ir::{Graph, Op, fold_affine};
use copriv_runner::{Reveal, Settings, Suite, Truncation};
use copriv_train::blocks::{Without, blocks, without};
use copriv_train::cost::{Budget, Costs, Error, Objective, Setting, parameters, relus};

/// Other weights, of which the largest of each layer is `largest`.
fn with_weights(net: &Graph, seed: u64, largest: f32) -> Outcome<Graph> {
    let mut net = fold_affine(net)?;
    let mut numbers = Numbers(seed);
    for node in &mut net.nodes {
        if let Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } = &mut node.op {
            let n = weight.len();
            *weight = numbers.floats(n, largest);
            weight[numbers.below(n)] = largest;
            *bias = numbers.floats(bias.len(), largest);
        }
    }
    Ok(net)
}

#[test]
fn structure_does_not_see_weights() -> Outcome<()> {
    let mut costs = costs(Objective::Total);
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    let trained = with_weights(&net, 1, 0.9)?;
    let blocks = blocks(&net);
    let dropped: Vec<bool> = (0..blocks.len()).map(|at| at % 3 == 0).collect();
    let options = Without { narrow: true, widen: false, end_activation: true };
    let before = costs.structure(&without(&net, &blocks, &dropped, options)?)?;
    let mut other = net.clone();
    for node in &mut other.nodes {
        if let Op::Conv { weight, .. } = &mut node.op {
            weight.iter_mut().for_each(|w| *w *= 3.0);
        }
    }
    assert_eq!(costs.structure(&without(&other, &blocks, &dropped, options)?)?, before);
    assert_eq!(costs.structure(&without(&net.outline(), &blocks, &dropped, options)?)?, before);
    // Of weights that need 13 bits, and nothing to merge: exactly so many bytes are sent.
    assert_eq!(costs.structure(&net)?, costs.of(&trained)?);
    assert_eq!(costs.structure(&net)?, costs.finished(&trained)?.1);
    // Of smaller weights fewer: what is said of a structure is not what weights of other widths cost.
    assert!(costs.of(&with_weights(&net, 1, 0.4)?)?.total < costs.structure(&net)?.total);
    Ok(())
}

#[test]
fn merging_never_costs_more() -> Outcome<()> {
    for seed in 0..30 {
        let net = network(seed, 4)?;
        let blocks = blocks(&net);
        let dropped: Vec<bool> = (0..blocks.len()).map(|at| seed >> (at % 5) & 1 == 1).collect();
        let left = without(&net, &blocks, &dropped, Without::default())?;
        let mut costs = costs(Objective::Online);
        let (plain, finished) = (costs.of(&left)?, costs.finished(&left)?.1);
        assert!(finished.online <= plain.online, "{seed}: {plain:?} and {finished:?}");
    }
    Ok(())
}

#[test]
fn savings_of_real_networks_have_the_sign_of_what_happens() -> Outcome<()> {
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    let settings = Settings { truncation: Truncation::OneBit, ..Settings::new(Suite::Best, Reveal::Logits) };
    let mut costs = Costs::new(Setting::new(settings), Objective::Total);
    let (blocks, outline) = (blocks(&net), net.outline());
    let options = Without { narrow: true, ..Without::default() };
    let mut cost = |set: &[bool]| {
        let left = without(&outline, &blocks, set, options).expect("a set of blocks");
        costs.structure(&left).expect("a valid network").total
    };
    let none = vec![false; blocks.len()];
    let whole = cost(&none);
    let saved = copriv_train::select::savings(&none, &mut cost);
    for (at, saved) in saved.into_iter().enumerate() {
        let mut one = none.clone();
        one[at] = true;
        assert_eq!(saved, whole as i64 - cost(&one) as i64);
        assert!(saved > 0, "{}: {saved}", blocks[at].name);
    }
    Ok(())
}

#[test]
fn counts() -> Outcome<()> {
    let net = copriv_import::load("zoo:resnet20-cifar10")?;
    assert_eq!(relus(&net), 188_416);
    // 272,474 without convs' biases (He et al., option B: 0.27M), and 784 of those: 7 x 16, 7 x 32, 7 x 64.
    assert_eq!(parameters(&net), 272_474 + 7 * (16 + 32 + 64));
    Ok(())
}

#[test]
fn budgets() -> Outcome<()> {
    for (text, limit) in [
        ("40%", 400_000_000),
        ("7%", 70_000_000),
        ("100 %", 1_000_000_000),
        ("2GB", 2_000_000_000),
        ("25.5MB", 25_500_000),
        ("300kB", 300_000),
        ("300 KB", 300_000),
        ("12345", 12_345),
        ("17B", 17),
    ] {
        let budget: Budget = text.parse()?;
        assert_eq!(budget.limit(1_000_000_000), limit, "{text}");
        assert_eq!(budget.to_string().parse::<Budget>()?, budget, "{text}");
    }
    for text in ["40%", "7%", "2GB", "25.5MB", "300kB", "17B"] {
        assert_eq!(text.parse::<Budget>()?.to_string(), text);
    }
    for wrong in ["", "%", "0%", "101%", "-3MB", "2GiB", "2TB", "nanMB", "1.2.3MB", "0", "1e9", "99999999GB"]
    {
        let Err(error @ Error::Budget { .. }) = wrong.parse::<Budget>() else { panic!("{wrong:?}") };
        assert!(error.to_string().contains("25.5MB"), "{error}");
    }
    assert_eq!("online".parse::<Objective>()?, Objective::Online);
    assert!("both".parse::<Objective>().is_err());
    Ok(())
}

#[test]
fn weight_bits_are_checked() -> Outcome<()> {
    let net = network(1, 1)?;
    let setting = Setting::new(Settings::default());
    for weight_bits in [0, 42] {
        let mut costs = Costs::new(Setting { weight_bits, ..setting }, Objective::Total);
        assert!(matches!(costs.structure(&net), Err(Error::WeightBits { .. })));
    }
    Ok(())
}
