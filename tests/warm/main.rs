//! Keys are asked before anybody calls: the real program, real vendors on loopback.
//!
//! `DIPCACHE_FULL=1 cargo test --release --test warm -- --nocapture --test-threads=1` on an idle machine runs a million
//! keys at 5,000 a second and holds the strict figures; without it a short run on a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod day;
mod ingest;
mod jobs;
mod lane;
mod million;
mod once;
mod restart;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use support::is_full;
use support::vendor::{Mode, Vendor};

/// What the vendor answers.
const BODY: &str = r#"{"lrn":"+13035550000","ocn":"1234"}"#;

const OPEN: &str = "[admin]\ntoken = \"off\"";

async fn vendor(mode: Mode) -> Vendor {
    let vendor = Vendor::start(mode).await;
    vendor.set_body(BODY);
    vendor
}

/// A policy with this vendor, these lines before it and these in it.
fn lrn(vendor: &Vendor, lines: &str, of_upstream: &str) -> String {
    let url = vendor.url("/lrn/{{ key | nanp10 }}");
    format!(
        "kind = \"lrn\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n{lines}\n[[upstream]]\nname = \"v\"\n\
         type = \"http\"\nurl = \"{url}\"\n{of_upstream}\n[upstream.fields]\nlrn = \"body.lrn\"\nocn = \"body.ocn\"\n"
    )
}

/// The number of this place in a list of numbers that all differ.
fn number(place: u64) -> String {
    format!("1303{:03}{:04}", 200 + place / 10_000, place % 10_000)
}

/// A file of so many keys.
fn keys(dir: &Path, count: u64) -> PathBuf {
    let mut text = String::new();
    (0..count).for_each(|place| writeln!(text, "{}", number(place)).unwrap());
    let path = dir.join("keys.txt");
    std::fs::write(&path, text).unwrap();
    path
}
