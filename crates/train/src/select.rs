//! Which blocks to drop under a budget.
//!
//! What a set of blocks saves is not the sum of what each saves, as the layers between dropped activations merge; so
//! sets are costed as they are. How much dropping hurts is taken to add up. A set is a list with `true` for each block that is
//! dropped. Everything is deterministic; a `cost` must be a function of the set, need not be monotone, and may say `u64::MAX` for a set
//! that cannot be.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Blocks up to which [`choose`] looks at every set.
pub const EXHAUSTIVE: usize = 10;

/// A set of blocks to drop.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// For each block whether it is dropped.
    pub dropped: Vec<bool>,
    /// The sensitivities of those dropped, added up.
    pub sensitivity: f64,
    /// Bytes of what is left.
    pub cost: u64,
}

/// The set of least sensitivity that costs at most `budget`, the cheaper of several; found by looking at all sets of up to
/// [`EXHAUSTIVE`] blocks, otherwise by [`search`]. `sensitivity` says of each block how much dropping it hurts, in any
/// unit and with any sign. `None` where no set within the budget was found.
///
/// ```
/// use copriv_train::select::choose;
/// // Each block costs 10, but between two that are dropped another 5 are saved.
/// let cost = |set: &[bool]| {
///     let alone = set.iter().filter(|dropped| !**dropped).count() as u64 * 10;
///     20 + alone - set.windows(2).filter(|pair| pair[0] && pair[1]).count() as u64 * 5
/// };
/// let choice = choose(&[0.4, 0.3, 0.3, 0.1], 20, &mut { cost }).unwrap();
/// assert_eq!(choice.dropped, [false, true, true, true]);
/// ```
pub fn choose(sensitivity: &[f64], budget: u64, cost: &mut dyn FnMut(&[bool]) -> u64) -> Option<Choice> {
    if sensitivity.len() <= EXHAUSTIVE {
        exhaustive(sensitivity, budget, cost)
    } else {
        search(sensitivity, budget, cost)
    }
}

/// [`choose`] by looking at every set: 2^n of them.
///
/// # Panics
/// From 32 blocks on.
pub fn exhaustive(sensitivity: &[f64], budget: u64, cost: &mut dyn FnMut(&[bool]) -> u64) -> Option<Choice> {
    let n = sensitivity.len();
    assert!(n < 32, "every set of {n} blocks is too much");
    let mut sets = Sets::new(sensitivity, budget, cost);
    let all = (0..1u32 << n).map(|bits| (0..n).map(|i| bits >> i & 1 == 1).collect::<Vec<_>>());
    let mut best: Option<Choice> = None;
    for set in all {
        let sum = sets.sum(&set);
        if best.as_ref().is_none_or(|best| sum <= best.sensitivity) {
            let choice = sets.choice(set);
            if best.as_ref().is_none_or(|best| sets.compare(&choice, best).is_lt()) {
                best = Some(choice);
            }
        }
        best = best.filter(|best| best.cost <= budget);
    }
    best
}

/// [`choose`] by local search from several greedy sets: single blocks, pairs and runs of neighbours are dropped and taken back as long as
/// that helps, and the best is disturbed and searched again some times. Not always the best set; it finds one within the budget where
/// dropping everything, or the blocks that do not hurt, is one.
pub fn search(sensitivity: &[f64], budget: u64, cost: &mut dyn FnMut(&[bool]) -> u64) -> Option<Choice> {
    let n = sensitivity.len();
    let mut sets = Sets::new(sensitivity, budget, cost);
    let mut best: Option<Choice> = None;
    let better = |sets: &Sets<'_>, found: Choice, best: &mut Option<Choice>| {
        if best.as_ref().is_none_or(|best| sets.compare(&found, best).is_lt()) {
            *best = Some(found);
        }
    };
    for start in sets.starts() {
        let found = sets.descend(start);
        better(&sets, found, &mut best);
    }
    // Iterated local search (Lourenço, Martin, Stützle 2003): a few blocks are toggled at random.
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for kick in 0..2 * n {
        let mut set = best.as_ref()?.dropped.clone();
        for _ in 0..2 + kick % 4 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let at = (random >> 33) as usize % n;
            set[at] = !set[at];
        }
        let found = sets.descend(set);
        better(&sets, found, &mut best);
    }
    best.filter(|best| best.cost <= budget)
}

/// For each block what dropping it saves when the others are as in `dropped`, in bytes: positive where without it less is sent.
pub fn savings(dropped: &[bool], cost: &mut dyn FnMut(&[bool]) -> u64) -> Vec<i64> {
    let mut set = dropped.to_vec();
    let mut saved = Vec::with_capacity(set.len());
    let now = if set.is_empty() { 0 } else { cost(&set) };
    for at in 0..set.len() {
        set[at] = !set[at];
        let other = cost(&set);
        set[at] = !set[at];
        let (kept, without) = if set[at] { (other, now) } else { (now, other) };
        let difference = i128::from(kept) - i128::from(without);
        saved.push(difference.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
    }
    saved
}

/// The baseline that counts blocks (Fu et al., DepthShrinker, ICML 2022): they are dropped in the order of their sensitivity, whatever
/// they save, until the budget holds. `None` where it never does.
pub fn by_count(sensitivity: &[f64], budget: u64, cost: &mut dyn FnMut(&[bool]) -> u64) -> Option<Choice> {
    in_order(sensitivity, sensitivity, budget, cost)
}

/// The baseline that counts ReLUs: blocks are dropped in the order of their sensitivity for each of their `elements`, so the one with
/// the most elements first where all are as sensitive, until the budget holds. `None` where it never does.
///
/// # Panics
/// When there is not one number of elements for each block.
pub fn greedy_relus(
    elements: &[usize],
    sensitivity: &[f64],
    budget: u64,
    cost: &mut dyn FnMut(&[bool]) -> u64,
) -> Option<Choice> {
    assert_eq!(elements.len(), sensitivity.len(), "one number of elements for each block");
    let each = sensitivity.iter().zip(elements).map(|(&hurt, &n)| per(hurt, n as f64));
    in_order(&each.collect::<Vec<_>>(), sensitivity, budget, cost)
}

fn in_order(
    order: &[f64],
    sensitivity: &[f64],
    budget: u64,
    cost: &mut dyn FnMut(&[bool]) -> u64,
) -> Option<Choice> {
    let mut sets = Sets::new(sensitivity, budget, cost);
    let mut choice = sets.choice(vec![false; order.len()]);
    for at in sorted(order) {
        if choice.cost <= budget {
            break;
        }
        choice.dropped[at] = true;
        choice = sets.choice(choice.dropped);
    }
    Some(choice).filter(|choice| choice.cost <= budget)
}

/// The hurt for each unit of a gain: the order of most gain for least hurt, also where the hurt is negative.
fn per(hurt: f64, gain: f64) -> f64 {
    if hurt < 0.0 { hurt * gain.max(1.0) } else { hurt / gain.max(1e-9) }
}

/// The places of `values`, the smallest first.
fn sorted(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

/// Sets and what is known of them.
struct Sets<'a> {
    sensitivity: &'a [f64],
    budget: u64,
    cost: &'a mut dyn FnMut(&[bool]) -> u64,
    known: HashMap<Vec<bool>, u64>,
}

impl<'a> Sets<'a> {
    fn new(sensitivity: &'a [f64], budget: u64, cost: &'a mut dyn FnMut(&[bool]) -> u64) -> Self {
        Self { sensitivity, budget, cost, known: HashMap::new() }
    }

    fn cost(&mut self, set: &[bool]) -> u64 {
        if let Some(&cost) = self.known.get(set) {
            return cost;
        }
        let cost = (self.cost)(set);
        self.known.insert(set.to_vec(), cost);
        cost
    }

    fn sum(&self, set: &[bool]) -> f64 {
        set.iter().zip(self.sensitivity).filter(|(dropped, _)| **dropped).map(|(_, hurt)| hurt).sum()
    }

    fn choice(&mut self, dropped: Vec<bool>) -> Choice {
        Choice { sensitivity: self.sum(&dropped), cost: self.cost(&dropped), dropped }
    }

    fn excess(&self, choice: &Choice) -> u64 {
        choice.cost.saturating_sub(self.budget)
    }

    /// The better is less: nearer to the budget, then of less sensitivity, then cheaper, then earlier in the alphabet.
    fn compare(&self, a: &Choice, b: &Choice) -> Ordering {
        let excess = self.excess(a).cmp(&self.excess(b));
        let hurt = excess.then(a.sensitivity.total_cmp(&b.sensitivity));
        hurt.then(a.cost.cmp(&b.cost)).then_with(|| a.dropped.cmp(&b.dropped))
    }

    /// Sets to search from: nothing and everything that does not hurt; as much more as the budget needs, by
    /// what is saved for the hurt; everything, with as much taken back as the budget allows, by the hurt and by the hurt for what it
    /// costs.
    fn starts(&mut self) -> Vec<Vec<bool>> {
        let n = self.sensitivity.len();
        let free: Vec<bool> = self.sensitivity.iter().map(|&hurt| hurt <= 0.0).collect();
        let mut starts = vec![free.clone()];
        let mut set = free;
        while self.cost(&set) > self.budget && set.contains(&false) {
            let saved = savings(&set, &mut |set| self.cost(set));
            let ratio = |&at: &usize| {
                if saved[at] <= 0 { f64::INFINITY } else { per(self.sensitivity[at], saved[at] as f64) }
            };
            let kept = (0..n).filter(|&at| !set[at]);
            let Some(next) = kept.min_by(|a, b| ratio(a).total_cmp(&ratio(b))) else { break };
            set[next] = true;
        }
        starts.push(set);
        let all = vec![true; n];
        let alone = savings(&all, &mut |set| self.cost(set));
        let dear: Vec<f64> = (0..n).map(|at| -per(self.sensitivity[at], alone[at].max(0) as f64)).collect();
        let hurts: Vec<f64> = self.sensitivity.iter().map(|hurt| -hurt).collect();
        for order in [dear, hurts] {
            let mut set = all.clone();
            for at in sorted(&order) {
                if self.sensitivity[at] > 0.0 {
                    set[at] = false;
                    set[at] = self.cost(&set) > self.budget;
                }
            }
            starts.push(set);
        }
        starts.push(all);
        starts
    }

    /// The best that single steps lead to.
    fn descend(&mut self, start: Vec<bool>) -> Choice {
        let mut now = self.choice(start);
        loop {
            let Some(next) = self.step(&now) else { return now };
            now = next;
        }
    }

    /// The best set one toggle away that is better, or else one that another pair or run makes.
    fn step(&mut self, now: &Choice) -> Option<Choice> {
        let n = now.dropped.len();
        let mut best: Option<Choice> = None;
        for at in 0..n {
            self.consider(now, &[at], &mut best);
        }
        if best.is_some() {
            return best;
        }
        for a in 0..n {
            for b in 0..a {
                self.consider(now, &[b, a], &mut best);
            }
        }
        for length in 3..=5.min(n) {
            for start in 0..=n - length {
                for drop in [false, true] {
                    let run = start..start + length;
                    let toggled: Vec<usize> = run.filter(|&at| now.dropped[at] != drop).collect();
                    self.consider(now, &toggled, &mut best);
                }
            }
        }
        best
    }

    /// Takes the set with some blocks toggled where it is better than what there is.
    fn consider(&mut self, now: &Choice, toggled: &[usize], best: &mut Option<Choice>) {
        let mut dropped = now.dropped.clone();
        toggled.iter().for_each(|&at| dropped[at] = !dropped[at]);
        let than = best.as_ref().unwrap_or(now);
        // What is within the budget is not left for more hurt: no need to ask for the cost.
        if self.excess(than) == 0 && self.sum(&dropped) > than.sensitivity {
            return;
        }
        let found = self.choice(dropped);
        if self.compare(&found, than).is_lt() {
            *best = Some(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A network of blocks with costs of their own, some negative savings, and what neighbours save together.
    fn model(kept: &[u16], dropped: &[u16], pairs: &[i16], set: &[bool]) -> u64 {
        let mut cost = 100_000i64;
        for (at, &gone) in set.iter().enumerate() {
            cost += i64::from(if gone { dropped[at] / 3 } else { kept[at] });
            if at > 0 && gone && set[at - 1] {
                cost -= i64::from(pairs[at]);
            }
        }
        cost.max(0) as u64
    }

    fn numbers(seed: u64, n: usize) -> Vec<u64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state >> 33
        };
        (0..n).map(|_| next()).collect()
    }

    /// Sensitivities, a cost function and a budget between the least and the most.
    fn case(seed: u64, n: usize) -> (Vec<f64>, impl Fn(&[bool]) -> u64, u64) {
        let all = numbers(seed, 4 * n + 1);
        let hurt = all[..n].iter().map(|&x| (x % 1000) as f64 / 100.0 - 1.0).collect();
        let words =
            |from: usize| all[from..from + n].iter().map(|&x| (x % 10_000) as u16).collect::<Vec<_>>();
        let (kept, dropped) = (words(n), words(2 * n));
        let pairs: Vec<i16> = all[3 * n..4 * n].iter().map(|&x| (x % 6000) as i16 - 1500).collect();
        let whole = model(&kept, &dropped, &pairs, &vec![false; n]);
        let budget = whole * (70 + all[4 * n] % 30) / 100;
        (hurt, move |set: &[bool]| model(&kept, &dropped, &pairs, set), budget)
    }

    proptest! {
        #[test]
        fn search_is_near_the_best(seed: u64, n in 1..12usize) {
            let (hurt, cost, budget) = case(seed, n);
            let best = exhaustive(&hurt, budget, &mut |set| cost(set));
            let found = search(&hurt, budget, &mut |set| cost(set));
            prop_assert_eq!(best.is_some(), found.is_some());
            if let (Some(best), Some(found)) = (best, found) {
                prop_assert!(found.cost <= budget && found.cost == cost(&found.dropped));
                prop_assert!(best.sensitivity <= found.sensitivity + 1e-9);
                let range: f64 = hurt.iter().map(|h| h.abs()).sum();
                prop_assert!(found.sensitivity <= best.sensitivity + 0.1 * range);
            }
        }

        #[test]
        fn savings_say_what_toggling_does(seed: u64, n in 1..12usize, bits: u16) {
            let (_, cost, _) = case(seed, n);
            let set: Vec<bool> = (0..n).map(|i| bits >> i & 1 == 1).collect();
            for (at, saved) in savings(&set, &mut |set| cost(set)).into_iter().enumerate() {
                let [with, without] = [false, true].map(|gone| {
                    let mut set = set.clone();
                    set[at] = gone;
                    cost(&set)
                });
                prop_assert_eq!(saved > 0, without < with);
                prop_assert_eq!(saved, with as i64 - without as i64);
            }
        }

        #[test]
        fn baselines_keep_the_budget(seed: u64, n in 1..12usize) {
            let (hurt, cost, budget) = case(seed, n);
            let elements: Vec<usize> = numbers(!seed, n).iter().map(|&x| x as usize % 5000).collect();
            let best = exhaustive(&hurt, budget, &mut |set| cost(set));
            for found in [
                by_count(&hurt, budget, &mut |set| cost(set)),
                greedy_relus(&elements, &hurt, budget, &mut |set| cost(set)),
            ].into_iter().flatten() {
                prop_assert!(found.cost <= budget);
                prop_assert!(best.as_ref().is_some_and(|best| best.sensitivity <= found.sensitivity + 1e-9));
            }
        }
    }

    #[test]
    fn search_is_mostly_the_best() {
        let mut equal = 0;
        let cases = 400;
        for seed in 0..cases {
            let (hurt, cost, budget) = case(seed, 12);
            let best = exhaustive(&hurt, budget, &mut |set| cost(set));
            let found = search(&hurt, budget, &mut |set| cost(set));
            equal += u64::from(best == found);
        }
        assert!(equal * 100 >= cases * 97, "{equal} of {cases}");
    }

    #[test]
    fn baselines_go_by_their_order() {
        let cost = |set: &[bool]| set.iter().filter(|gone| !**gone).count() as u64;
        let count = by_count(&[3.0, 1.0, 2.0], 1, &mut { cost });
        assert_eq!(count.map(|c| c.dropped), Some(vec![false, true, true]));
        let most = greedy_relus(&[10, 30, 20], &[1.0; 3], 2, &mut { cost });
        assert_eq!(most.map(|c| c.dropped), Some(vec![false, true, false]));
        assert_eq!(by_count(&[1.0], 0, &mut |_| 1), None);
        assert_eq!(choose(&[], 1, &mut |_| 1).map(|c| c.cost), Some(1));
    }
}
