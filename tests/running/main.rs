//! The program as an operator runs it: real process, real signals, real commands.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy knows tests, and not their helpers beside them")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod commands;
mod drain;
mod reload;

use support::vendor::{Mode, Vendor};

/// What the vendor answers.
const BODY: &str = r#"{"lrn":"+13035550000","ocn":"1234"}"#;

async fn vendor(mode: Mode) -> Vendor {
    let vendor = Vendor::start(mode).await;
    vendor.set_body(BODY);
    vendor
}

/// A policy with this vendor and these further lines before it.
fn lrn(vendor: &Vendor, lines: &str) -> String {
    let url = vendor.url("/lrn/{{ key | nanp10 }}");
    format!(
        "kind = \"lrn\"\n[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n{lines}\n[[upstream]]\nname = \"v\"\n\
         type = \"http\"\nurl = \"{url}\"\n[upstream.fields]\nlrn = \"body.lrn\"\nocn = \"body.ocn\"\n"
    )
}
