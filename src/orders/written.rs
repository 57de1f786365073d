//! Orders as other systems write them: one JSON object each.
//!
//! ```json
//! {"id":"b-4711","order":"flush","lookup":"account","key":"4711"}
//! {"id":"n-1","order":"health","lookup":"lrn","hand":"down"}
//! {"id":"n-2","order":"table","lookup":"rate","upstream":"deck","force":false}
//! {"id":"n-3","order":"warm","lookup":"lrn","keys":["13035550123"],"per_second":50}
//! {"id":"n-4","order":"warm_job","lookup":"lrn"}
//! {"id":"p-9","order":"ingest","lookup":"lrn","records":[{"key":"13035550123","record":{"lrn":"13035550000"},"ttl":86400}]}
//! ```

use serde::Deserialize;
use serde_json::{Value, json};

use crate::health::Override;
use crate::lookup::Pushed;
use crate::orders::Order;
use crate::telemetry::log::masked;

/// No order is longer, in bytes.
pub const LONGEST: usize = 256 * 1024;
/// An `id` is no longer, in bytes.
const LONGEST_ID: usize = 256;
/// No order warms more keys, or brings more records.
const MOST_KEYS: usize = 10_000;

/// An order and the name under which it is carried out once.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Chosen by whoever orders. The same one twice is one order.
    pub id: String,
    /// What is to be done.
    pub order: Order,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an order: a JSON object with `id`, `order` and what belongs to it")]
struct Typed {
    id: String,
    order: Word,
    lookup: String,
    key: Option<String>,
    hand: Option<String>,
    upstream: Option<String>,
    force: Option<bool>,
    keys: Option<Vec<String>>,
    per_second: Option<f64>,
    records: Option<Vec<Pushed>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Flush,
    Health,
    Table,
    Warm,
    WarmJob,
    Ingest,
}

/// Reads an order.
///
/// # Errors
/// What is wrong with it, in words that quote no value of it: a key may be a phone number.
pub fn read(bytes: &[u8]) -> Result<Written, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let typed: Typed = serde_json::from_slice(bytes).map_err(|error| masked(&error.to_string()))?;
    if typed.id.is_empty() || typed.id.len() > LONGEST_ID {
        return Err(format!("`id` must have 1 to {LONGEST_ID} bytes"));
    }
    let foreign = [
        ("key", typed.key.is_some(), &[Word::Flush][..]),
        ("hand", typed.hand.is_some(), &[Word::Health]),
        ("upstream", typed.upstream.is_some(), &[Word::Table]),
        ("force", typed.force.is_some(), &[Word::Table]),
        ("keys", typed.keys.is_some(), &[Word::Warm]),
        ("per_second", typed.per_second.is_some(), &[Word::Warm]),
        ("records", typed.records.is_some(), &[Word::Ingest]),
    ];
    if let Some((name, ..)) = foreign.iter().find(|(_, given, owners)| *given && !owners.contains(&typed.order)) {
        return Err(format!("`{name}` means nothing for this order"));
    }
    let lookup = typed.lookup;
    let order = match typed.order {
        Word::Flush => Order::Flush { lookup, key: typed.key },
        Word::Health => {
            let hand = typed.hand.as_deref().and_then(Override::from_name);
            Order::Health { lookup, hand: hand.ok_or("`hand` must be `up`, `down` or `auto`")? }
        }
        Word::Table => Order::Table { lookup, upstream: typed.upstream, force: typed.force.unwrap_or(false) },
        Word::Warm => {
            let keys = typed.keys.filter(|keys| (1..=MOST_KEYS).contains(&keys.len()));
            let keys = keys.ok_or_else(|| format!("`keys` must be a list of 1 to {MOST_KEYS}"))?;
            if typed.per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
                return Err("`per_second` must be above zero".to_owned());
            }
            Order::Warm { lookup, keys, per_second: typed.per_second }
        }
        Word::WarmJob => Order::WarmJob { lookup },
        Word::Ingest => {
            let records = typed.records.filter(|records| (1..=MOST_KEYS).contains(&records.len()));
            let records = records.ok_or_else(|| format!("`records` must be a list of 1 to {MOST_KEYS}"))?;
            Order::Ingest { lookup, records }
        }
    };
    Ok(Written { id: typed.id, order })
}

/// The order as it would be written.
pub fn write(id: &str, order: &Order) -> Vec<u8> {
    let own = match order {
        Order::Flush { key: Some(key), .. } => json!({ "key": key }),
        Order::Flush { key: None, .. } => json!({}),
        Order::Health { hand, .. } => json!({ "hand": hand.as_str() }),
        Order::Table { upstream: None, force, .. } => json!({ "force": force }),
        Order::Table { upstream: Some(upstream), force, .. } => json!({ "upstream": upstream, "force": force }),
        Order::Warm { keys, per_second: None, .. } => json!({ "keys": keys }),
        Order::Warm { keys, per_second: Some(rate), .. } => json!({ "keys": keys, "per_second": rate }),
        Order::WarmJob { .. } => json!({}),
        Order::Ingest { records, .. } => json!({ "records": records }),
    };
    let mut whole = json!({ "id": id, "order": order.name(), "lookup": order.lookup() });
    if let (Value::Object(whole), Value::Object(own)) = (&mut whole, own) {
        whole.extend(own);
    }
    whole.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrong(text: &str) -> String {
        read(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn every_order_has_its_form() {
        let order = |text: &str| {
            let written = read(text.as_bytes()).unwrap();
            assert_eq!(read(&write(&written.id, &written.order)).unwrap(), written, "and back");
            written.order
        };
        let lookup = || "account".to_owned();
        assert_eq!(
            order(r#"{"id":"1","order":"flush","lookup":"account","key":"4711"}"#),
            Order::Flush { lookup: lookup(), key: Some("4711".into()) }
        );
        assert_eq!(
            order(r#"{"id":"1","order":"flush","lookup":"account"}"#),
            Order::Flush { lookup: lookup(), key: None }
        );
        assert_eq!(
            order(r#"{"id":"1","order":"health","lookup":"account","hand":"down"}"#),
            Order::Health { lookup: lookup(), hand: Override::Down }
        );
        assert_eq!(
            order(r#"{"id":"1","order":"table","lookup":"account","force":true}"#),
            Order::Table { lookup: lookup(), upstream: None, force: true }
        );
        assert_eq!(
            order(r#"{"id":"1","order":"warm","lookup":"account","keys":["4711"],"per_second":5}"#),
            Order::Warm { lookup: lookup(), keys: vec!["4711".into()], per_second: Some(5.0) }
        );
        assert_eq!(order(r#"{"id":"1","order":"warm_job","lookup":"account"}"#), Order::WarmJob { lookup: lookup() });
        let Order::Ingest { records, .. } = order(
            r#"{"id":"1","order":"ingest","lookup":"account","records":[{"key":"4711","record":{"balance":5}},{"key":"4712","outcome":"not_found","ttl":60}]}"#,
        ) else {
            panic!("it is to be kept")
        };
        assert_eq!((records[0].key.as_str(), records[1].ttl), ("4711", Some(60)));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_key_is_quoted() {
        assert!(wrong("13035550123 is no order").contains("order"), "{}", wrong("13035550123 is no order"));
        assert!(wrong(r#"{"id":"1","order":"melt","lookup":"a"}"#).contains("melt"));
        assert!(wrong(r#"{"id":"","order":"flush","lookup":"a"}"#).contains("`id`"));
        assert!(wrong(r#"{"id":"1","order":"health","lookup":"a","hand":"off"}"#).contains("`hand`"));
        assert!(wrong(r#"{"id":"1","order":"flush","lookup":"a","hand":"up"}"#).contains("means nothing"));
        assert!(wrong(r#"{"id":"1","order":"warm","lookup":"a","keys":[]}"#).contains("`keys`"));
        assert!(wrong(r#"{"id":"1","order":"ingest","lookup":"a","records":[]}"#).contains("`records`"));
        assert!(wrong(r#"{"id":"1","order":"ingest","lookup":"a","records":[{"kee":"1"}]}"#).contains("kee"));
        assert!(wrong(r#"{"id":"1","order":"warm_job","lookup":"a","keys":["1"]}"#).contains("means nothing"));
        assert!(wrong(r#"{"id":"1","order":"warm","lookup":"a","keys":["1"],"per_second":0}"#).contains("per_second"));
        assert!(wrong(r#"{"id":"1","order":"flush","lookup":"a","colour":"red"}"#).contains("colour"));
        assert!(wrong(&" ".repeat(LONGEST + 1)).contains("longer"));
        assert!(!wrong(r#"{"id":"1","order":"flush","lookup":"a","key":13035550123}"#).contains("5550123"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
