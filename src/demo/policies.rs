//! The demo's policies name fixed ports, so that they read like any other policy; a demo that runs elsewhere
//! points them at its own upstreams before they are loaded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::seed::{Seed, URL_FILE};

/// Whatever may stand for an upstream's place in a policy's text.
static PLACES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"127\.0\.0\.1:\d+|file:{}", regex::escape(URL_FILE))).ok());

/// A demo policy's text with the places of this process in it. Lines keep their numbers; what is not ours stays.
pub fn pointed_at(text: &str, moved: &[(SocketAddr, SocketAddr)], seed: &Seed) -> String {
    let mut places: BTreeMap<String, String> =
        moved.iter().map(|(usual, now)| (usual.to_string(), now.to_string())).collect();
    places.insert(format!("file:{URL_FILE}"), format!("file:{}", seed.url_file().display()));
    // The pattern is a constant that a test compiles; without it nothing would be replaced.
    let Some(pattern) = &*PLACES else { return text.to_owned() };
    let place = |found: &Captures<'_>| places.get(&found[0]).cloned().unwrap_or_else(|| found[0].to_owned());
    pattern.replace_all(text, place).into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::answer::Outcome;
    use crate::deadline::Deadline;
    use crate::demo::numbers::Numbers;
    use crate::demo::tally::ASKED;
    use crate::demo::vendors::{Ports, Simulator};
    use crate::policy::{Judgement, Policy, check};
    use crate::upstream::{FailureKind, Upstream};

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
            let text = pointed_at(&policy(lookup), &simulator.moved(), &seed);
            let all = upstreams(&text);
            let one = all.iter().find(|one| one["name"].as_str() == Some(upstream)).unwrap();
            let place = one.get("url").or(one.get("servers")).unwrap().to_string();
            assert!(place.contains(&address.to_string()), "{lookup}/{upstream}: {place}");
            assert_eq!(text.lines().count(), policy(lookup).lines().count());
        }
        for lookup in ["rate", "account"] {
            let all = upstreams(&pointed_at(&policy(lookup), &simulator.moved(), &seed));
            let file = all[0]["database"].as_str().unwrap().strip_prefix("file:").unwrap();
            assert_eq!(std::fs::read_to_string(file).unwrap(), seed.url());
        }
        assert_eq!(pointed_at("127.0.0.1:8090", &simulator.moved(), &seed), "127.0.0.1:8090");
    }

    fn loaded(lookup: &str, simulator: &Simulator, seed: &Seed) -> Policy {
        let text = pointed_at(&policy(lookup), &simulator.moved(), seed);
        check::parse(lookup, Path::new("demo.toml"), &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    /// Asks one upstream of a policy, as the pipeline would.
    async fn dip(policy: &Policy, upstream: &str, key: &str) -> Judgement {
        dip_with(policy, upstream, key, &[]).await
    }

    async fn dip_with(policy: &Policy, upstream: &str, key: &str, inputs: &[(&str, &str)]) -> Judgement {
        let question = policy.question(key, inputs).unwrap();
        let one = policy.upstreams.iter().find(|one| &*one.name == upstream).unwrap();
        let client = Upstream::build(one).unwrap();
        // The policy's own time limits are short, and this machine may be busy.
        for _ in 0..20 {
            let deadline = Deadline::after(Duration::from_secs(5));
            match client.ask(one, &question, deadline).await {
                Err(failure) if matches!(failure.kind, FailureKind::Timeout | FailureKind::Connect) => {}
                reading => return one.judge(policy.kind, &question, &reading.unwrap()),
            }
        }
        panic!("{upstream} gave no answer to {key} in twenty tries");
    }

    #[tokio::test]
    async fn every_policy_loads_and_keeps_the_budget_that_is_promised() {
        let (simulator, seed) = (Simulator::start(Ports::Free).await.unwrap(), Seed::plant().await.unwrap());
        for asked in ASKED {
            let policy = loaded(asked.lookup, &simulator, &seed);
            assert_eq!(policy.budget.call, asked.budget, "{}", asked.lookup);
        }
    }

    #[tokio::test]
    async fn two_vendors_give_one_record() {
        let (simulator, seed) = (Simulator::start(Ports::Free).await.unwrap(), Seed::plant().await.unwrap());
        let numbers = Numbers::default();
        for (lookup, shared) in
            [("lrn", ["lrn", "ported", "lata", "state"]), ("cnam", ["name", "name", "caller_type", "caller_type"])]
        {
            let policy = loaded(lookup, &simulator, &seed);
            let mut outcomes = Vec::new();
            for step in 0..40 {
                let key = numbers.pick(f64::from(step) / 40.0);
                let (a, b) = (dip(&policy, "vendor-a", key).await, dip(&policy, "vendor-b", key).await);
                assert_eq!(a.outcome, b.outcome, "{lookup} {key}: {a:?} {b:?}");
                outcomes.push(a.outcome);
                if let (Some(a), Some(b)) = (a.record, b.record) {
                    let (a, b) = (a.to_map(), b.to_map());
                    for field in shared {
                        assert!(a.contains_key(field), "{lookup} {key} {field}: {a:?}");
                        assert_eq!(a.get(field), b.get(field), "{lookup} {key} {field}");
                    }
                }
            }
            assert!(
                outcomes.contains(&Outcome::Found) && outcomes.contains(&Outcome::NotFound),
                "{lookup} {outcomes:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_carriers_addresses_come_with_their_time() {
        let (simulator, seed) = (Simulator::start(Ports::Free).await.unwrap(), Seed::plant().await.unwrap());
        let policy = loaded("carrier-dns", &simulator, &seed);
        let found = dip_with(&policy, "ns-a", "sip.carrier.test", &[("type", "A")]).await;
        assert_eq!(found.record.unwrap().as_json(), r#"{"a":["127.0.1.1","127.0.1.2"]}"#);
        assert_eq!(found.ttl, Some(Duration::from_secs(30)));
        assert_eq!(dip(&policy, "ns-a", "nowhere.carrier.test").await.outcome, Outcome::NotFound);
    }

    #[tokio::test]
    async fn a_domain_or_uri_leads_to_targets() {
        let (simulator, seed) = (Simulator::start(Ports::Free).await.unwrap(), Seed::plant().await.unwrap());
        let policy = loaded("carrier-dns", &simulator, &seed);
        for (key, targets) in [
            (
                "carrier.test",
                vec![
                    "tls 127.0.1.1:5061",
                    "udp 127.0.1.1:5060",
                    "udp 127.0.1.2:5060",
                    "udp 127.0.1.3:5060",
                    "tcp 127.0.1.1:5060",
                    "tcp 127.0.1.2:5060",
                ],
            ),
            ("sips:alice@sip.carrier.test", vec!["tls 127.0.1.1:5061"]),
            ("sip:edge-3.carrier.test:5070", vec!["udp 127.0.1.3:5070"]),
        ] {
            let found = dip(&policy, "ns-a", key).await.record.unwrap().to_map();
            let told = |one: &serde_json::Value| {
                format!("{} {}:{}", one["transport"].as_str().unwrap(), one["ip"].as_str().unwrap(), one["port"])
            };
            assert_eq!(found["targets"].as_array().unwrap().iter().map(told).collect::<Vec<_>>(), targets, "{key}");
            assert_eq!(found["a"][0], "127.0.1.1".replace("1.1", if key.contains("edge-3") { "1.3" } else { "1.1" }));
        }
    }

    #[tokio::test]
    async fn one_policy_asks_for_every_type() {
        let (simulator, seed) = (Simulator::start(Ports::Free).await.unwrap(), Seed::plant().await.unwrap());
        let policy = loaded("carrier-dns", &simulator, &seed);
        for (name, record_type, expected) in [
            ("edge-1.carrier.test", "aaaa", r#"{"aaaa":["2001:db8:51b::1"]}"#),
            (
                "_sips._tcp.sip.carrier.test",
                "SRV",
                r#"{"srv":[{"priority":10,"weight":50,"port":5061,"target":"edge-1.carrier.test"}]}"#,
            ),
            ("sip.carrier.test", "TXT", r#"{"txt":["maintenance=sun 03:00Z"]}"#),
        ] {
            let found = dip_with(&policy, "ns-a", name, &[("type", record_type)]).await;
            assert_eq!(found.record.unwrap().as_json(), expected);
        }
        let naptr = dip_with(&policy, "ns-a", "carrier.test", &[("type", "NAPTR")]).await.record.unwrap().to_map();
        assert_eq!(naptr["naptr"][0]["service"], "SIPS+D2T");
        assert_eq!(naptr["naptr"][2]["replacement"], "_sip._tcp.sip.carrier.test");
        let refused = policy.question("carrier.test", &[("type", "MX")]).unwrap_err().to_string();
        assert_eq!(refused, "input `type` is not one of SIP, A, AAAA, SRV, NAPTR, TXT, CNAME");
    }
}
