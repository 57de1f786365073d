//! Stubbed vendor answers against a policy, field by field: what `dipcache replay` runs, and CI with it.
//!
//! Nothing is sent. The policy is read with stand-ins for its secrets, its request is rendered and compared,
//! the stubbed answer is judged by the policy's own rules, and what comes out is held against what the case
//! expects. What differs is told by name, so that a changed vendor shows at once what has changed.
//!
//! A cases file is JSON, one a policy ([`cases`] has every key):
//!
//! ```json
//! {
//!   "policy": "../lrn-vendor.toml",
//!   "secrets": { "env:VENDOR_KEY": "KEY0123" },
//!   "cases": [
//!     {
//!       "name": "found",
//!       "key": "+13035550123",
//!       "request": { "url": "https://api.vendor.example/lrn/3035550123", "headers": { "authorization": "Bearer KEY0123" } },
//!       "answer": { "status": 200, "body": { "lrn": "3035550100" } },
//!       "expect": { "outcome": "found", "record": { "lrn": "+13035550100", "ported": true } }
//!     }
//!   ]
//! }
//! ```

mod ask;
pub mod cases;
mod compare;

use std::path::{Path, PathBuf};

use compact_str::CompactString;

use crate::answer::Outcome;
use crate::policy::{Fault, Policy, Vault, check};
use cases::{Case, CasesFile};
pub use compare::Difference;

/// What a cases file came to.
#[derive(Debug)]
pub struct Report {
    /// The cases file.
    pub file: PathBuf,
    /// The lookup's name.
    pub lookup: String,
    /// Each case, in the order of the file.
    pub cases: Vec<CaseReport>,
}

/// What a case came to.
#[derive(Debug)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// How the dip ended.
    pub outcome: Outcome,
    /// Which rule said so.
    pub rule: CompactString,
    /// What is not as expected; empty for a case that holds.
    pub differences: Vec<Difference>,
}

impl Report {
    /// True when every case holds.
    pub fn holds(&self) -> bool {
        self.cases.iter().all(|case| case.differences.is_empty())
    }
}

/// Replays a cases file.
///
/// # Errors
/// Every fault of the cases file, or of the policy that it names.
pub fn replay(file: &Path) -> Result<Report, Vec<Fault>> {
    let cases = cases::read(file).map_err(|fault| vec![fault])?;
    let policy = policy_of(file, &cases)?;
    let lookup = policy.name.to_string();
    let cases = cases.cases.iter().map(|case| run(&policy, case)).collect();
    Ok(Report { file: file.to_owned(), lookup, cases })
}

/// The policy that a cases file is about: the one it names, else `../<its own name>.toml`.
fn policy_of(file: &Path, cases: &CasesFile) -> Result<Policy, Vec<Fault>> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let path = match &cases.policy {
        Some(path) => folder.join(path),
        None => folder.join("..").join(file.file_name().unwrap_or_default()).with_extension("toml"),
    };
    check::read_with(&path, &cases.vars, &Vault::StandIns(cases.secrets.clone()))
}

/// Runs a case against a policy.
pub fn run(policy: &Policy, case: &Case) -> CaseReport {
    let (ended, mut differences) = ask::ask(policy, case);
    differences.extend(compare::ended(&case.expect, &ended, policy));
    CaseReport { name: case.name.clone(), outcome: ended.outcome, rule: ended.rule, differences }
}

/// The cases files that a path stands for: itself, or every `*.json` of a folder, in order of name.
///
/// # Errors
/// When the folder does not read.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
