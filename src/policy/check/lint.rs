//! What has the right form and cannot be meant: a request that is the same for every question, a secret or a
//! reference to one in plain text, a path into a body that has none.

use super::Check;
use super::compile::Names;
use super::parts::is_plain;
use super::upstream::Around;
use crate::policy::filters::pattern;
use crate::policy::{Decoding, Format, HttpPolicy};
use crate::written::{Span, Spanned, nearest};

/// Parameters whose values are nobody's business.
const SECRET_PARAMETERS: [&str; 14] = [
    "apikey",
    "api_key",
    "api-key",
    "access_token",
    "auth_token",
    "token",
    "secret",
    "client_secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "signature",
];

/// What stands for the number in the URLs of other programs: `[NUMBER]`, `${caller_id_number}`, `{number}`, `:number`.
const PLACEHOLDER: &str = r"\[[A-Z_]{2,}\]|\$?\{\w+\}|[/=]:[a-z]\w+|\$[a-z]\w+";

/// What an answer's `body` is, as far as the policy says.
#[derive(Clone, Debug, Default)]
pub(super) enum BodyIs {
    /// A tree of the vendor's own making, or not known.
    #[default]
    Anything,
    /// One text.
    Text(Format),
    /// Not looked at.
    Nothing,
    /// A map of these names.
    Columns(Vec<String>),
}

impl BodyIs {
    /// Of a good answer and of others alike; where the two differ, anything goes.
    pub(super) fn of(decoding: &Decoding) -> Self {
        if decoding.error_format.is_some_and(|other| other != decoding.format) {
            return Self::Anything;
        }
        match decoding.format {
            Format::Text | Format::Binary => Self::Text(decoding.format),
            Format::None => Self::Nothing,
            Format::Delimited if !decoding.columns.is_empty() => Self::Columns(decoding.columns.clone()),
            _ => Self::Anything,
        }
    }
}

impl Check<'_> {
    /// Tells of a path into the body that can never lead anywhere.
    pub(super) fn leads_into_the_body(&mut self, span: &Span, paths: &[String]) {
        for path in paths.iter().filter(|path| path.starts_with("body.")) {
            let name = path["body.".len()..].split('.').next().unwrap_or_default();
            let (what, mend) = match &self.body {
                BodyIs::Anything => return,
                BodyIs::Text(format) => (
                    format!("with `format = \"{}\"` the body is one text, and has no `{name}`", format.as_str()),
                    "take a part of it, as in `body | regex_search('LRN:(\\d+)')`, or write another `format`"
                        .to_owned(),
                ),
                BodyIs::Nothing => (
                    "with `format = \"none\"` no body is looked at".to_owned(),
                    "write another `format`, or test `status` and `headers`".to_owned(),
                ),
                BodyIs::Columns(columns) if columns.iter().any(|column| column == name) => continue,
                BodyIs::Columns(columns) => {
                    let near = nearest(name, columns.iter().map(String::as_str))
                        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
                    (format!("`columns` has no `{name}`"), format!("{near}there are {}", columns.join(", ")))
                }
            };
            self.faults.at(span, what, mend);
        }
    }

    /// Tells of a request that does not depend on what is asked: a fault where something stands in it that other
    /// programs put the number into.
    pub(super) fn depends_on_the_question(&mut self, http: &HttpPolicy, url: Option<Span>, around: &Around<'_>) {
        // Where something else is wrong, what was meant may not have been understood.
        if !self.faults.is_empty() || http.chosen.is_some() || asks(http, around.names) {
            return;
        }
        let mend = "write `{{ key }}` where it goes, with a filter where the vendor wants another form, as in \
                    `{{ key | nanp10 }}`";
        let span = url.unwrap_or_else(|| around.table.clone());
        match pattern(PLACEHOLDER).ok().and_then(|pattern| pattern.find(http.url.source()).map(|found| found.as_str()))
        {
            Some(placeholder) => {
                let what =
                    format!("`{placeholder}` is plain text here, and the request is the same for every question");
                self.faults.at(&span, what, mend);
            }
            None => {
                let what = "the request is the same for every question: nothing in it comes from the key";
                self.faults.warn(&span, what, mend);
            }
        }
    }

    /// Tells of secrets in a URL's own parameters.
    pub(super) fn open_secrets_of_url(&mut self, url: &Spanned<String>) {
        let Some((_, query)) = url.get_ref().split_once('?') else { return };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            self.open_secret(&url.span(), name, value);
        }
    }

    /// Tells of a secret, or of a reference to one, that stands as plain text.
    pub(super) fn open_secret(&mut self, span: &Span, name: &str, value: &str) {
        let is_reference = ["env:", "file:", "cred:"].iter().any(|scheme| value.starts_with(scheme));
        let mend = format!(
            "declare it under [secrets], as in `key = \"env:NAME\"`, and write `{name}` as `{{{{ secrets.key }}}}`; \
             or write `auth = {{ type = \"query\", name = \"{name}\", value = \"env:NAME\" }}`"
        );
        if is_reference {
            self.faults.at(
                span,
                format!("`{name}` would be sent as the words `{value}`: no reference is read here"),
                mend,
            );
        } else if SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
            && !value.is_empty()
            && is_plain(value)
        {
            self.faults.at(span, format!("`{name}` carries a secret, which never stands in a policy"), mend);
        }
    }
}

/// Whether any part of the request uses the key or an input.
fn asks(http: &HttpPolicy, names: &Names) -> bool {
    let known = names.question();
    let pairs = http.query.iter().chain(http.form.iter().flatten()).flat_map(|pair| &pair.values);
    let headers = http.headers.iter().map(|(_, value)| value);
    let body = http.body.iter().map(|body| &body.text);
    let mut paths = std::iter::once(&http.url).chain(pairs).chain(headers).chain(body).flat_map(|part| part.paths());
    paths.any(|path| path.split('.').next().is_some_and(|name| known.contains(&name)))
}
