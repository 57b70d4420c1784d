//! What `weft up` says on the terminal: where it listens, what was applied, how far the replays are.
//!
//! On a terminal every source has a progress bar; elsewhere there is a line when something changes, and no more than one
//! per source every few seconds.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use weft_catalog::Plan;
use weft_catalog::plan::{Change, TopicChange};
use weft_connect::{SourceState, SourceStatus};
use weft_model::kind::Diagnostics;
use weft_model::mesh::Mesh;
use weft_model::name::ProductId;

use crate::doors::Running;
use crate::edits::Word;
use crate::report;
use crate::status::{group, plural, source_state};

/// The terminal.
pub(crate) struct Console {
    started: Instant,
    bars: Option<MultiProgress>,
    seen: Mutex<Seen>,
}

/// What was said last about each product.
#[derive(Default)]
struct Seen {
    bars: BTreeMap<ProductId, ProgressBar>,
    sources: BTreeMap<ProductId, (String, Instant)>,
    engine: BTreeMap<ProductId, String>,
    complete: bool,
}

impl Console {
    /// How often progress is looked at.
    pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
    /// Without a terminal, the least time between two lines about the same source in the same state.
    const QUIET: Duration = Duration::from_secs(5);

    /// Standard output, with bars if standard error is a terminal.
    pub(crate) fn new(started: Instant) -> Self {
        let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { started, bars, seen: Mutex::default() }
    }

    /// Where everything listens. Scripts read these lines: `kafka   HOST:PORT`, `http    URL`.
    pub(crate) fn listening(&self, mesh: &Mesh, kafka: &str, http: SocketAddr, by_tls: bool, data: &Path) {
        let (domains, products) = (plural(mesh.domains.len(), "domain"), plural(mesh.products.len(), "product"));
        println!("mesh    {} · {domains}, {products}", mesh.id);
        println!("kafka   {kafka}");
        println!("http    {}://{http}", if by_tls { "https" } else { "http" });
        println!("data    {}", data.display());
    }

    /// That callers must show a key, and where the operator's own lies.
    pub(crate) fn guarded(&self, own_key: &Path, is_own_log: bool) {
        println!("access  on · the operator's key: {}", own_key.display());
        if !is_own_log {
            println!("        {}", crate::access_cmd::NATIVE_IS_OUTSIDE);
        }
    }

    /// One line.
    pub(crate) fn say(&self, line: &str) {
        let line = format!("{:>7.1}s {line}", self.started.elapsed().as_secs_f64());
        match &self.bars {
            Some(bars) => bars.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    /// What an apply changed.
    pub(crate) fn applied(&self, plan: &Plan, revision: u64) {
        self.say(&format!("applied revision {revision}: {}", summary(plan)));
    }

    /// An edit that was not applied, and what runs on.
    pub(crate) fn refused(&self, findings: &Diagnostics, revision: u64, word: &Word) {
        match word {
            Word::Findings => {
                self.findings(findings);
                self.say(&format!("not applied; revision {revision} runs on"));
            }
            Word::Still => self.say(&format!("still not applied, for the same reason; revision {revision} runs on")),
            Word::Nothing => {}
        }
    }

    /// Errors, on standard error.
    pub(crate) fn findings(&self, findings: &Diagnostics) {
        match &self.bars {
            Some(bars) => bars.suspend(|| report::print(findings)),
            None => report::print(findings),
        }
    }

    /// How far things are.
    pub(crate) fn progress(&self, running: &Running) {
        for handle in running.sources.values() {
            let status = handle.status();
            match &self.bars {
                Some(bars) => self.bar(bars, &status),
                None => self.line(&status),
            }
        }
        for (product, state) in &running.engine {
            let text = match &state.detail {
                Some(detail) => format!("{}: {detail}", state.state),
                None => state.state.clone(),
            };
            let before = self.seen.lock().engine.insert(product.clone(), text.clone());
            let worth_saying = before.as_deref() != Some(&text) && (before.is_some() || state.state != "running");
            if worth_saying {
                self.say(&format!("{product}  {text}"));
            }
        }
        self.all_complete(running);
    }

    fn all_complete(&self, running: &Running) {
        let complete = !running.sources.is_empty()
            && running.sources.values().all(|source| source.status().state == SourceState::Complete);
        let before = std::mem::replace(&mut self.seen.lock().complete, complete);
        if complete && !before {
            let rows: u64 = running.sources.values().map(|source| source.status().rows_done).sum();
            self.say(&format!("every source is complete: {} rows", group(rows)));
        }
    }

    fn bar(&self, bars: &MultiProgress, status: &SourceStatus) {
        let mut seen = self.seen.lock();
        let bar = seen.bars.entry(status.product.clone()).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(status.rows_total.unwrap_or(0)));
            let style = ProgressStyle::with_template("{prefix:>28} {bar:24} {human_pos:>9}/{human_len} {msg}")
                .expect("the template is fixed and valid");
            bar.set_style(style);
            bar.set_prefix(status.product.to_string());
            bar
        });
        if let Some(total) = status.rows_total {
            bar.set_length(total);
        }
        bar.set_position(status.rows_done);
        bar.set_message(source_state(status).state);
        if status.state == SourceState::Complete {
            bar.finish();
        }
    }

    fn line(&self, status: &SourceStatus) {
        let state = source_state(status);
        let text = match &state.detail {
            Some(detail) => format!("{}: {detail}", state.state),
            None => state.state.clone(),
        };
        {
            let mut seen = self.seen.lock();
            let before = seen.sources.get(&status.product);
            let say = match before {
                None => true,
                Some((last, at)) => {
                    let same_word = last.split(':').next() == Some(state.state.as_str());
                    *last != text && (!same_word || at.elapsed() >= Self::QUIET)
                }
            };
            if !say {
                return;
            }
            seen.sources.insert(status.product.clone(), (text.clone(), Instant::now()));
        }
        self.say(&format!("{}  {text}", status.product));
    }
}

/// `3 products added, 35 topics created`.
fn summary(plan: &Plan) -> String {
    let count = |wanted: fn(&Change) -> bool| plan.products.iter().filter(|product| wanted(&product.change)).count();
    let created = plan.topics.iter().filter(|topic| matches!(topic, TopicChange::Create(_))).count();
    let altered = plan
        .topics
        .iter()
        .filter(|topic| matches!(topic, TopicChange::Configure { .. } | TopicChange::AddPartitions { .. }))
        .count();
    let parts = [
        (count(|change| *change == Change::Added), "product", "added"),
        (count(|change| matches!(change, Change::Changed { .. })), "product", "changed"),
        (count(|change| *change == Change::Retired), "product", "retired"),
        (created, "topic", "created"),
        (altered, "topic", "altered"),
    ];
    let counted = parts.iter().filter(|(n, ..)| *n > 0);
    let said: Vec<String> = counted.map(|(n, noun, done)| format!("{} {done}", plural(*n, noun))).collect();
    if said.is_empty() { "no product or topic changed".to_owned() } else { said.join(", ") }
}
