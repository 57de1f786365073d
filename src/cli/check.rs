//! `dipcache check`: every fault of config and policies, with its place and its remedy.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::config;
use crate::policy::Fault;
use crate::policy::check::{Folder, Off};

/// Prints all faults; exit code 1 on any.
pub(super) fn run(path: Option<&Path>, as_json: bool) -> anyhow::Result<ExitCode> {
    let Folder { faults, off, .. } = config::examine(path);
    if as_json {
        let rows: Vec<_> = faults.iter().map(as_row).collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        faults.iter().for_each(|fault| println!("{fault}"));
        print_off(&off);
        match faults.len() {
            0 => println!("all is well"),
            1 => println!("one fault"),
            count => println!("{count} faults"),
        }
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Policies that wait for a secret are no fault, and worth knowing of.
fn print_off(off: &[Off]) {
    if off.is_empty() {
        return;
    }
    println!("off until the secret is there:");
    let width = off.iter().map(|one| one.lookup.len()).max().unwrap_or_default();
    for one in off {
        println!("  {:width$}  {}", one.lookup, one.missing.join(", "));
    }
}

fn as_row(fault: &Fault) -> serde_json::Value {
    json!({
        "file": fault.file, "line": fault.line, "column": fault.column, "what": fault.what, "mend": fault.mend,
    })
}

/// Faults as the error of a command that needed a config without any.
pub(super) fn summed_up(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the config has faults\n{}", lines.join("\n"))
}
