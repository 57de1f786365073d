//! The demo's policies name fixed ports, so that they read like any other policy; a demo that runs elsewhere
//! points them at its own upstreams before they are loaded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::seed::{Seed, URL_FILE};
use super::vendors::Simulator;

/// Whatever may stand for an upstream's place in a policy's text.
static PLACES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"127\.0\.0\.1:\d+|file:{}", regex::escape(URL_FILE))).ok());

/// A demo policy's text with the places of this process in it. Lines keep their numbers; what is not ours stays.
pub fn pointed_at(text: &str, simulator: &Simulator, seed: &Seed) -> String {
    let mut places: BTreeMap<String, String> =
        simulator.moved().into_iter().map(|(usual, now)| (usual.to_string(), now.to_string())).collect();
    places.insert(format!("file:{URL_FILE}"), format!("file:{}", seed.url_file().display()));
    // The pattern is a constant that a test compiles; without it nothing would be replaced.
    let Some(pattern) = &*PLACES else { return text.to_owned() };
    let place = |found: &Captures<'_>| places.get(&found[0]).cloned().unwrap_or_else(|| found[0].to_owned());
    pattern.replace_all(text, place).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::vendors::Ports;

    fn policy(lookup: &str) -> String {
        let file = format!("{}/config/demo-policies/{lookup}.toml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(file).unwrap()
    }

    fn upstreams(text: &str) -> Vec<toml::Table> {
        let policy: toml::Table = toml::from_str(text).unwrap();
        policy["upstream"].as_array().unwrap().iter().map(|one| one.as_table().unwrap().clone()).collect()
    }

    #[tokio::test]
    async fn every_upstream_is_asked_where_it_is() {
        let simulator = Simulator::start(Ports::Free).await.unwrap();
        let seed = Seed::plant().await.unwrap();
        for ((lookup, upstream), address) in simulator.addresses() {
            let text = pointed_at(&policy(lookup), &simulator, &seed);
            let all = upstreams(&text);
            let one = all.iter().find(|one| one["name"].as_str() == Some(upstream)).unwrap();
            let place = one.get("url").or(one.get("servers")).unwrap().to_string();
            assert!(place.contains(&address.to_string()), "{lookup}/{upstream}: {place}");
            assert_eq!(text.lines().count(), policy(lookup).lines().count());
        }
        for lookup in ["rate", "account"] {
            let all = upstreams(&pointed_at(&policy(lookup), &simulator, &seed));
            let file = all[0]["database"].as_str().unwrap().strip_prefix("file:").unwrap();
            assert_eq!(std::fs::read_to_string(file).unwrap(), seed.url());
        }
        assert_eq!(pointed_at("127.0.0.1:8090", &simulator, &seed), "127.0.0.1:8090");
    }
}
