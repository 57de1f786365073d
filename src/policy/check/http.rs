//! `type = "http"`: method, URL, headers, body.

use std::path::PathBuf;

use serde_spanned::Spanned;

use super::Check;
use super::parts::{Part, parts};
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::file::UpstreamFile;
use crate::policy::{Auth, Body, HttpMethod, HttpPolicy, Template, TransportPolicy};
use crate::written::{Bytes, Node, Span};

/// Headers that carry secrets, which belong into `auth`.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token"];

/// Headers that the client sets itself.
const OWN_HEADERS: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "content-type"];

const URL_MEND: &str = "write it in full, as in \"https://lrn.vendor-a.example/v1/{{ key | nanp10 }}\"";

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn http(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TransportPolicy> {
        let method = self.faults.value(file.method);
        let given = file.url.is_some();
        let url = self.faults.value(file.url);
        let url = self.required(url, &around.table, "url", given, URL_MEND);
        let url = url.and_then(|url| self.url(&url, around));
        let headers = self.headers(file.headers, around);
        let content_type = self.faults.value(file.content_type);
        let has_body = file.body.is_some();
        if let Some(content_type) = content_type.as_ref().filter(|_| !has_body) {
            self.faults.at(&content_type.span(), "`content_type` without a `body`", "add the `body`, or take it out");
        }
        let body = file.body.and_then(|body| self.body(body, content_type, around));
        let method = self.method(method, has_body);
        let auth = file.auth.map_or(Some(Auth::None), |auth| self.auth(auth));
        let max_body = self.faults.or(file.max_body, Bytes(64 * 1024)).0;
        let ca = self.faults.value(file.ca).and_then(|ca| self.ca(&ca));
        let verify_tls = self.faults.or(file.verify_tls, true);
        Some(TransportPolicy::Http(HttpPolicy {
            method,
            url: url?,
            headers,
            body,
            auth: auth?,
            max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
            ca,
            verify_tls,
        }))
    }

    /// Without a word on it, a request with a body is a POST.
    fn method(&mut self, method: Option<Spanned<HttpMethod>>, has_body: bool) -> HttpMethod {
        if let Some(method) = method.as_ref().filter(|method| has_body && *method.get_ref() == HttpMethod::Get) {
            self.faults.at(&method.span(), "a GET has no body", "write `method = \"POST\"`, or take `body` out");
        }
        method.map_or(if has_body { HttpMethod::Post } else { HttpMethod::Get }, Spanned::into_inner)
    }

    fn url(&mut self, url: &Spanned<String>, around: &Around<'_>) -> Option<Template> {
        let template = self.template(url, around.names.question(), Place::Url);
        let whole: String = parts(url.get_ref())
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text,
                // Stands for any value; a digit is fit for a host, a port, a path and a query.
                Part::Code(code) if code.starts_with("{{") => "1",
                Part::Code(_) => "",
            })
            .collect();
        if let Some((what, mend)) = bad_url(&whole) {
            self.faults.at(&url.span(), what, mend);
        }
        template
    }

    fn headers(
        &mut self,
        headers: Option<Spanned<crate::policy::file::Named>>,
        around: &Around<'_>,
    ) -> Vec<(String, Template)> {
        let mut checked = Vec::new();
        for (name, value) in headers.map(Spanned::into_inner).unwrap_or_default() {
            self.header_name(&name);
            let value = self.faults.value(Some(value));
            let value = value.and_then(|value| self.template(&value, around.names.question(), Place::Header));
            checked.extend(value.map(|value| (name.into_inner(), value)));
        }
        checked
    }

    fn header_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let lower = text.to_ascii_lowercase();
        let span = name.span();
        if !is_token(text) {
            self.faults.at(&span, format!("`{text}` cannot be a header's name"), "write letters, digits and `-`");
        } else if SECRET_HEADERS.contains(&lower.as_str()) {
            let mend =
                format!("write `auth = {{ type = \"header\", name = \"{text}\", value = \"env:NAME\" }}` instead");
            self.faults.at(&span, format!("`{text}` carries a secret, which never stands in a policy"), mend);
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            let mend = if lower == "content-type" { "write `content_type = …` beside `body`" } else { "take it out" };
            self.faults.at(&span, format!("dipcache sets `{text}` itself"), mend);
        }
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
                let text = self.template(&Spanned::new(span, text), around.names.question(), place)?;
                return Some(Body { content_type, text });
            }
            node @ (Node::Table(_) | Node::List(_)) => node,
            Node::Fixed(_) => {
                let mend = "write a table, `body = { number = \"{{ key }}\" }`, or text";
                self.faults.at(&span, "a body is a table or text", mend);
                return None;
            }
        };
        let sound = self.json_leaves(&span, &node, around);
        let mut json = String::new();
        write_json(&mut json, &node);
        // Each text was compiled at its own place just now, so that a fault in it is told there.
        let text = sound.then(|| self.template(&Spanned::new(span, json), around.names.question(), Place::Json))??;
        Some(Body { content_type: content_type.unwrap_or_else(|| "application/json".to_owned()), text })
    }

    /// Compiles each text of a JSON body by itself; false when one does not.
    fn json_leaves(&mut self, span: &Span, node: &Node, around: &Around<'_>) -> bool {
        match node {
            Node::Text(text) => {
                let text = Spanned::new(span.clone(), text.clone());
                self.template(&text, around.names.question(), Place::Json).is_some()
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

    /// The CA file, looked up beside the policy. Its content counts for the fingerprint.
    fn ca(&mut self, ca: &Spanned<String>) -> Option<PathBuf> {
        let path = self.folder.join(ca.get_ref());
        match std::fs::read_to_string(&path) {
            Ok(pem) if pem.contains("-----BEGIN CERTIFICATE-----") => {
                self.secrets.push(pem);
                return Some(path);
            }
            Ok(_) => self.faults.at(&ca.span(), "the file holds no certificate", "give it in PEM form"),
            Err(error) => {
                let what = format!("the CA file `{}` does not read: {error}", path.display());
                self.faults.at(&ca.span(), what, "write its path, from the policy's folder or from the root");
            }
        }
        None
    }
}

/// What is wrong with a URL whose code was replaced by digits.
fn bad_url(whole: &str) -> Option<(String, String)> {
    if !whole.starts_with("http://") && !whole.starts_with("https://") {
        return Some(("the URL does not start with http:// or https://".to_owned(), URL_MEND.to_owned()));
    }
    if whole.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some(("the URL has a space in it".to_owned(), "write %20 in its place, or take it out".to_owned()));
    }
    match reqwest::Url::parse(whole) {
        Err(error) => Some((format!("this is no URL: {error}"), URL_MEND.to_owned())),
        Ok(url) if url.password().is_some() || !url.username().is_empty() => Some((
            "the URL has a user in it, and a secret never stands in a policy".to_owned(),
            "write `auth = { type = \"basic\", user = \"env:NAME\", password = \"env:NAME\" }` instead".to_owned(),
        )),
        Ok(_) => None,
    }
}

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

/// True for a header's name (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
