//! `dipcache replay`: policies against stubbed answers; what differs, case by case and field by field.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use crate::policy::Fault;
use crate::replay::{CaseReport, Report, files, replay};

/// Replays every file; exit code 1 when a case differs or a file does not read.
pub(super) fn run(paths: &[PathBuf], as_json: bool) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    for path in paths {
        let files = files(path).with_context(|| format!("{} does not read", path.display()))?;
        anyhow::ensure!(!files.is_empty(), "there is no cases file in {}; their names end in .json", path.display());
        found.extend(files);
    }
    let results: Vec<Result<Report, Vec<Fault>>> = found.iter().map(|file| replay(file)).collect();
    if as_json {
        println!("{}", Value::from(results.iter().map(as_row).collect::<Vec<_>>()));
    } else {
        results.iter().for_each(print);
        println!("{}", summed_up(&results));
    }
    let holds = results.iter().all(|result| result.as_ref().is_ok_and(Report::holds));
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(result: &Result<Report, Vec<Fault>>) {
    let report = match result {
        Ok(report) => report,
        Err(faults) => return faults.iter().for_each(|fault| println!("{fault}")),
    };
    println!("{} ({})", report.file.display(), report.lookup);
    for case in &report.cases {
        let mark = if case.differences.is_empty() { "ok      " } else { "DIFFERS " };
        println!("  {mark}{}: {} ({})", case.name, case.outcome, case.rule);
        for differs in &case.differences {
            println!("            {}", differs.what);
            println!("              expected  {}", differs.expected);
            println!("              got       {}", differs.got);
        }
    }
}

fn summed_up(results: &[Result<Report, Vec<Fault>>]) -> String {
    let cases: Vec<&CaseReport> = results.iter().flatten().flat_map(|report| &report.cases).collect();
    let differ = cases.iter().filter(|case| !case.differences.is_empty()).count();
    let unread = results.iter().filter(|result| result.is_err()).count();
    let unread = if unread == 0 { String::new() } else { format!(", {unread} files with faults") };
    format!("{} files, {} cases, {differ} differ{unread}", results.len(), cases.len())
}

fn as_row(result: &Result<Report, Vec<Fault>>) -> Value {
    match result {
        Ok(report) => {
            let cases: Vec<Value> = report.cases.iter().map(case_row).collect();
            json!({ "file": report.file, "lookup": report.lookup, "holds": report.holds(), "cases": cases })
        }
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            json!({ "holds": false, "faults": faults })
        }
    }
}

fn case_row(case: &CaseReport) -> Value {
    let differences: Vec<Value> = case
        .differences
        .iter()
        .map(|differs| json!({ "what": differs.what, "expected": differs.expected, "got": differs.got }))
        .collect();
    json!({ "name": case.name, "outcome": case.outcome.as_str(), "rule": case.rule, "differences": differences })
}
