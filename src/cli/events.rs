//! `dipcache events`: try the way of the events, follow them, and see where they are.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::Proxy;
use crate::cli::runtime;
use crate::config;
use crate::events::tail;

/// `dipcache events test`.
pub(super) fn test(config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let said = runtime()?.block_on(proxy.admin(Method::POST, &["v1", "events", "test"], ""))?;
    println!("{}", said.trim());
    Ok(ExitCode::SUCCESS)
}

/// `dipcache events status`.
pub(super) fn status(config: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let proxy = Proxy::of(config)?;
    let said = runtime()?.block_on(proxy.admin(Method::GET, &["v1", "events"], ""))?;
    if json {
        println!("{said}");
        return Ok(ExitCode::SUCCESS);
    }
    let books: Value =
        serde_json::from_str(&said).context("the proxy's answer is no JSON: is it of another version?")?;
    print!("{}", table(&books));
    Ok(ExitCode::SUCCESS)
}

fn table(books: &Value) -> String {
    let spool = &books["spool"];
    if spool.is_null() {
        return "there is no [events] in the config: events are only logged\n".to_owned();
    }
    let mut text = format!("spool: {} bytes", spool["bytes"]);
    if let Some(trouble) = spool["trouble"].as_str() {
        text.push_str(&format!(", cannot be written: {trouble}"));
    }
    text.push_str(&format!(
        "\n{:<16}{:>10}{:>11}{:>9}{:>9}{:>9}{:>14}  state\n",
        "sink", "queued", "delivered", "spooled", "pending", "dropped", "dead letters"
    ));
    for (name, way) in books["sinks"].as_object().into_iter().flatten() {
        let state = |sink: &Value| sink["down"].as_str().map_or_else(|| "up".to_owned(), |why| format!("down: {why}"));
        let sinks = way["sinks"].as_object();
        let own = sinks.and_then(|sinks| sinks.get(name)).map(state).unwrap_or_default();
        text.push_str(&format!(
            "{name:<16}{:>10}{:>11}{:>9}{:>9}{:>9}{:>14}  {own}\n",
            way["queued"], way["delivered"], way["spooled"], way["pending"], way["dropped"], way["dead_letters"]
        ));
        for (sink, figures) in sinks.into_iter().flatten().filter(|(sink, _)| *sink != name) {
            text.push_str(&format!("  {sink:<14}{:>10}{:>11}{:>43}{}\n", "", figures["delivered"], "", state(figures)));
        }
    }
    text
}

/// `dipcache events tail`: until the reader of our output goes away.
pub(super) fn tail(config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = config::load(config).map_err(|faults| super::check::summed_up(&faults))?;
    let events = config.events.context("there is no [events] in the config: events are only logged")?;
    let sink = events.sinks.first().context("[events] has no sink; add an [[events.sink]]")?;
    let mut out = std::io::stdout().lock();
    tail::follow(sink, |line| writeln!(out, "{line}").and_then(|()| out.flush()).is_ok())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_says_what_is_wrong() {
        let text = table(&json!({
            "spool": { "bytes": 512, "trouble": "no space left" },
            "sinks": { "failover": {
                "queued": 10, "delivered": 7, "spooled": 1, "dropped": 0, "dead_letters": 0, "pending": 2,
                "sinks": { "k1": { "delivered": 7, "down": "all brokers are down" }, "disk": { "delivered": 0, "down": null } },
            } },
        }));
        assert!(text.contains("cannot be written: no space left"), "{text}");
        assert!(text.contains("down: all brokers are down"), "{text}");
    }
}
