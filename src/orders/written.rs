//! Orders as other systems write them: one JSON object each.
//!
//! ```json
//! {"id":"b-4711","order":"flush","lookup":"account","key":"4711"}
//! {"id":"n-1","order":"health","lookup":"lrn","hand":"down"}
//! {"id":"n-2","order":"table","lookup":"rate","upstream":"deck","force":false}
//! {"id":"n-3","order":"warm","lookup":"lrn","keys":["13035550123"],"per_second":50}
//! {"id":"n-4","order":"warm_job","lookup":"lrn"}
//! {"id":"p-9","order":"ingest","lookup":"lrn","records":[{"key":"13035550123","record":{"lrn":"13035550000"},"ttl":86400}]}
//! {"id":"n-5","order":"target","target":"192.0.2.1:5060","ttl":"30s"}
//! ```
//!
//! `config/order.schema.json` is made from the types here.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::health::Override;
use crate::health::failed::LONGEST as LONGEST_TARGET;
use crate::lookup::Pushed;
use crate::orders::Order;
use crate::telemetry::log::masked;
use crate::written::{Leaf, in_units};

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

/// An order to every node, one message of the control topic.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "An order to dipcache"))]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
#[serde(expecting = "an order: a JSON object with `id`, `order` and what belongs to it")]
enum Typed {
    /// Forget what is known.
    Flush {
        id: Id,
        /// Of this lookup.
        lookup: String,
        /// Only this key, with further inputs as `key;ani=12025550123`; or with `*` at its end all keys that begin so, as
        /// they are kept: `+1303555*`. Without it: everything.
        key: Option<String>,
    },
    /// Lay a hand on a flag, or take it away.
    Health {
        id: Id,
        /// Of this lookup.
        lookup: String,
        hand: Hand,
    },
    /// Load tables anew.
    Table {
        id: Id,
        /// Of this lookup.
        lookup: String,
        /// Only this upstream's. Without it: all of the lookup's.
        upstream: Option<String>,
        /// True: whatever a load brings is believed.
        force: Option<bool>,
    },
    /// Ask for keys before anybody calls.
    Warm {
        id: Id,
        /// Of this lookup.
        lookup: String,
        /// The keys, each as a line of a warm file.
        #[cfg_attr(test, schemars(length(min = 1, max = 10_000)))]
        keys: Vec<String>,
        /// Dips a second at most.
        #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
        per_second: Option<f64>,
    },
    /// Run the policy's own warm job now, once in the cluster.
    WarmJob {
        id: Id,
        /// Of this lookup.
        lookup: String,
    },
    /// Keep records that another system knows, without asking anybody.
    Ingest {
        id: Id,
        /// Of this lookup.
        lookup: String,
        #[cfg_attr(test, schemars(length(min = 1, max = 10_000)))]
        records: Vec<Pushed>,
    },
    /// Avoid a destination that was found dead.
    Target {
        id: Id,
        /// Its address and port, as `192.0.2.1:5060` or `[2001:db8::1]:5060`.
        target: String,
        ttl: Ttl,
    },
}

/// Chosen by whoever orders. The same one twice is one order.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Id(#[cfg_attr(test, schemars(length(min = 1, max = 256)))] String);

/// `auto`: no hand any more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Hand {
    Up,
    Down,
    Auto,
}

/// For how long, at most a day: seconds, or text such as `30s`. 0 takes it back.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "`ttl`: seconds, or text such as \"30s\"")]
enum Ttl {
    Seconds(u32),
    Text(String),
}

/// Reads an order.
///
/// # Errors
/// What is wrong with it, in words that quote no value of it: a key may be a phone number.
pub fn read(bytes: &[u8]) -> Result<Written, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let typed = serde_json::from_slice(bytes).map_err(|error| masked(&error.to_string()))?;
    let (Id(id), order) = match typed {
        Typed::Flush { id, lookup, key } => (id, Order::Flush { lookup, key }),
        Typed::Health { id, lookup, hand } => (id, Order::Health { lookup, hand: hand.into() }),
        Typed::Table { id, lookup, upstream, force } => {
            (id, Order::Table { lookup, upstream, force: force.unwrap_or(false) })
        }
        Typed::Warm { id, lookup, keys, per_second } => {
            if !(1..=MOST_KEYS).contains(&keys.len()) {
                return Err(format!("`keys` must be a list of 1 to {MOST_KEYS}"));
            }
            if per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
                return Err("`per_second` must be above zero".to_owned());
            }
            (id, Order::Warm { lookup, keys, per_second })
        }
        Typed::WarmJob { id, lookup } => (id, Order::WarmJob { lookup }),
        Typed::Ingest { id, lookup, records } => {
            if !(1..=MOST_KEYS).contains(&records.len()) {
                return Err(format!("`records` must be a list of 1 to {MOST_KEYS}"));
            }
            (id, Order::Ingest { lookup, records })
        }
        Typed::Target { id, target, ttl } => {
            let target = target.parse().ok().filter(|target: &SocketAddr| target.port() > 0);
            let target = target.ok_or("`target` must be an address and a port, such as 192.0.2.1:5060")?;
            (id, Order::Target { target, span: ttl.span()? })
        }
    };
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(format!("`id` must have 1 to {LONGEST_ID} bytes"));
    }
    Ok(Written { id, order })
}

impl From<Hand> for Override {
    fn from(hand: Hand) -> Self {
        match hand {
            Hand::Up => Self::Up,
            Hand::Down => Self::Down,
            Hand::Auto => Self::Auto,
        }
    }
}

impl Ttl {
    fn span(self) -> Result<Duration, &'static str> {
        let span = match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds.into())),
            Self::Text(text) => Duration::from_text(&text).ok(),
        };
        span.filter(|span| *span <= LONGEST_TARGET)
            .ok_or("`ttl` must be a time of at most a day: 30, \"30s\" or \"5m\"")
    }
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
        Order::Target { target, span } => json!({ "target": target, "ttl": in_units(*span) }),
    };
    let mut whole = json!({ "id": id, "order": order.name() });
    if let Some(lookup) = order.lookup() {
        whole["lookup"] = lookup.into();
    }
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
        let target = "[2001:db8::1]:5060".parse().unwrap();
        for (ttl, span) in [("30", 30_000), (r#""1500ms""#, 1500), (r#""5m""#, 300_000), ("0", 0)] {
            let text = format!(r#"{{"id":"1","order":"target","target":"[2001:db8::1]:5060","ttl":{ttl}}}"#);
            assert_eq!(order(&text), Order::Target { target, span: Duration::from_millis(span) });
        }
    }

    #[test]
    fn the_shipped_schema_is_what_the_types_say() {
        crate::written::assert_is_shipped::<Typed>("config/order.schema.json");
    }

    /// What the schema says is what is read.
    #[test]
    fn the_schema_takes_what_is_taken() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/order.schema.json");
        let schema: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        for text in [
            r#"{"id":"1","order":"flush","lookup":"a","key":"1"}"#,
            r#"{"id":"1","order":"flush","lookup":"a"}"#,
            r#"{"id":"1","order":"health","lookup":"a","hand":"auto"}"#,
            r#"{"id":"1","order":"table","lookup":"a","upstream":"t","force":true}"#,
            r#"{"id":"1","order":"warm","lookup":"a","keys":["1"],"per_second":0.5}"#,
            r#"{"id":"1","order":"warm_job","lookup":"a"}"#,
            r#"{"id":"1","order":"warm_job","lookup":"a","keys":["1"]}"#,
            r#"{"id":"1","order":"ingest","lookup":"a","records":[{"key":"1","record":{"b":5},"inputs":{"ani":"2"},"ttl":60}]}"#,
            r#"{"id":"1","order":"ingest","lookup":"a","records":[{"key":"1","outcome":"not_found"}]}"#,
            r#"{"id":"1","order":"ingest","lookup":"a","records":[{"kee":"1"}]}"#,
            r#"{"id":"1","order":"ingest","lookup":"a","records":[]}"#,
            r#"{"id":"1","order":"target","target":"192.0.2.1:5060","ttl":"5m"}"#,
            r#"{"id":"1","order":"target","target":"192.0.2.1:5060","ttl":0}"#,
            r#"{"id":"1","order":"target","target":"192.0.2.1:5060"}"#,
            r#"{"id":"","order":"flush","lookup":"a"}"#,
            r#"{"order":"flush","lookup":"a"}"#,
            r#"{"id":"1","order":"flush"}"#,
            r#"{"id":"1","order":"melt","lookup":"a"}"#,
            r#"{"id":"1","order":"flush","lookup":"a","hand":"up"}"#,
            r#"{"id":"1","order":"flush","lookup":"a","colour":"red"}"#,
            r#"{"id":"1","order":"health","lookup":"a","hand":"off"}"#,
            r#"{"id":"1","order":"warm","lookup":"a","keys":[]}"#,
            r#"{"id":"1","order":"warm","lookup":"a","keys":["1"],"per_second":0}"#,
        ] {
            let order: Value = serde_json::from_str(text).unwrap();
            assert_eq!(schema.is_valid(&order), read(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_no_key_is_quoted() {
        assert!(wrong("13035550123 is no order").contains("order"), "{}", wrong("13035550123 is no order"));
        assert!(wrong(r#"{"id":"1","order":"melt","lookup":"a"}"#).contains("melt"));
        assert!(wrong(r#"{"id":"","order":"flush","lookup":"a"}"#).contains("`id`"));
        assert!(wrong(r#"{"id":"1","order":"health","lookup":"a","hand":"off"}"#).contains("`auto`"));
        assert!(wrong(r#"{"id":"1","order":"flush","lookup":"a","hand":"up"}"#).contains("`hand`"));
        assert!(wrong(r#"{"id":"1","order":"warm","lookup":"a","keys":[]}"#).contains("`keys`"));
        assert!(wrong(r#"{"id":"1","order":"ingest","lookup":"a","records":[]}"#).contains("`records`"));
        assert!(wrong(r#"{"id":"1","order":"ingest","lookup":"a","records":[{"kee":"1"}]}"#).contains("kee"));
        assert!(wrong(r#"{"id":"1","order":"warm_job","lookup":"a","keys":["1"]}"#).contains("`keys`"));
        assert!(wrong(r#"{"id":"1","order":"warm","lookup":"a","keys":["1"],"per_second":0}"#).contains("per_second"));
        assert!(wrong(r#"{"id":"1","order":"flush","lookup":"a","colour":"red"}"#).contains("colour"));
        for (target, ttl) in
            [("192.0.2.1", "30"), ("192.0.2.1:0", "30"), ("192.0.2.1:5060", r#""2d""#), ("192.0.2.1:5060", "-1")]
        {
            let text = format!(r#"{{"id":"1","order":"target","target":"{target}","ttl":{ttl}}}"#);
            let why = wrong(&text);
            assert!(why.contains("`target`") || why.contains("`ttl`"), "{text}: {why}");
        }
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
