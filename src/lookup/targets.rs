//! Which target first: chosen when an answer is given, since the cache's answer is the same for every call.
//!
//! A record's field `targets` is a list of maps with `ip`, `port`, `transport`, and where the DNS says so `rank`, `priority`,
//! `weight` and `host`. They are put in order as RFC 2782 has it: rank and priority first, then by lot with the weights,
//! hosts before addresses. What somebody found dead ([`FailedTargets`]) goes last and says so: it is better than
//! nothing when all are. Each target gets its `uri`, and the first one's is the record's `next_hop`.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

use crate::answer::{Answer, Record};
use crate::deadline::{Instant, now};
use crate::health::FailedTargets;
use crate::lookup::Lookup;

/// The field of the targets.
pub(super) const TARGETS: &str = "targets";

impl Lookup {
    /// The answer as it is told: with its targets in an order of this call's own, where it has any.
    #[inline]
    pub(super) fn told(&self, answer: Answer) -> Answer {
        if !self.steers {
            return answer;
        }
        let record = answer.record.as_ref().and_then(|record| in_order(record, &self.failed, now(), fastrand::f64));
        match record {
            Some(record) => Answer { record: Some(record), ..answer },
            None => answer,
        }
    }
}

/// The record with its targets in order; `None` where it has none. `chance` is from 0 to 1.
fn in_order(record: &Record, failed: &FailedTargets, now: Instant, mut chance: impl FnMut() -> f64) -> Option<Record> {
    let mut fields = record.to_map();
    let Some(Value::Array(targets)) = fields.get_mut(TARGETS) else { return None };
    let mut left: Vec<Map<String, Value>> = std::mem::take(targets)
        .into_iter()
        .filter_map(|target| if let Value::Object(target) = target { Some(target) } else { None })
        .collect();
    left.sort_by_key(|target| (number(target, "rank"), number(target, "priority")));
    let (mut ordered, mut dead) = (Vec::with_capacity(left.len()), Vec::new());
    while let Some(best) = left.first() {
        let place = (number(best, "rank"), number(best, "priority"));
        let same =
            left.iter().take_while(|target| (number(target, "rank"), number(target, "priority")) == place).count();
        let mut group: Vec<_> = left.drain(..same).collect();
        while !group.is_empty() {
            for mut target in one_host(&mut group, chance()) {
                target.extend(uri(&target).map(|uri| ("uri".to_owned(), uri.into())));
                if address(&target).is_some_and(|address| failed.is_avoided(address, now)) {
                    target.insert("failed".to_owned(), true.into());
                    dead.push(target);
                } else {
                    ordered.push(target);
                }
            }
        }
    }
    ordered.append(&mut dead);
    let next_hop = ordered.first().and_then(|target| target.get("uri")).cloned();
    fields.insert(TARGETS.to_owned(), Value::Array(ordered.into_iter().map(Value::Object).collect()));
    fields.extend(next_hop.map(|uri| ("next_hop".to_owned(), uri)));
    Some(Record::from_map(&fields))
}

/// Draws a host by weight (RFC 2782) and takes its addresses out. A weight of 0 has its small chance where others
/// have none.
fn one_host(group: &mut Vec<Map<String, Value>>, chance: f64) -> Vec<Map<String, Value>> {
    let name = |target: &Map<String, Value>| (target.get("host").cloned(), target.get("port").cloned());
    let mut hosts: Vec<_> = Vec::new();
    for target in group.iter() {
        if !hosts.iter().any(|(known, _)| *known == name(target)) {
            // Whole numbers up to 65535: a double holds their sum exactly. The share of a 0 is a hundredth of a 1.
            hosts.push((name(target), (number(target, "weight") as f64).max(0.01)));
        }
    }
    let mut lot = chance * hosts.iter().map(|(_, weight)| weight).sum::<f64>();
    let drawn = hosts.iter().position(|(_, weight)| {
        lot -= weight;
        lot < 0.0
    });
    let Some((drawn, _)) = hosts.get(drawn.unwrap_or(hosts.len().saturating_sub(1))) else { return group.split_off(0) };
    let (taken, rest) = std::mem::take(group).into_iter().partition(|target| name(target) == *drawn);
    *group = rest;
    taken
}

/// A whole number of a field that may be missing.
fn number(target: &Map<String, Value>, field: &str) -> u64 {
    target.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn address(target: &Map<String, Value>) -> Option<SocketAddr> {
    let ip: IpAddr = target.get("ip")?.as_str()?.parse().ok()?;
    Some(SocketAddr::new(ip, u16::try_from(target.get("port")?.as_u64()?).ok()?))
}

/// What a routing script sends the request to.
fn uri(target: &Map<String, Value>) -> Option<String> {
    let transport = target.get("transport").and_then(Value::as_str).unwrap_or("udp");
    Some(format!("sip:{};transport={transport}", address(target)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record() -> Record {
        let target = |rank: u8, priority: u8, weight: u8, host: &str, ip: &str| {
            format!(
                r#"{{"ip":"{ip}","port":5060,"transport":"udp","host":"{host}","rank":{rank},"priority":{priority},"weight":{weight}}}"#
            )
        };
        let all = [
            target(1, 0, 0, "late", "192.0.2.9"),
            target(0, 20, 0, "spare", "192.0.2.3"),
            target(0, 10, 60, "a", "192.0.2.1"),
            target(0, 10, 60, "a", "2001:db8::1"),
            target(0, 10, 40, "b", "192.0.2.2"),
        ];
        Record::from_json(format!(r#"{{"targets":[{}]}}"#, all.join(",")))
    }

    fn hosts(record: &Record) -> Vec<String> {
        let map = record.to_map();
        let targets = map["targets"].as_array().unwrap();
        targets.iter().map(|target| target["host"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn rank_then_priority_then_the_lot() {
        let failed = FailedTargets::default();
        let first = in_order(&record(), &failed, now(), || 0.0).unwrap();
        assert_eq!(hosts(&first), ["a", "a", "b", "spare", "late"]);
        assert_eq!(first.to_map()["next_hop"], "sip:192.0.2.1:5060;transport=udp");
        assert_eq!(first.to_map()["targets"][1]["uri"], "sip:[2001:db8::1]:5060;transport=udp");
        let other = in_order(&record(), &failed, now(), || 0.999).unwrap();
        assert_eq!(hosts(&other), ["b", "a", "a", "spare", "late"]);
    }

    #[test]
    fn the_lot_follows_the_weights() {
        let failed = FailedTargets::default();
        let mut random = fastrand::Rng::with_seed(7);
        let mut first = |host: &str| {
            let draw = |_: &i32| hosts(&in_order(&record(), &failed, now(), || random.f64()).unwrap())[0] == host;
            (0..2000).filter(draw).count()
        };
        let share = first("a");
        assert!((1120..1280).contains(&share), "60 of 100 of 2000: {share}");
    }

    #[test]
    fn the_dead_go_last_and_come_back() {
        let (failed, start) = (FailedTargets::default(), now());
        failed.avoid("192.0.2.1:5060".parse().unwrap(), Duration::from_secs(5), start).unwrap();
        let told = in_order(&record(), &failed, start, || 0.0).unwrap().to_map();
        let ips: Vec<&str> =
            told["targets"].as_array().unwrap().iter().map(|one| one["ip"].as_str().unwrap()).collect();
        assert_eq!(ips, ["2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.9", "192.0.2.1"]);
        assert_eq!((&told["targets"][4]["failed"], told["targets"][0].get("failed")), (&Value::Bool(true), None));
        let later = in_order(&record(), &failed, start + Duration::from_secs(5), || 0.0).unwrap();
        assert_eq!(later.to_map()["next_hop"], "sip:192.0.2.1:5060;transport=udp");
    }

    #[test]
    fn records_without_targets_stay_as_they_are() {
        let failed = FailedTargets::default();
        for json in ["{}", r#"{"a":["192.0.2.1"]}"#, r#"{"targets":"x"}"#] {
            assert_eq!(in_order(&Record::from_json(json), &failed, now(), || 0.0), None, "{json}");
        }
        let odd = in_order(&Record::from_json(r#"{"targets":[1,{"ip":"x"},{}]}"#), &failed, now(), || 0.0).unwrap();
        assert_eq!(odd.as_json(), r#"{"targets":[{"ip":"x"},{}]}"#);
    }
}
