//! `load-tests`: see `load-tests --help`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use load_tests::awake::Awake;
use load_tests::report::{self, metric};
use load_tests::run::run;
use load_tests::scenario::{self, Scenario};
use load_tests::stage::Unavailable;

/// Load, faults and promises for dipcache.
///
/// Each scenario starts dipcache with a config of its own, with vendors that are broken and healed while callers ask at
/// a constant rate, and holds what they got against what is promised.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        cargo build --release --workspace            # the proxy and these tests\n  \
        target/release/load-tests list               # what there is\n  \
        target/release/load-tests run brown-out      # one of them\n  \
        target/release/load-tests run                # all of them\n  \
        target/release/load-tests run --awake stale  # processors do not halt meanwhile\n  \
        target/release/load-tests run ./my-own.toml --dipcache /usr/bin/dipcache\n\n\
        Exit codes: 0 every promise was kept, 1 one broke or a scenario could not be run, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run scenarios: a table, JSON and a picture of each, and a verdict
    Run {
        /// Names of scenarios, or files; all that there are when left out
        scenarios: Vec<String>,
        /// The proxy's binary; the one beside this one when left out
        #[arg(long, value_name = "FILE")]
        dipcache: Option<PathBuf>,
        /// Where JSON and pictures go
        #[arg(long, value_name = "FOLDER", default_value = "target/load-tests")]
        out: PathBuf,
        /// Keeps processors from halting meanwhile, so that what is measured is not how long they take to wake; needs root
        #[arg(long)]
        awake: bool,
    },
    /// List the scenarios
    List,
    /// Read scenarios and print every fault in them, with its place
    Check {
        /// Names of scenarios, or files; all that there are when left out
        scenarios: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        What::Run { scenarios, dipcache, out, awake } => {
            awake.then(Awake::keep).transpose().and_then(|_awake| run_all(&scenarios, dipcache, &out))
        }
        What::List => read(&[]).map(|all| {
            all.iter().for_each(|scenario| say(report::overview(scenario).trim_end()));
            true
        }),
        What::Check { scenarios } => read(&scenarios).map(|read| {
            say(format_args!("{} scenarios, no faults", read.len()));
            true
        }),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load-tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. A reader such as `head` who has seen enough misses nothing: the verdict is the exit code as well.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// True when every promise was kept. A scenario that needs what is not installed is skipped, and said to be.
fn run_all(names: &[String], dipcache: Option<PathBuf>, out: &Path) -> anyhow::Result<bool> {
    let binary = binary(dipcache)?;
    let scenarios = read(names)?;
    fs::create_dir_all(out).with_context(|| format!("cannot write to {}", out.display()))?;
    let (mut broken, mut skipped) = (Vec::new(), Vec::new());
    for scenario in &scenarios {
        let run = match run(scenario, &binary) {
            Ok(run) => run,
            Err(error) if error.is::<Unavailable>() => {
                say(format_args!("\n{}: SKIPPED: {error}", scenario.name));
                skipped.push(scenario.name.as_str());
                continue;
            }
            Err(error) => return Err(error.context(scenario.name.clone())),
        };
        let verdicts: Vec<_> = scenario.promises.iter().map(|promise| metric::weigh(&run, promise)).collect();
        say(report::table(&run, &verdicts));
        let file = |ending: &str| out.join(format!("{}.{ending}", scenario.name));
        fs::write(file("json"), format!("{:#}\n", report::json(&run, &verdicts)))?;
        fs::write(file("svg"), report::picture(&run))?;
        say(format_args!("  {} and .json", file("svg").display()));
        if verdicts.iter().any(|verdict| !verdict.kept) {
            broken.push(scenario.name.as_str());
        }
    }
    let list = |names: &[&str]| if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    say(format_args!(
        "\n{} scenarios, {} with a broken promise{}, {} skipped{}",
        scenarios.len(),
        broken.len(),
        list(&broken),
        skipped.len(),
        list(&skipped)
    ));
    Ok(broken.is_empty())
}

fn binary(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("dipcache"));
    let binary = named.map_or_else(beside, Ok)?;
    // The proxy runs in a folder of its own.
    fs::canonicalize(&binary)
        .with_context(|| format!("no proxy at {}: `cargo build --release --workspace` makes one", binary.display()))
}

/// These scenarios, or all.
fn read(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = if names.is_empty() {
        let found = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let found = found.filter_map(|entry| Some(entry.ok()?.path()));
        found.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect()
    } else {
        names.iter().map(|name| named(&folder, name)).collect::<anyhow::Result<_>>()?
    };
    if names.is_empty() {
        files.sort();
    }
    let (mut scenarios, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match scenario::read(&file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        bail!("\n{}", lines.join("\n"));
    }
    Ok(scenarios)
}

fn named(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    if name.ends_with(".toml") {
        return Ok(PathBuf::from(name));
    }
    let file = folder.join(format!("{name}.toml"));
    if !file.is_file() {
        bail!(
            "there is no scenario `{name}`; `load-tests list` shows those that there are, a file of your own ends in .toml"
        );
    }
    Ok(file)
}
