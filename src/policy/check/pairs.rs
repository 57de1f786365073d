//! `query = { … }` and `form = { … }`: parameters by name.

use super::Check;
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::{Pair, Template};
use crate::written::{Node, Span, Spanned};

impl Check<'_> {
    /// The parameters, in order. Each value is encoded as a whole when it is sent, so its place is plain here.
    pub(super) fn pairs(&mut self, file: Spanned<Node>, key: &str, around: &Around<'_>) -> Vec<Pair> {
        let span = file.span();
        let Node::Table(table) = file.into_inner() else {
            let mend = format!("write `{key} = {{ number = \"{{{{ key }}}}\" }}`");
            self.faults.at(&span, format!("`{key}` is a table of names and values"), mend);
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, node) in table {
            let span = node.span();
            if name.is_empty() {
                self.faults.at(&span, "a parameter has no name", "write its name before the `=`");
            }
            let items = match node.into_inner() {
                Node::List(items) => items,
                node => vec![Spanned::new(span, node)],
            };
            for item in &items {
                if let Node::Text(text) = item.get_ref() {
                    self.open_secret(&item.span(), &name, text);
                }
            }
            let values = items.into_iter().filter_map(|item| self.pair_value(item, around)).collect();
            pairs.push(Pair { name, values });
        }
        pairs
    }

    fn pair_value(&mut self, item: Spanned<Node>, around: &Around<'_>) -> Option<Template> {
        let span: Span = item.span();
        let text = match item.into_inner() {
            Node::Text(text) => text,
            Node::Fixed(value) => value.to_string(),
            Node::List(_) | Node::Table(_) => {
                self.faults.at(&span, "a parameter's value is text, a number or a list of such", "write it as text");
                return None;
            }
        };
        self.template(&Spanned::new(span, text), around.names.request(), Place::Plain)
    }
}
