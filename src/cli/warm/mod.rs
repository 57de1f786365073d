//! `dipcache warm`: keys of a file, asked through the running proxy before anybody calls.

mod bar;
mod cdr;
mod input;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::client::Proxy;
use crate::cli::{runtime, say};
use crate::deadline::{Deadline, Instant, now};
use crate::warm::progress::{Mark, Progress};
use crate::warm::{State, Told};
use bar::Bar;
use input::Input;

/// The proxy tells its progress five times a second: one that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Wish {
    /// The lookup's name
    lookup: String,
    /// Keys, one a line, `key;input=value` for further inputs; packed with gzip or not; `-` is standard input
    #[arg(value_name = "FILE or -", required_unless_present = "from_cdr")]
    file: Option<PathBuf>,
    /// Take the keys out of call records: a CSV file with a header, packed or not; most frequent first
    #[arg(long, value_name = "CDR.CSV", requires = "column", conflicts_with = "file")]
    from_cdr: Option<PathBuf>,
    /// The column of the call records that holds the keys
    #[arg(long, requires = "from_cdr")]
    column: Option<String>,
    /// Dips a second at most; without it what the upstream's rate and the calls leave over
    #[arg(long, value_name = "PER-SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// Begin with the first key, wherever the last run stopped
    #[arg(long)]
    anew: bool,
    /// Where progress is kept; without it beside the file
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The share of keys, 0 to 1, that may fail before the exit code is 1
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share)]
    max_failed: f64,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn rate(typed: &str) -> Result<f64, String> {
    let rate = typed.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "it is not a number above 0".to_owned())
}

fn share(typed: &str) -> Result<f64, String> {
    let share = typed.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is not a share from 0 to 1".to_owned())
}

/// Runs until every key is settled. Exit code 1 when too many failed, or not all could be settled.
pub(super) fn run(config: Option<&Path>, wish: &Wish) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let notes = Notes::of(wish)?;
    let before = if wish.anew { 0 } else { notes.as_ref().map_or(0, Notes::through) };
    let input = match (&wish.from_cdr, &wish.file) {
        (Some(cdr), _) => cdr::keys(cdr, wish.column.as_deref().unwrap_or_default(), before)?,
        (None, Some(file)) => Input::open(file, before)?,
        (None, None) => bail!("name a file of keys, or `-`"),
    };
    if before > 0 {
        eprintln!("going on behind line {before}, where the last run stopped; `--anew` begins with the first");
    }
    let told = runtime()?.block_on(follow(&proxy, wish, &input, before, notes.as_ref()))?;
    summary(&told, wish.json)?;
    if told.state == State::Done {
        notes.iter().for_each(Notes::forget);
    } else {
        eprintln!("dipcache: ended early: {}; the same command goes on behind line {}", told.why, told.through);
    }
    let failed = if told.keys == 0 { 0.0 } else { told.failed as f64 / told.keys as f64 };
    let well = told.state == State::Done && failed <= wish.max_failed;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hands the keys over and shows what becomes of them.
async fn follow(proxy: &Proxy, wish: &Wish, input: &Input, before: u64, notes: Option<&Notes>) -> anyhow::Result<Told> {
    let query: Vec<(&str, String)> = wish.rate.map(|rate| ("rate", rate.to_string())).into_iter().collect();
    let mut progress = proxy.stream(&["v1", "warm", &wish.lookup], &query, input.body()).await?;
    let bar = Bar::new(std::io::stderr().is_terminal() && !wish.json);
    let mut rest = Vec::new();
    let mut latest: Option<Told> = None;
    loop {
        let piece = match Deadline::after(PATIENCE).limit(progress.chunk()).await {
            Some(Ok(Some(piece))) => piece,
            Some(Ok(None)) => break,
            Some(Err(_)) | None => {
                let cut =
                    Told { state: State::Stopped, why: "the proxy is gone".to_owned(), ..latest.unwrap_or_default() };
                return Ok(Told { through: cut.through.max(before), ..cut });
            }
        };
        rest.extend_from_slice(&piece);
        while let Some(end) = memchr::memchr(b'\n', &rest) {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let mut told: Told = serde_json::from_slice(&line).context("the proxy's progress does not read")?;
            told.through += before;
            told.bad_lines.iter_mut().for_each(|bad| bad.line += before);
            if let Some(why) = input.failure() {
                told = Told { state: State::Stopped, why, ..told };
            }
            if let Some(notes) = notes {
                notes.take(told.through)?;
            }
            bar.show(&told, input.share());
            latest = Some(told);
        }
    }
    bar.end();
    latest.context("the proxy said nothing")
}

fn summary(told: &Told, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        say(format_args!("{}\n", json!(told)))?;
        return Ok(());
    }
    let rate = if told.seconds > 0.0 { told.dips as f64 / told.seconds } else { 0.0 };
    say(format_args!(
        "{} keys in {:.1} s: {} fresh already, {} dips ({rate:.0} a second), {} failed, {} no keys\n",
        told.keys, told.seconds, told.hits, told.dips, told.failed, told.bad
    ))?;
    for (outcome, count) in &told.failures {
        say(format_args!("  {count} ended in {outcome}\n"))?;
    }
    for bad in &told.bad_lines {
        say(format_args!("  line {}: {}\n", bad.line, bad.why))?;
    }
    let more = told.bad.saturating_sub(told.bad_lines.len() as u64);
    if more > 0 {
        say(format_args!("  and {more} more lines that are no keys\n"))?;
    }
    Ok(())
}

/// Where progress is noted.
struct Notes {
    path: PathBuf,
    lookup: String,
    mark: Mark,
    written: std::cell::Cell<Option<(u64, Instant)>>,
}

impl Notes {
    /// Where the progress of these keys is noted; `None` for standard input, which nobody can begin again.
    fn of(wish: &Wish) -> anyhow::Result<Option<Self>> {
        let (input, detail) = match (&wish.from_cdr, &wish.file) {
            (Some(cdr), _) => (cdr, wish.column.as_deref().unwrap_or_default()),
            (None, Some(file)) if file != Path::new("-") => (file, ""),
            _ => return Ok(None),
        };
        let mark = Mark::of(input, detail).with_context(|| format!("`{}` does not read", input.display()))?;
        let beside = || input.with_added_extension(format!("{}.warm", wish.lookup));
        let path = wish.state.clone().unwrap_or_else(beside);
        Ok(Some(Self { path, lookup: wish.lookup.clone(), mark, written: std::cell::Cell::new(None) }))
    }

    fn through(&self) -> u64 {
        Progress::load(&self.path, &self.lookup, &self.mark)
    }

    /// Notes how far it has come, where that is news.
    fn take(&self, through: u64) -> anyhow::Result<()> {
        let news = self.written.get().is_none_or(|(known, _)| known != through);
        if !news || through == 0 {
            return Ok(());
        }
        let saved = Progress::new(&self.lookup, self.mark.clone(), through).save(&self.path);
        saved.with_context(|| {
            format!("progress cannot be kept in `{}`: name a file with --state", self.path.display())
        })?;
        self.written.set(Some((through, now())));
        Ok(())
    }

    /// All is done: the next run begins anew.
    fn forget(&self) {
        // One that was never written is not there.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a file's reader shares with the one who shows how far it is.
type Shared<T> = Arc<parking_lot::Mutex<T>>;
