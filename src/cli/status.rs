//! `dipcache status`: lookups, upstreams, flags and figures as a table.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::cli::client::Proxy;
use crate::cli::{runtime, say};

/// Prints the table once, or again every second.
pub(super) fn run(config: Option<&Path>, watch: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    runtime()?.block_on(async {
        loop {
            let text = proxy.admin(Method::GET, &["v1", "status"], "").await?;
            if as_json {
                say(format_args!("{text}\n"))?;
            } else {
                let table = table(&serde_json::from_str(&text)?);
                // Home and clear below, so that a terminal does not flicker.
                say(format_args!("{}{table}", if watch { "\x1b[H\x1b[J" } else { "" }))?;
            }
            if !watch {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

/// The table of a status document. Writing to a String cannot fail.
fn table(status: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    let _ = writeln!(
        out,
        "{}  dipcache {}  up {} s\n",
        text(&status["node"]),
        text(&status["version"]),
        status["uptime_s"]
    );
    let _ = writeln!(
        out,
        "{:<16} {:>4} {:>9} {:>7} {:>9} {:>9} {:>10}",
        "lookup", "flag", "callers", "hits", "p50", "p99", "entries"
    );
    for (name, lookup) in status["lookups"].as_object().into_iter().flatten() {
        let minute = &lookup["last_minute"];
        let _ = writeln!(
            out,
            "{name:<16} {:>4} {:>9} {:>7} {:>9} {:>9} {:>10}",
            lookup["health"].to_string(),
            lookup["callers"].to_string(),
            percent(&lookup["hit_ratio"]),
            millis(&minute["p50_ms"]),
            millis(&minute["p99_ms"]),
            lookup["entries"].to_string(),
        );
        for upstream in lookup["upstreams"].as_array().into_iter().flatten() {
            let state = upstream["hold"]["why"].as_str().or(upstream["breaker"].as_str()).unwrap_or("–");
            let _ = writeln!(
                out,
                "  {:<14} {state} for {} s, {} of {} dips failed",
                text(&upstream["name"]),
                upstream["since_s"],
                percent(&upstream["failure_ratio"]),
                upstream["samples"],
            );
        }
    }
    if !status["shared"].is_null() {
        out.push('\n');
    }
    for server in status["shared"]["servers"].as_array().into_iter().flatten() {
        let state = if server["up"] == true { "up" } else { "down: nobody waits for it" };
        let _ = writeln!(out, "memcached {}: {state}", text(&server["server"]));
    }
    for job in status["warm"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "\nwarming {}: {}, {} keys, {} fresh already, {} dips, {} failed{}",
            text(&job["lookup"]),
            text(&job["state"]),
            job["keys"],
            job["hits"],
            job["dips"],
            job["failed"],
            job["why"].as_str().map_or(String::new(), |why| format!(" ({why})")),
        );
    }
    out
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn millis(value: &Value) -> String {
    value.as_f64().map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_document_becomes_a_table() {
        let status = json!({
            "node": "edge-1", "version": "0.1.0", "uptime_s": 7,
            "lookups": { "lrn": {
                "health": 0, "callers": 12, "hit_ratio": 0.5, "entries": 3,
                "last_minute": { "p50_ms": 0.05, "p99_ms": null },
                "upstreams": [{ "name": "vendor-a", "breaker": "open", "since_s": 3, "failure_ratio": 1.0, "samples": 9, "hold": null }],
            }},
            "shared": { "node": "edge-1/00aa00", "servers": [{ "server": "cache-1:11211", "up": false }] },
            "warm": [{ "lookup": "lrn", "state": "waiting", "why": "no money", "keys": 9, "hits": 2, "dips": 6, "failed": 1 }],
        });
        let table = table(&status);
        assert!(table.contains("lrn                 0        12  50.0 %   0.05 ms         –          3"), "{table}");
        assert!(
            table.contains("warming lrn: waiting, 9 keys, 2 fresh already, 6 dips, 1 failed (no money)"),
            "{table}"
        );
        assert!(table.contains("memcached cache-1:11211: down: nobody waits for it"), "{table}");
        assert!(table.contains("vendor-a       open for 3 s, 100.0 % of 9 dips failed"), "{table}");
    }
}
