//! The record that goes out: its order, the field that stands for it as text, and the one that is
//! answered when nothing else can be.

use super::Check;
use super::compile::Names;
use crate::policy::expr::Place;
use crate::policy::file::{AnswerFile, FallbackFile};
use crate::policy::kind::Kind;
use crate::policy::{FallbackValue, Then, UpstreamPolicy};
use crate::written::{Node, Spanned, nearest};

/// Every field once, in the order in which upstreams, the fallback and dependent steps first name it.
pub(super) fn field_order(
    upstreams: &[UpstreamPolicy],
    fallback: Option<&[(String, FallbackValue)]>,
    then: &[Then],
) -> Vec<String> {
    let named = upstreams.iter().flat_map(|upstream| upstream.fields.iter().map(|(name, _)| name));
    let fallback = fallback.unwrap_or_default().iter().map(|(name, _)| name);
    let added = then.iter().flat_map(|then| then.fields.iter().map(|(name, _)| name));
    let mut order: Vec<String> = Vec::new();
    for name in named.chain(fallback).chain(added) {
        if !order.contains(name) {
            order.push(name.clone());
        }
    }
    order
}

impl Check<'_> {
    /// `[fallback]`
    pub(super) fn fallback(
        &mut self,
        file: Spanned<FallbackFile>,
        names: &Names,
    ) -> Option<Vec<(String, FallbackValue)>> {
        let table = file.span();
        let Some(record) = file.into_inner().record else {
            let mend = "write `record = { lrn = \"{{ key }}\", ported = false }`";
            self.faults.missing(&table, "record", "`record` is missing", mend);
            return None;
        };
        let mut fields = Vec::new();
        for (name, node) in record {
            let span = node.span();
            let value = match node.into_inner() {
                Node::Text(text) => {
                    self.template(&Spanned::new(span, text), names.question(), Place::Plain).map(FallbackValue::Text)
                }
                node => Some(FallbackValue::Fixed(fixed(node))),
            };
            fields.extend(value.map(|value| (name.into_inner(), value)));
        }
        Some(fields)
    }

    /// The field that format `text` answers: the policy's word, else the kind's, else the first.
    pub(super) fn text_field(&mut self, file: AnswerFile, kind: Kind, order: &[String]) -> String {
        let known = |name: &str| order.iter().any(|field| field == name);
        match self.faults.value(file.text) {
            Some(name) => {
                // Without a single good field there is a greater fault, told elsewhere.
                if !order.is_empty() && !known(name.get_ref()) {
                    let near = nearest(name.get_ref(), order.iter().map(String::as_str))
                        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
                    let what = format!("`{}` is no field of the record", name.get_ref());
                    self.faults.at(&name.span(), what, format!("{near}the fields are {}", order.join(", ")));
                }
                name.into_inner()
            }
            None => {
                let order: Vec<&str> = order.iter().map(String::as_str).collect();
                kind.text_field(&order).unwrap_or_default().to_owned()
            }
        }
    }
}

/// A value without templates, as JSON.
fn fixed(node: Node) -> serde_json::Value {
    match node {
        Node::Text(text) => text.into(),
        Node::Fixed(value) => value,
        Node::List(list) => list.into_iter().map(|node| fixed(node.into_inner())).collect(),
        Node::Table(table) => {
            serde_json::Value::Object(table.into_iter().map(|(key, node)| (key, fixed(node.into_inner()))).collect())
        }
    }
}
