//! The policies that ship: each is sound, off until it is wanted, and does with its vendor's answers what it says.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, and not their helpers beside them")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dipcache::answer::Outcome;
use dipcache::policy::check::{read_folder, read_with};
use dipcache::policy::{Policy, TransportPolicy, Vars, Vault};
use dipcache::replay::{Report, cases, files, replay};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// The names of a folder's files with this ending, without it.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.filter(|path| path.extension().is_some_and(|extension| extension == ending)).map(stem).collect()
}

fn reports() -> Vec<Report> {
    files(&folder().join("cases")).unwrap().iter().map(|file| replay(file).unwrap()).collect()
}

/// The policy behind a cases file, with the stand-ins that the file gives.
fn policy(name: &str) -> Policy {
    let cases = cases::read(&folder().join("cases").join(format!("{name}.json"))).unwrap();
    read_with(&folder().join(format!("{name}.toml")), &cases.vars, &Vault::StandIns(cases.secrets)).unwrap()
}

#[test]
fn every_case_holds() {
    let mut differ = Vec::new();
    for report in reports() {
        for case in report.cases {
            let lines = case.differences.iter().map(|one| {
                format!("{}: {}: {}: expected {}, got {}", report.lookup, case.name, one.what, one.expected, one.got)
            });
            differ.extend(lines);
        }
    }
    assert!(differ.is_empty(), "run `dipcache replay policies/cases`:\n{}", differ.join("\n"));
}

#[test]
fn every_policy_has_its_cases() {
    let policies = names(&folder(), "toml");
    assert_eq!(policies, names(&folder().join("cases"), "json"));
}

#[test]
fn every_vendor_is_shown_found_not_found_rate_limited_and_broken() {
    for report in reports() {
        let outcomes: BTreeSet<Outcome> = report.cases.iter().map(|case| case.outcome).collect();
        let has = |wanted: &[Outcome]| wanted.iter().any(|outcome| outcomes.contains(outcome));
        let is_vendor = matches!(policy(&report.lookup).upstreams[0].transport, TransportPolicy::Http(_));
        let lookup = &report.lookup;
        assert!(has(&[Outcome::Found]), "{lookup} has no case that is found");
        assert!(has(&[Outcome::NotFound]), "{lookup} has no case that is not found");
        assert!(!is_vendor || has(&[Outcome::RateLimited]), "{lookup} has no case that is rate-limited");
        let broken = if is_vendor { &[Outcome::VendorError][..] } else { &[Outcome::VendorError, Outcome::Timeout] };
        assert!(has(broken), "{lookup} has no case that is broken");
    }
}

#[test]
fn every_found_case_says_what_is_kept_and_every_vendor_what_is_asked() {
    for name in names(&folder().join("cases"), "json") {
        let cases = cases::read(&folder().join("cases").join(format!("{name}.json"))).unwrap().cases;
        assert!(cases.iter().any(|case| case.expect.record.is_some()), "{name}: no case compares the record");
        assert!(cases.iter().any(|case| case.request.is_some()), "{name}: no case compares the request");
    }
}

#[test]
fn on_a_bare_machine_all_are_off_and_none_is_a_fault() {
    let read = read_folder(&folder(), &Vars::new(), &|text| text);
    let faults: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, [""; 0]);
    let served: Vec<&str> = read.policies.iter().map(|policy| &*policy.name).collect();
    let off: BTreeMap<&str, &[String]> = read.off.iter().map(|off| (off.lookup.as_str(), &*off.missing)).collect();
    // Where the tests run, somebody may have set a vendor's key.
    let set = |name: &&str| off.get(name).is_none_or(|missing| missing.is_empty()) && !has_reference(name);
    assert_eq!(served.iter().filter(|name| set(name)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// True for a policy that names a secret at all.
fn has_reference(name: &str) -> bool {
    let cases = cases::read(&folder().join("cases").join(format!("{name}.json"))).unwrap();
    !cases.secrets.is_empty()
}
