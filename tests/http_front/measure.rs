//! Not a test: the front over the fake engine, to be measured with a load generator.
//!
//! `cargo test --release --test http_front -- --ignored --nocapture serve_for_measurement`; it prints
//! its two addresses, plain lane and full lane, and its CPU time when its minute is over.

use std::time::Duration;

use crate::client::{full, plain};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for measuring by hand"]
async fn serve_for_measurement() {
    let (plain, full) = (plain(), full());
    println!("plain http://{}/v1/lookup/lrn/13035550123", plain.address);
    println!("full http://{}/v1/lookup/lrn/13035550123", full.address);
    tokio::time::sleep(Duration::from_secs(60)).await;
}
