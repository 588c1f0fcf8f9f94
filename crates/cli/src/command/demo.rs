use super::{run, show};
use crate::args::{LinkArgs, ModelArgs, Network, ProtocolArgs};
use crate::error::Error;
use crate::format::{bytes, plural, seconds};
use crate::party::{Inference, Pair, PeakMemory};
use crate::verdict::{Verdict, inexact};
use crate::{model, output};
use clap::Args;
use copriv_import::picture::{self, Ink};
use copriv_import::zoo;
use copriv_ir::{Architecture, Graph, Lowered};
use copriv_ring::RingVec;
use copriv_runner::{Output, Plan, Report, Reveal, Settings, Source, planner};
use serde::Serialize;
use std::io::{self, IsTerminal};

/// A handwritten digit, recognised in private.
///
/// Two processes on this machine: this one, the client, has pictures of digits that the network was not trained on; the
/// other, the server, has the trained network. They share nothing but a TCP connection. Shown are the picture, the
/// private prediction beside the one in the clear, and for each layer what the parties sent, measured and compared with
/// the plan. The private result must equal the one in the clear bit for bit (with --truncation one-bit or
/// --relu-drop-bits, within what these may cause); if not, the exit code is 1.
///
/// Secret: the picture and the prediction (from the server), the weights (from the client). Public: the layers, their
/// shapes and the bit widths.
///
/// Each inference has two phases: what is done before the picture is there (preprocessing), and what is done with it
/// (online), for which somebody waits. Here the one follows the other at once; copriv preprocess does the first ahead.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    copriv demo\n  \
    copriv demo --images 20 --reveal label\n  \
    copriv demo --suite cryptflow2\n  \
    copriv demo --images 100 --truncation one-bit\n  \
    copriv demo --network wan\n  \
    copriv demo --images 3 --start 40 --json")]
pub struct Demo {
    /// How many pictures, one after the other in one session.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    images: u64,
    /// The first picture's number among those held out.
    #[arg(long, value_name = "K", default_value_t = 0)]
    start: u64,
    #[command(flatten)]
    protocol: ProtocolArgs,
    #[command(flatten)]
    link: LinkArgs,
    /// Print the plan and what was counted as JSON.
    #[arg(long)]
    json: bool,
}

/// One picture, and what each way of evaluation says about it.
struct Case {
    number: u64,
    picture: Vec<f32>,
    truth: usize,
    input: RingVec,
    done: Inference,
}

/// The evaluations in the clear, and how the private one compares.
struct Clear {
    private: Option<usize>,
    fixed: Option<usize>,
    float: Option<usize>,
    verdict: Verdict,
    /// The largest difference of a logit from float; unknown when only the label is revealed.
    from_float: Option<f64>,
}

/// Counts over all pictures.
#[derive(Default)]
struct Score {
    labels_agree: u64,
    bit_exact: u64,
    correct: u64,
    preprocessing: f64,
    online: f64,
    seconds: f64,
}

/// The plan's keys, what was counted for the first picture, and counts over all.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    measured: &'a Report,
    reveal: Reveal,
    network: Network,
    images: u64,
    labels_agree: u64,
    bit_exact: u64,
    as_planned: u64,
    correct: u64,
    seconds_per_image: f64,
    preprocessing_seconds_per_image: f64,
    online_seconds_per_image: f64,
    phases: run::Phases,
    peak_memory_bytes: PeakMemory,
}

fn as_planned(cases: &[Case]) -> u64 {
    cases.iter().filter(|case| case.done.differences.is_empty()).count() as u64
}

impl Demo {
    pub fn run(self) -> Result<(), Error> {
        let args = ModelArgs::named("zoo:digits");
        let pictures = self.pictures()?;
        let mut pair = Pair::start(&args, self.protocol, self.link.local())?;
        let server = pair.server.id();
        let architecture = pair.client.offer().architecture.clone();
        let mut cases = Vec::new();
        for (number, picture, truth) in pictures {
            let input = model::encode(&architecture, &picture)?;
            let mut done = pair.client.infer(&input, Source::OnTheFly, &format!("picture {number}"))?;
            done.plan.model.clone_from(&args.model);
            cases.push(Case { number, picture, truth, input, done });
        }
        let memory = pair.finish()?;

        // Only now does this process see the network.
        let (graph, lowered) = model::load(&args, self.protocol.fixed)?;
        let settings = self.protocol.settings();
        let lowered = planner::prepare(&lowered, &settings)?;
        let mut score = Score::default();
        let mut told = Vec::new();
        for case in &cases {
            let clear = Clear::of(case, &settings, &graph, &lowered)?;
            score.add(case, &clear);
            told.push(clear);
        }
        if self.json {
            self.print_json(&cases, &score, memory)?;
        } else {
            self.introduce(server, &architecture)?;
            self.print(&cases, &told)?;
            self.conclude(&cases, &score, memory)?;
        }
        told.iter().zip(&cases).try_for_each(|(clear, case)| clear.verdict.check(&case.done))
    }

    fn pictures(&self) -> Result<Vec<(u64, Vec<f32>, usize)>, Error> {
        let (pictures, labels) = zoo::digits_heldout()?;
        let there = pictures.len() as u64;
        if self.start.saturating_add(self.images) > there {
            return Err(Error::other(format!(
                "there are {there} pictures, so --start plus --images is at most {there}"
            )));
        }
        let all = (0..there).zip(pictures).zip(labels).map(|((n, picture), label)| (n, picture, label));
        Ok(all.skip(self.start as usize).take(self.images as usize).collect())
    }

    fn introduce(&self, server: u32, architecture: &Architecture) -> Result<(), Error> {
        let ProtocolArgs { suite, reveal, .. } = self.protocol;
        output::line(format_args!(
            "P0, the server: process {server}, has the trained network zoo:digits, learns nothing of the picture\n\
             P1, the client: process {}, has the picture, learns the {reveal} and nothing else\n\
             link: {}; suite: {suite}, {} bits, {} of them fraction{}\n",
            std::process::id(),
            self.link.network,
            architecture.width,
            architecture.frac_bits,
            inexact(&self.protocol.settings()).map_or(String::new(), |inexact| format!("; {inexact}")),
        ))
    }

    fn print(&self, cases: &[Case], told: &[Clear]) -> Result<(), Error> {
        let Some((case, clear)) = cases.iter().zip(told).next() else { return Ok(()) };
        let shape = copriv_ir::Shape::new(1, 28, 28);
        output::line(picture::render(&case.picture, shape, ink()))?;
        let name = |label: Option<usize>| label.map_or("none".into(), |label| label.to_string());
        let distance = |distance: Option<String>| {
            distance.map_or(String::new(), |distance| format!("largest difference of a logit: {distance}"))
        };
        let exact = distance(clear.verdict.largest_difference.map(|fixed| fixed.to_string()));
        let near = distance(clear.from_float.map(|float| format!("{float:.5}")));
        output::line(format_args!(
            "picture {} of those held out\n  \
               private prediction        {}\n  \
               in the clear, fixed point {}   {exact}\n  \
               in the clear, float       {}   {near}\n  \
               what it is                {}\n",
            case.number,
            name(clear.private),
            name(clear.fixed),
            name(clear.float),
            case.truth
        ))?;
        output::line(show::inference(&case.done))?;
        for (case, clear) in cases.iter().zip(told).skip(1) {
            let report = &case.done.report;
            output::line(format_args!(
                "picture {}: private {}, in the clear {} and {}, what it is {}; {}",
                case.number,
                name(clear.private),
                name(clear.fixed),
                name(clear.float),
                case.truth,
                show::summary(report)
            ))?;
        }
        Ok(())
    }

    fn conclude(&self, cases: &[Case], score: &Score, memory: PeakMemory) -> Result<(), Error> {
        let n = self.images;
        let planned = as_planned(cases);
        let wire: u64 = cases.iter().map(|case| show::both(&case.done.report.total).bytes()).sum();
        output::line(format_args!(
            "\n{}: label as in the clear {}/{n}, equal bit for bit {}/{n}, as planned {planned}/{n}, right {}/{n}",
            plural(n, "picture"),
            score.labels_agree,
            score.bit_exact,
            score.correct
        ))?;
        let mean = |sum: f64| seconds(sum / n as f64);
        let phases = match self.protocol.settings().preprocesses() {
            true => {
                format!(": {} before the input, {} online", mean(score.preprocessing), mean(score.online))
            }
            false => String::new(),
        };
        output::line(format_args!(
            "{} over the wire, {} a picture, set-up included{phases}",
            bytes(wire),
            mean(score.seconds)
        ))?;
        if let (Some(server), Some(client)) = (memory.server, memory.client) {
            let (server, client) = (bytes(server), bytes(client));
            output::line(format_args!("at most {server} of memory at the server, {client} at the client"))?;
        }
        Ok(())
    }

    fn print_json(&self, cases: &[Case], score: &Score, memory: PeakMemory) -> Result<(), Error> {
        let Some(first) = cases.first() else { return Ok(()) };
        output::json(&Json {
            plan: &first.done.plan,
            measured: &first.done.report,
            reveal: self.protocol.reveal,
            network: self.link.network,
            images: self.images,
            labels_agree: score.labels_agree,
            bit_exact: score.bit_exact,
            as_planned: as_planned(cases),
            correct: score.correct,
            seconds_per_image: score.seconds / self.images as f64,
            preprocessing_seconds_per_image: score.preprocessing / self.images as f64,
            online_seconds_per_image: score.online / self.images as f64,
            phases: run::Phases::of(&first.done.report),
            peak_memory_bytes: memory,
        })
    }
}

impl Clear {
    fn of(case: &Case, settings: &Settings, graph: &Graph, lowered: &Lowered) -> Result<Self, Error> {
        let fixed = copriv_plain::evaluate_output(lowered, &case.input)?;
        let float = copriv_plain::float::evaluate(graph, &case.picture)?;
        let label = copriv_plain::argmax(&fixed);
        let architecture = &lowered.architecture;
        let verdict = Verdict::new(settings, lowered, &case.done.output, &fixed)?;
        let from_float = match &case.done.output {
            Output::Label(_) => None,
            Output::Logits(private) => {
                let logits = model::decode(architecture, private);
                Some(model::distance(&logits, float.iter().map(|&x| x.into())))
            }
        };
        let (private, float) = (case.done.output.label(), model::argmax(&float));
        Ok(Self { private, fixed: label, float, verdict, from_float })
    }
}

impl Score {
    fn add(&mut self, case: &Case, clear: &Clear) {
        self.labels_agree += u64::from(clear.private == clear.fixed);
        self.bit_exact += u64::from(clear.verdict.bit_exact);
        self.correct += u64::from(clear.private == Some(case.truth));
        self.preprocessing += case.done.report.preprocessing_seconds;
        self.online += case.done.report.online_seconds;
        self.seconds += case.done.report.seconds;
    }
}

/// What the terminal can show.
fn ink() -> Ink {
    let says = |name: &str, words: &[&str]| {
        std::env::var(name).is_ok_and(|value| words.iter().any(|word| value.contains(word)))
    };
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        Ink::Plain
    } else if says("COLORTERM", &["truecolor", "24bit"]) {
        Ink::TrueColour
    } else if says("TERM", &["256color"]) {
        Ink::Colours256
    } else {
        Ink::Plain
    }
}
