//! What makes two policies the same: for the cache, and for a reload.
//!
//! Both digests are taken over the file's tree, not its text: comments, spaces and the order of keys
//! do not count, except where order means something (fields, inputs, lists). FNV-1a is written out
//! here because the value must be the same on every node and in every release: nodes that share a
//! cache compare shapes.

use toml::de::{DeTable, DeValue};

use crate::policy::Vars;
use crate::written::Document;

/// Keys of an upstream that change when and how fast it is asked, and not what its answer means.
const NOT_SHAPE: [&str; 21] = [
    "concurrency",
    "rate",
    "timeout",
    "hold",
    "pool",
    "try_timeout",
    "verify_tls",
    "ca",
    "max_body",
    "retry",
    "weights",
    "safe",
    "tls",
    "source_address",
    "proxy",
    "user_agent",
    "every",
    "load_timeout",
    "max_change",
    "min_rows",
    "max_rows",
];

/// Tables whose order is the operator's word.
const ORDERED: [&str; 5] = ["fields", "input", "record", "query", "form"];

/// Equal for two policies whose answers may share a cache.
pub(super) fn shape(document: &Document<'_>, vars: &Vars) -> u64 {
    let mut digest = Fnv::new();
    for part in ["kind", "input", "maps", "upstream", "merge", "then"] {
        if let Some(value) = document.root().get(part) {
            digest.text(part);
            digest.value(value.get_ref(), part, &NOT_SHAPE);
        }
    }
    digest.vars(vars);
    digest.0
}

/// Equal for two policies that are the same in everything, secrets' values included.
pub(super) fn fingerprint(name: &str, document: &Document<'_>, vars: &Vars, secrets: &[String]) -> u64 {
    let mut digest = Fnv::new();
    digest.text(name);
    digest.table(document.root(), "", &[]);
    digest.vars(vars);
    secrets.iter().for_each(|secret| digest.text(secret));
    digest.0
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Text with its length, so that two texts never run into one.
    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    /// Variables as they are after a site has put in its own.
    fn vars(&mut self, vars: &Vars) {
        for (name, value) in vars {
            self.text(name);
            self.text(value);
        }
    }

    fn table(&mut self, table: &DeTable<'_>, name: &str, without: &[&str]) {
        let mut entries: Vec<_> = table.iter().filter(|(key, _)| !without.contains(&&**key.get_ref())).collect();
        if !ORDERED.contains(&name) {
            entries.sort_by(|a, b| a.0.get_ref().cmp(b.0.get_ref()));
        }
        self.bytes(b"{");
        for (key, value) in entries {
            self.text(key.get_ref());
            self.value(value.get_ref(), key.get_ref(), &[]);
        }
        self.bytes(b"}");
    }

    fn value(&mut self, value: &DeValue<'_>, name: &str, without: &[&str]) {
        match value {
            DeValue::Table(table) => self.table(table, name, without),
            DeValue::Array(list) => {
                self.bytes(b"[");
                list.iter().for_each(|element| self.value(element.get_ref(), name, without));
                self.bytes(b"]");
            }
            DeValue::String(text) => {
                self.bytes(b"s");
                self.text(text);
            }
            DeValue::Boolean(value) => self.bytes(&[b'b', u8::from(*value)]),
            DeValue::Integer(number) => self.text(&format!("i{number}")),
            DeValue::Float(number) => self.text(&format!("f{number}")),
            DeValue::Datetime(date) => self.text(&format!("d{date}")),
        }
    }
}
