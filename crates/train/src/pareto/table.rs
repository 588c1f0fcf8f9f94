//! The numbers behind the figure: for people as Markdown, for programs as JSON.

use super::{Comparison, Group, Phase, compare};
use crate::figure::{bytes, count, percent};
use serde::Serialize;

/// A group beside the original network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The group.
    #[serde(flatten)]
    pub group: Group,
    /// Its bytes of both phases over those of the original, if there is one.
    pub total_over_original: Option<f64>,
    /// Its online bytes over those of the original, if there is one.
    pub online_over_original: Option<f64>,
}

/// All there is to say about groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// One for each group.
    pub rows: Vec<Row>,
    /// Methods against each other, both phases, then the online phase.
    pub comparisons: Vec<Comparison>,
}

/// The report on `groups`, as they come from [`super::groups`].
pub fn report(groups: &[Group]) -> Report {
    let row = |group: &Group| {
        let is_it = |g: &&Group| g.is_original() && (&g.network, &g.data) == (&group.network, &group.data);
        let original = groups.iter().find(is_it);
        let over = |phase| original.map(|o| group.bytes(phase).median / o.bytes(phase).median);
        Row {
            group: group.clone(),
            total_over_original: over(Phase::Total),
            online_over_original: over(Phase::Online),
        }
    };
    let comparisons =
        [Phase::Total, Phase::Online].iter().flat_map(|&phase| compare(groups, phase)).collect();
    Report { rows: groups.iter().map(row).collect(), comparisons }
}

/// The report on `groups` as Markdown: a row for each group, and a row for each two methods that can be compared.
pub fn table(groups: &[Group]) -> String {
    let Report { rows, comparisons } = report(groups);
    let titles = "network|data|method|budget|seeds>|accuracy % [min, max]>|total>|online>|ReLUs left>|\
                  total of original>|online of original>";
    let cells = |Row { group: g, total_over_original, online_over_original }: &Row| {
        let part =
            |part: &Option<f64>| part.map_or("–".to_owned(), |part| format!("{:.1} %", part * 100.0));
        let [middle, min, max] = [g.accuracy.median, g.accuracy.min, g.accuracy.max].map(percent);
        let accuracy = if g.seeds.len() > 1 { format!("{middle} [{min}, {max}]") } else { middle };
        let names = [&g.network, &g.data, &g.method, &g.budget].map(|name| name.replace('|', "\\|"));
        let [total, online] = [g.bytes_total.median, g.bytes_online.median].map(bytes);
        let numbers = [g.seeds.len().to_string(), accuracy, total, online, count(g.relus)];
        let parts = [part(total_over_original), part(online_over_original)];
        names.into_iter().chain(numbers).chain(parts).collect()
    };
    let mut text = markdown(titles, rows.iter().map(cells).collect());
    if !comparisons.is_empty() {
        let titles = "network|data|phase|method|over|bytes at equal accuracy>|from accuracy %>|\
                      accuracy at equal bytes, points>|from bytes>";
        text += "\n";
        text += &markdown(titles, comparisons.iter().map(comparison).collect());
    }
    text
}

fn comparison(c: &Comparison) -> Vec<String> {
    let range = |values: &mut dyn Iterator<Item = f64>, show: fn(f64) -> String| {
        let values: Vec<f64> = values.collect();
        let least = values.iter().copied().reduce(f64::min).map(show);
        let most = values.iter().copied().reduce(f64::max).map(show);
        match (least, most) {
            (Some(least), Some(most)) if least == most => least,
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "–".to_owned(),
        }
    };
    let phase = if c.phase == Phase::Total { "total" } else { "online" };
    let names = [&c.network, &c.data, phase, &c.method, &c.other].map(|name| name.replace('|', "\\|"));
    let (ratio, difference) = (&c.bytes_ratio, &c.accuracy_difference);
    let numbers = [
        range(&mut ratio.iter().map(|r| r.1), |ratio| format!("{ratio:.2} ×")),
        range(&mut ratio.iter().map(|r| r.0), percent),
        range(&mut difference.iter().map(|d| d.1), |part| format!("{:+.2}", part * 100.0)),
        range(&mut difference.iter().map(|d| d.0), bytes),
    ];
    names.into_iter().chain(numbers).collect()
}

/// A table of Markdown, also for people who see it as text; `>` ends the title of a column of numbers.
fn markdown(titles: &str, rows: Vec<Vec<String>>) -> String {
    let titles: Vec<_> =
        titles.split('|').map(|title| (title.trim_end_matches('>'), title.ends_with('>'))).collect();
    let letters = |text: &str| text.chars().count();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| letters(&row[column]));
        cells.chain([letters(titles[column].0), 3]).max().unwrap_or(3)
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells = (0..titles.len()).map(|column| match titles[column].1 {
            true => format!(" {:>w$} |", cell(column), w = widths[column]),
            false => format!(" {:<w$} |", cell(column), w = widths[column]),
        });
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = |column: usize| match titles[column].1 {
        true => "-".repeat(widths[column] - 1) + ":",
        false => "-".repeat(widths[column]),
    };
    let head = line(&|column| titles[column].0.to_owned()) + &line(&rule);
    head + &rows.iter().map(|row| line(&|column| row[column].clone())).collect::<String>()
}
