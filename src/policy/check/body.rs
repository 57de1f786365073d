//! What a request carries: `body`, `json`, `form`, `xml` or `graphql`.

use super::parts::{Part, is_plain, parts};
use super::upstream::Around;
use super::{Check, at};
use crate::policy::expr::Place;
use crate::policy::file::{GraphqlFile, UpstreamFile};
use crate::policy::{Body, Pair};
use crate::written::{Field, Node, Span, Spanned};

impl Check<'_> {
    /// The one body there is, if there is one.
    pub(super) fn any_body(
        &mut self,
        file: &mut UpstreamFile,
        around: &Around<'_>,
    ) -> (Option<Body>, Option<Vec<Pair>>) {
        let kinds =
            [at(&file.body), at(&file.json), at(&file.form), at(&file.xml), at(&file.graphql)].into_iter().flatten();
        let kinds: Vec<Span> = kinds.collect();
        if let Some(second) = kinds.get(1) {
            let mend = "keep one of `body`, `json`, `form`, `xml` and `graphql`";
            self.faults.at(second, "the request has two bodies", mend);
        }
        let content_type = self.faults.value(file.content_type.take());
        if let Some(content_type) = content_type.as_ref().filter(|_| kinds.is_empty()) {
            self.faults.at(&content_type.span(), "`content_type` without a `body`", "add the `body`, or take it out");
        }
        if let Some(form) = file.form.take() {
            return (None, Some(self.pairs(form, "form", around)));
        }
        let body = if let Some(body) = file.body.take() {
            self.body(body, content_type, around)
        } else if let Some(json) = file.json.take() {
            self.json(json, content_type, around)
        } else if let Some(xml) = file.xml.take() {
            self.xml(Some(xml), content_type, around)
        } else {
            file.graphql.take().and_then(|graphql| self.graphql(graphql, around))
        };
        (body, None)
    }

    /// `json = …`: any tree, text included.
    fn json(
        &mut self,
        json: Spanned<Node>,
        content_type: Option<Spanned<String>>,
        around: &Around<'_>,
    ) -> Option<Body> {
        let span = json.span();
        let text = self.json_text(&span, json.get_ref(), around)?;
        Some(Body { content_type: content_type.map_or_else(|| JSON.to_owned(), Spanned::into_inner), text })
    }

    fn xml(&mut self, xml: Field<String>, content_type: Option<Spanned<String>>, around: &Around<'_>) -> Option<Body> {
        let xml = self.faults.value(xml)?;
        if !xml.get_ref().trim_start().starts_with('<') {
            self.faults.at(&xml.span(), "this is no XML document: it does not start with `<`", "write it in full");
        }
        let text = self.template(&xml, around.names.request(), Place::Xml)?;
        let content_type = content_type.map_or_else(|| "text/xml; charset=utf-8".to_owned(), Spanned::into_inner);
        Some(Body { content_type, text })
    }

    fn graphql(&mut self, file: Spanned<GraphqlFile>, around: &Around<'_>) -> Option<Body> {
        let table = file.span();
        let file = file.into_inner();
        let given = file.query.is_some();
        let query = self.faults.value(file.query);
        let query =
            self.required(query, &table, "query", given, "write `graphql = { query = \"query($n: String!) …\" }`")?;
        if !is_plain(query.get_ref()) {
            let mend = "put what varies into `variables`, and a space between braces that stand together";
            self.faults.at(&query.span(), "a GraphQL query has no `{{`, `{%` or `{#`: it is sent as it is", mend);
            return None;
        }
        let mut tree = indexmap::IndexMap::new();
        tree.insert("query".to_owned(), Spanned::new(query.span(), Node::Text(query.into_inner())));
        if let Some(variables) = file.variables {
            tree.insert("variables".to_owned(), variables);
        }
        let text = self.json_text(&table, &Node::Table(tree), around)?;
        Some(Body { content_type: JSON.to_owned(), text })
    }

    /// A tree as one template. Each text is compiled at its own place first, so that a fault in it is told there.
    fn json_text(&mut self, span: &Span, node: &Node, around: &Around<'_>) -> Option<crate::policy::Template> {
        if !self.json_leaves(span, node, around) {
            return None;
        }
        let mut json = String::new();
        write_json(&mut json, node);
        self.template(&Spanned::new(span.clone(), json), around.names.request(), Place::Json)
    }

    fn body(
        &mut self,
        body: Spanned<Node>,
        content_type: Option<Spanned<String>>,
        around: &Around<'_>,
    ) -> Option<Body> {
        let span = body.span();
        let content_type = content_type.map(Spanned::into_inner);
        let node = match body.into_inner() {
            Node::Text(text) => {
                let Some(content_type) = content_type else {
                    let mend = "add `content_type`, such as \"application/json\" or \"application/x-www-form-urlencoded\": values are escaped for it";
                    self.faults.at(&span, "a body of text needs its `content_type`", mend);
                    return None;
                };
                let place = place_of(&content_type);
                let text = self.template(&Spanned::new(span, text), around.names.request(), place)?;
                return Some(Body { content_type, text });
            }
            node @ (Node::Table(_) | Node::List(_)) => node,
            Node::Fixed(_) => {
                let mend = "write a table, `body = { number = \"{{ key }}\" }`, or text";
                self.faults.at(&span, "a body is a table or text", mend);
                return None;
            }
        };
        self.json(Spanned::new(span, node), content_type.map(|text| Spanned::new(0..0, text)), around)
    }

    /// Compiles each text of a JSON body by itself; false when one does not.
    fn json_leaves(&mut self, span: &Span, node: &Node, around: &Around<'_>) -> bool {
        match node {
            Node::Text(text) => {
                let text = Spanned::new(span.clone(), text.clone());
                self.template(&text, around.names.request(), Place::Json).is_some()
            }
            Node::Fixed(_) => true,
            // Every one is looked at, whatever became of the one before.
            Node::List(list) => self.all_json_leaves(list.iter(), around),
            Node::Table(table) => self.all_json_leaves(table.values(), around),
        }
    }

    fn all_json_leaves<'n>(&mut self, nodes: impl Iterator<Item = &'n Spanned<Node>>, around: &Around<'_>) -> bool {
        let mut sound = true;
        for node in nodes {
            sound &= self.json_leaves(&node.span(), node.get_ref(), around);
        }
        sound
    }
}

const JSON: &str = "application/json";

/// How values are escaped in a body of this type.
fn place_of(content_type: &str) -> Place {
    let mime = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match mime.as_str() {
        "application/x-www-form-urlencoded" => Place::Form,
        mime if mime.ends_with("/json") || mime.ends_with("+json") => Place::Json,
        mime if mime.ends_with("/xml") || mime.ends_with("+xml") => Place::Xml,
        _ => Place::Plain,
    }
}

/// Writes a body as JSON text in which each text is still a template.
fn write_json(json: &mut String, node: &Node) {
    match node {
        // A text that is one value keeps the value's type: the place writes it as JSON, quotes included.
        Node::Text(text) if matches!(parts(text)[..], [Part::Code(code)] if code.starts_with("{{")) => {
            json.push_str(text)
        }
        Node::Text(text) => {
            json.push('"');
            for part in parts(text) {
                match part {
                    Part::Text(text) => {
                        let quoted = quoted(text);
                        json.push_str(&quoted[1..quoted.len() - 1]);
                    }
                    Part::Code(code) => json.push_str(code),
                }
            }
            json.push('"');
        }
        Node::Fixed(value) => json.push_str(&value.to_string()),
        Node::List(list) => {
            json.push('[');
            for (index, node) in list.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_json(json, node.get_ref());
            }
            json.push(']');
        }
        Node::Table(table) => {
            json.push('{');
            for (index, (key, node)) in table.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                json.push_str(&quoted(key));
                json.push(':');
                write_json(json, node.get_ref());
            }
            json.push('}');
        }
    }
}

/// Text as a JSON string, quotes and all.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
