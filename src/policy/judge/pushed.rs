//! Records that another system pushes: held against the policy as a vendor's would be.

use serde_json::{Map, Value};

use super::record;
use crate::answer::{Outcome, Record};
use crate::policy::Policy;
use crate::written::nearest;

impl Policy {
    /// The record of these fields, and whether it is whole.
    ///
    /// # Errors
    /// In words: a field that the policy does not have, or a value that does not fit its field's type.
    pub fn record_of_pushed(&self, fields: Map<String, Value>) -> Result<(Outcome, Record), String> {
        if let Some(name) = fields.keys().find(|name| !self.field_order.contains(name)) {
            let near = nearest(name, self.field_order.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let known = self.field_order.join(", ");
            return Err(format!("there is no field `{}`{near} This lookup has {known}", name.escape_debug()));
        }
        let said: Vec<String> = fields.iter().filter(|(_, value)| says(value)).map(|(name, _)| name.clone()).collect();
        let typed = record::of_values(self.kind, fields.iter().map(|(name, value)| (name.as_str(), value.clone())));
        if let Some(name) = said.iter().find(|name| !typed.has(name)) {
            return Err(format!("the value of `{name}` does not fit its type"));
        }
        if typed.is_empty() {
            return Err("the record says nothing: it has no field with a value".to_owned());
        }
        // In the policy's order, as every other record.
        let ordered = typed.in_order(self.field_order.iter().map(|name| &**name));
        let record = ordered.record();
        if record.as_json().len() > record::MAX_RECORD {
            return Err(format!("the record is longer than {} bytes", record::MAX_RECORD));
        }
        let whole = self.upstreams.iter().flat_map(|upstream| &upstream.required).all(|name| ordered.has(name));
        Ok((if whole { Outcome::Found } else { Outcome::Partial }, record))
    }
}

/// True for a value that a record would keep.
fn says(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}
