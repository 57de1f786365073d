//! The command line: what an operator types. Exit codes: 0 done, 1 it could not, 2 wrong usage.

mod check;
mod client;
mod demo;
mod events;
mod policies;
mod replay;
mod schema;
mod serve;
mod status;
mod try_dip;
mod warm;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A caching proxy for the questions a phone call must ask before it can be set up.
///
/// It answers within milliseconds, from a cache, from a vendor or from what is left, whatever happens behind it.
#[derive(Debug, Parser)]
#[command(
    name = "dipcache",
    version,
    after_help = "Try it: `dipcache demo`. Then write a policy, `dipcache check`, and `dipcache serve`."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy in the foreground; SIGTERM drains, SIGHUP reloads
    #[command(after_help = "Example: dipcache serve -c /etc/dipcache/dipcache.toml")]
    Serve(WhichConfig),
    /// Run the proxy with simulated vendors and synthetic calls, all in one process on loopback
    #[command(after_help = "Example: dipcache demo --once     # a bounded scene; exits 1 when a promise broke")]
    Demo {
        /// Run one bounded scene and check its promises
        #[arg(long)]
        once: bool,
    },
    /// Load config and policies and print every error with its place and its remedy
    #[command(after_help = "Example: dipcache check -c config/dipcache.toml && systemctl reload dipcache")]
    Check {
        #[command(flatten)]
        config: WhichConfig,
        /// Print the faults as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make one dip outside the caches and show the request, the rule that fired and the record
    #[command(after_help = "Example: dipcache try lrn 13035550123 ani=12025550123")]
    Try {
        #[command(flatten)]
        config: WhichConfig,
        /// The lookup's name
        lookup: String,
        /// The key, as a routing script would send it
        key: String,
        /// Further inputs
        #[arg(value_name = "NAME=VALUE", value_parser = input)]
        inputs: Vec<Input>,
        /// Ask only the upstream of this name
        #[arg(long)]
        upstream: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold policies against stubbed vendor answers, field by field
    #[command(after_help = "Example: dipcache replay policies/cases     # exits 1 when a case differs")]
    Replay {
        /// Cases files, or folders of them
        #[arg(required = true, value_name = "CASES.JSON")]
        files: Vec<PathBuf>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of policies or of the main config, for editors that complete and check as one types
    #[command(after_help = "Example: dipcache schema policy > policy.schema.json\n\
                            and `#:schema ./policy.schema.json` as the first line of a policy beside it.")]
    Schema {
        /// Of which file
        #[arg(value_enum)]
        of: schema::Of,
    },
    /// Ask the running proxy
    #[command(after_help = "Example: dipcache lookup lrn 13035550123 --explain")]
    Lookup {
        #[command(flatten)]
        config: WhichConfig,
        /// The lookup's name
        lookup: String,
        /// The key
        key: String,
        /// Further inputs
        #[arg(value_name = "NAME=VALUE", value_parser = input)]
        inputs: Vec<Input>,
        /// Show where the answer came from
        #[arg(long)]
        explain: bool,
        /// Print answer and provenance as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show lookups, upstreams, health, hit ratio, p50 and p99 of the running proxy
    #[command(after_help = "Example: dipcache status --watch")]
    Status {
        #[command(flatten)]
        config: WhichConfig,
        /// Draw again every second
        #[arg(long)]
        watch: bool,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Read a lookup's flag, or lay a hand on it
    #[command(after_help = "Example: dipcache health cnam down     # until `dipcache health cnam auto`")]
    Health {
        #[command(flatten)]
        config: WhichConfig,
        /// The lookup's name
        lookup: String,
        /// up, down or auto
        #[arg(value_parser = ["up", "down", "auto"])]
        hand: Option<String>,
    },
    /// Try, follow or look after the events
    #[command(subcommand)]
    Events(EventsCommand),
    /// Drop a lookup's entries from the running proxy's cache
    #[command(after_help = "Examples:\n  dipcache flush account 4711\n  \
                            dipcache flush lrn '+1303555*'     # every number of a block that was ported")]
    Flush {
        #[command(flatten)]
        config: WhichConfig,
        /// The lookup's name
        lookup: String,
        /// Only this key, or with `*` at its end all that begin so
        key: Option<String>,
    },
    /// Ask for many keys before anybody calls, through the running proxy and never in a call's way
    #[command(after_help = "Example: dipcache warm lrn yesterday.txt.gz --rate 500     # goes on where it was stopped")]
    Warm {
        #[command(flatten)]
        config: WhichConfig,
        #[command(flatten)]
        wish: warm::Wish,
    },
}

/// What is done with events.
#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Have the running proxy raise one test event, and say when it is on disk
    #[command(after_help = "Example: dipcache events test && dipcache events status")]
    Test(WhichConfig),
    /// Follow the first sink of the config: a Kafka topic, or a file
    #[command(after_help = "Example: dipcache events tail | jq .type")]
    Tail(WhichConfig),
    /// Show what each sink has taken, and what waits in the spool
    #[command(after_help = "Example: dipcache events status --json")]
    Status {
        #[command(flatten)]
        config: WhichConfig,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which config file a command reads.
#[derive(Debug, clap::Args)]
struct WhichConfig {
    /// The config file; without it `config/dipcache.toml`, else the built-in defaults
    #[arg(short, long, value_name = "FILE", env = "DIPCACHE_CONFIG")]
    config: Option<PathBuf>,
}

/// Runs what was typed.
pub fn main() -> ExitCode {
    // clap exits with 2 on wrong usage by itself.
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(which) => serve::run(which.config.as_deref()),
        Command::Demo { once } => demo::run(once),
        Command::Check { config, json } => check::run(config.config.as_deref(), json),
        Command::Try { config, lookup, key, inputs, upstream, json } => {
            try_dip::run(config.config.as_deref(), &try_dip::Ask { lookup, key, inputs, upstream, json })
        }
        Command::Replay { files, json } => replay::run(&files, json),
        Command::Schema { of } => schema::run(of),
        Command::Lookup { config, lookup, key, inputs, explain, json } => {
            client::lookup(config.config.as_deref(), &lookup, &key, &inputs, explain, json)
        }
        Command::Status { config, watch, json } => status::run(config.config.as_deref(), watch, json),
        Command::Health { config, lookup, hand } => client::health(config.config.as_deref(), &lookup, hand.as_deref()),
        Command::Events(EventsCommand::Test(which)) => events::test(which.config.as_deref()),
        Command::Events(EventsCommand::Tail(which)) => events::tail(which.config.as_deref()),
        Command::Events(EventsCommand::Status { config, json }) => events::status(config.config.as_deref(), json),
        Command::Warm { config, wish } => warm::run(config.config.as_deref(), &wish),
        Command::Flush { config, lookup, key } => client::flush(config.config.as_deref(), &lookup, key.as_deref()),
    };
    match done {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dipcache: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The runtime that commands need who speak to somebody. Calls are served by a [`Crew`](crate::crew::Crew) and not here, so
/// that one thread will do beside the one that waits for its end.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// One further input, as typed: its name and its value.
type Input = (String, String);

/// Splits `name=value`. A fault here is wrong usage.
fn input(typed: &str) -> Result<Input, String> {
    let (name, value) = typed.split_once('=').ok_or("it is not of the form name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Prints to standard output.
///
/// # Errors
/// When nobody takes it: a reader such as `head` has seen enough.
fn say(text: impl std::fmt::Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// True when standard output was closed under us, which is its reader's right.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
