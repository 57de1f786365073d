//! `dipcache check`: every fault of config and policies, with its place and its remedy.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::{policies, say};
use crate::config;
use crate::policy::Fault;
use crate::policy::check::Off;

/// Prints all faults and warnings; exit code 1 on any fault.
pub(super) fn run(path: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let (faults, off, warnings) = match config::load(path) {
        Ok(config) => {
            let read = policies::read(&config)?;
            (read.folder.faults, read.folder.off, read.folder.warnings)
        }
        Err(faults) => (faults, Vec::new(), Vec::new()),
    };
    if as_json {
        let rows: Vec<_> = faults.iter().map(|fault| as_row(fault, false)).collect();
        let rows: Vec<_> = rows.into_iter().chain(warnings.iter().map(|warning| as_row(warning, true))).collect();
        say(format_args!("{}\n", serde_json::Value::from(rows)))?;
    } else {
        faults.iter().try_for_each(|fault| say(format_args!("{fault}\n")))?;
        warnings.iter().try_for_each(|warning| say(format_args!("{warning} (a warning)\n")))?;
        print_off(&off)?;
        match faults.len() {
            0 => say("all is well\n")?,
            1 => say("one fault\n")?,
            count => say(format_args!("{count} faults\n"))?,
        }
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Policies that wait for a secret are no fault, and worth knowing of.
fn print_off(off: &[Off]) -> anyhow::Result<()> {
    if off.is_empty() {
        return Ok(());
    }
    say("off until the secret is there:\n")?;
    let width = off.iter().map(|one| one.lookup.len()).max().unwrap_or_default();
    for one in off {
        say(format_args!("  {:width$}  {}\n", one.lookup, one.missing.join(", ")))?;
    }
    Ok(())
}

fn as_row(fault: &Fault, is_warning: bool) -> serde_json::Value {
    json!({
        "file": fault.file, "line": fault.line, "column": fault.column, "what": fault.what, "mend": fault.mend,
        "warning": is_warning,
    })
}

/// Faults as the error of a command that needed a config without any.
pub(super) fn summed_up(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the config has faults\n{}", lines.join("\n"))
}
