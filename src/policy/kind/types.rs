//! What type a canonical field has, and how a vendor's value is brought to it.
//!
//! The same field has one type whichever vendor gave it: a script never sees `"Y"` here and `true` there. What
//! cannot be brought to its type is not known, and left out.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::Kind;
use crate::policy::filters::types::{as_bool, as_float, as_int, as_string, whole};
use crate::policy::number::{self, Country};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// E.164 with `+`.
    Number,
    /// Text whose zeros count.
    Code,
    /// True, false, or not known.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Decimal,
    /// Text.
    Text,
    /// Whatever it is: lists, maps, times.
    Free,
}

impl Kind {
    /// The type of a field of its record; a field of the policy's own is free.
    pub fn field_type(self, field: &str) -> FieldType {
        if self == Self::Raw || !self.knows(field) {
            return FieldType::Free;
        }
        match field {
            "tn" | "lrn" => FieldType::Number,
            "ported" | "local" | "is_placeholder" | "is_spam" | "is_robocall" | "is_fraud" | "recent_abuse" | "dno"
            | "dnc" | "roaming" | "enabled" | "prepaid" | "fraud_hold" | "blocked" | "portable" | "pooled" | "npdi" => {
                FieldType::Bool
            }
            "spid" | "alt_spid" | "ocn" | "aocn" | "lata" | "npa" | "nxx" | "block" | "block_id" | "clli"
            | "tandem_clli" | "mcc" | "mnc" | "cic" | "ror" | "imsi" | "prefix" | "tech_prefix" | "account_id"
            | "ssc" | "q_stat" | "sha_indicator" => FieldType::Code,
            "reports" | "cps_limit" | "channel_limit" | "min_duration" | "increment" | "ttl" => FieldType::Int,
            "score" | "balance" | "credit_limit" | "rate_inter" | "rate_intra" | "rate_indeterminate"
            | "rate_local" | "connect_fee" => FieldType::Decimal,
            "routes" | "naptr" | "srv" | "a" | "aaaa" | "txt" | "ptr" | "allowed_cli" | "auth_ips" | "codecs"
            | "features" | "civic" | "geo" => FieldType::Free,
            _ => FieldType::Text,
        }
    }
}

impl FieldType {
    /// A value in this type; undefined or null where it says nothing.
    pub fn of(self, value: Value) -> Value {
        match self {
            Self::Free => value,
            Self::Number => canonical_number(&value),
            Self::Code => scalar(&value).and_then(as_string).map_or(Value::UNDEFINED, |text| text.trim().into()),
            Self::Bool => as_bool(&value).map_or(Value::UNDEFINED, Value::from),
            Self::Int => as_int(&value).map_or(Value::UNDEFINED, Value::from),
            Self::Decimal => as_float(&value)
                .map_or(Value::UNDEFINED, |number| whole(number).map_or(Value::from(number), Value::from)),
            Self::Text => match scalar(&value) {
                Some(scalar) => as_string(scalar).map_or(Value::UNDEFINED, Value::from),
                None => value,
            },
        }
    }
}

/// A value of one piece; an XML element counts by its text. Lists and maps stay what they are.
fn scalar(value: &Value) -> Option<&Value> {
    let is_list = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
    (!is_list || has_text(value)).then_some(value)
}

fn has_text(value: &Value) -> bool {
    value.get_attr("#text").is_ok_and(|text| !text.is_undefined())
}

/// Read as a caller's number is, by the rules of the North American plan where it has no `+`.
fn canonical_number(value: &Value) -> Value {
    let text = as_string(value).unwrap_or_default();
    number::parse(&text, Country::US).map_or(Value::UNDEFINED, |number| Value::from(number.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_to_their_type_or_are_not_known() {
        let of = |field: &str, value: Value| {
            let typed = Kind::Lrn.field_type(field).of(value);
            serde_json::to_value(&typed).unwrap_or_default()
        };
        assert_eq!(of("lrn", "3035550100".into()), "+13035550100");
        assert_eq!(of("lrn", 13_035_550_100_i64.into()), "+13035550100");
        assert_eq!(of("lrn", "NONE".into()), serde_json::Value::Null);
        assert_eq!(of("ported", "Y".into()), true);
        assert_eq!(of("ported", 0.into()), false);
        assert_eq!(of("ported", "2".into()), serde_json::Value::Null);
        assert_eq!(of("mnc", "004".into()), "004");
        assert_eq!(of("lata", 656.into()), "656");
        assert_eq!(of("state", 5.into()), "5");
        assert_eq!(of("own_field", 5.into()), 5);
        assert_eq!(Kind::Rate.field_type("rate_inter").of("0.00650".into()).to_string(), "0.0065");
        assert_eq!(Kind::Reputation.field_type("score").of("42".into()).as_i64(), Some(42));
        assert_eq!(Kind::Raw.field_type("ported"), FieldType::Free);
    }
}
