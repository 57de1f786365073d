//! Memory stays flat however much a vendor sends. In a file of its own: the memory of a process is counted as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use dipcache::deadline::Deadline;
use dipcache::policy::{CallerUrl, HttpMethod, HttpPolicy, TransportPolicy};
use dipcache::upstream::FailureKind;
use dipcache::upstream::http::{HttpUpstream, Request};
use support::memory::resident_kib;
use support::policies;
use support::vendor::{Mode, Vendor};

#[tokio::test]
async fn memory_stays_flat_however_much_comes() {
    let vendor = Vendor::start(Mode::HugeBody).await;
    let policy = policies::upstream(TransportPolicy::Http(policies::http()));
    // There are two clients, and who asks where a caller says uses the other one.
    let elsewhere = HttpPolicy { caller_url: Some(CallerUrl { allow_private: true }), ..policies::http() };
    let clients = [policies::http(), elsewhere].map(|http| HttpUpstream::build(&policy, &http).expect("a client"));
    let request = Request { method: HttpMethod::Get, url: vendor.url("/"), headers: Vec::new(), body: None };
    let mut before = 0;
    for round in 0..120 {
        vendor.set([Mode::HugeBody, Mode::EndlessChunks, Mode::GzipBomb][round / 2 % 3].clone());
        // The first bomb takes the vendor a while to make.
        let failure =
            clients[round % 2].fetch(&request, Deadline::after(Duration::from_secs(20))).await.expect_err("too much");
        assert_eq!(failure.kind, FailureKind::TooLarge);
        if round == 11 {
            before = resident_kib();
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more after 108 of them");
    // The sockets' buffers hold some of it; the vendor got rid of nearly nothing of its 80 GB.
    assert!(vendor.written() < 1200 << 20, "{} bytes were taken", vendor.written());
}
