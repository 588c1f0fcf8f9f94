use super::show;
use crate::args::LinkArgs;
use crate::error::Error;
use crate::format::bytes;
use crate::party::Connected;
use crate::table::Column::{Number, Words};
use crate::table::Table;
use crate::{model, output};
use clap::Args;
use copriv_runner::{Store, Suite};
use serde_json::json;
use std::path::PathBuf;

/// Do ahead what an inference does not need its input for.
///
/// With a server that keeps a store too, makes the material of some inferences: shares of the products of its weights with
/// random masks, and oblivious transfers. Each entry is kept in both stores and serves exactly one inference (copriv infer
/// --store), which then is short. Both parties destroy an entry before they use it; one that was used twice would open the
/// inputs. So never copy a store, and never restore one from a copy.
///
/// An entry fits the server's network, weights and protocols at the time; after a change of any of them it is of no use.
/// --list shows, for each service that there are entries for, how many; a service goes by the first digits of a digest.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv serve zoo:digits --listen 127.0.0.1:7878 --store server.store\n  \
    copriv preprocess --server 127.0.0.1:7878 --store client.store --count 10\n  \
    copriv preprocess --store client.store --list")]
pub struct Preprocess {
    /// The server.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "list")]
    server: Option<String>,
    /// The store; it is made where it is not there.
    #[arg(long, value_name = "FILE")]
    store: PathBuf,
    /// How many inferences to prepare.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Say what the store holds, and do nothing.
    #[arg(long, conflicts_with_all = ["server", "count"])]
    list: bool,
    /// Insist on these protocols; otherwise the server's are taken.
    #[arg(long, value_name = "NAME")]
    suite: Option<Suite>,
    #[command(flatten)]
    link: LinkArgs,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Preprocess {
    pub fn run(self) -> Result<(), Error> {
        if self.list {
            // To look makes no store.
            model::check_file(&self.store)?;
        }
        let store = Store::open(&self.store)?;
        let Some(server) = self.server.as_ref().filter(|_| !self.list) else { return self.list(&store) };
        let mut connected = Connected::open(server, self.suite, self.link.remote())?;
        let mut entries = Vec::new();
        for number in 1..=self.count {
            let (plan, report) =
                connected.preprocess(&store, &format!("entry {number} of {}", self.count))?;
            let as_planned = plan.differences(&report).is_empty();
            if self.json {
                entries.push(json!({ "plan": plan, "measured": report, "as_planned": as_planned }));
            } else {
                let cost = show::summary(&report);
                let verdict = if as_planned { "as planned" } else { "NOT as planned" };
                output::line(format_args!("entry {number}: {cost}, {verdict}"))?;
            }
        }
        if self.json {
            return output::json(&json!({ "entries": entries }));
        }
        let entries = if self.count == 1 { "entry" } else { "entries" };
        output::line(format_args!("{} new {entries} in {}", self.count, self.store.display()))
    }

    fn list(&self, store: &Store) -> Result<(), Error> {
        let summary = store.summary()?;
        let name = |label: &[u8]| label.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
        if self.json {
            let kinds = summary.iter().map(
                |kind| json!({ "label": name(&kind.label), "entries": kind.entries, "bytes": kind.bytes }),
            );
            return output::json(&json!({ "store": kinds.collect::<Vec<_>>() }));
        }
        let mut table = Table::new(&[Words("for the service"), Number("entries"), Number("size")]);
        for kind in &summary {
            table.row([name(&kind.label), kind.entries.to_string(), bytes(kind.bytes)]);
        }
        if summary.is_empty() { output::line("the store is empty") } else { output::line(table) }
    }
}
