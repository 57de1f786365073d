//! Where a request goes: one URL, or several bases and a path.

use super::Check;
use super::parts::{Part, parts};
use super::upstream::Around;
use crate::policy::Template;
use crate::policy::expr::Place;
use crate::written::{Field, Lines, Span, Spanned};

const URL_MEND: &str = "write it in full, as in \"https://lrn.vendor-a.example/v1/{{ key | nanp10 }}\"";
const BASE_MEND: &str = "write `urls = [\"https://a.vendor.example\", \"https://b.vendor.example\"]`";

/// The most base URLs: each gets a share of a try's time.
const MOST_BASES: usize = 8;

impl Check<'_> {
    /// The bases, and the template behind them; without bases the template is the whole URL.
    pub(super) fn target(
        &mut self,
        url: Field<String>,
        urls: Lines<String>,
        around: &Around<'_>,
    ) -> Option<(Vec<String>, Template)> {
        let given = url.is_some();
        let url = self.faults.value(url);
        if let Some(url) = &url {
            self.open_secrets_of_url(url);
        }
        if let Some(urls) = urls {
            return self.bases_and_path(urls.span(), Some(urls), url, around);
        }
        let url = self.required(url, &around.table, "url", given, URL_MEND)?;
        if let Some((name, _)) = around.names.caller_url(url.get_ref()) {
            // What was escaped when it was read as an input is not escaped again.
            let source = Spanned::new(url.span(), format!("{{{{ {name} | raw }}}}"));
            return Some((Vec::new(), self.template(&source, around.names.request(), Place::Url)?));
        }
        let whole = self.template(&url, around.names.request(), Place::Url);
        let Some((base, rest)) = self.leading_var(url.get_ref()) else {
            // Of a variable that is not declared enough is said.
            if whole.is_some() || !url.get_ref().starts_with("{{") {
                self.whole_url(&url.span(), url.get_ref());
            }
            return Some((Vec::new(), whole?));
        };
        whole?;
        self.whole_url(&url.span(), &format!("{base}{rest}"));
        let rest = Spanned::new(url.span(), rest.to_owned());
        Some((vec![base], self.template(&rest, around.names.request(), Place::Url)?))
    }

    fn bases_and_path(
        &mut self,
        span: Span,
        urls: Lines<String>,
        path: Option<Spanned<String>>,
        around: &Around<'_>,
    ) -> Option<(Vec<String>, Template)> {
        let list = self.faults.list(urls).unwrap_or_default();
        if list.is_empty() {
            self.faults.at(&span, "there is no URL in the list", BASE_MEND);
        } else if list.len() > MOST_BASES {
            self.faults.at(&span, format!("there are more than {MOST_BASES} URLs in the list"), "take some out");
        }
        let mut bases = Vec::new();
        for base in list {
            let text = match self.leading_var(base.get_ref()) {
                Some((value, rest)) => format!("{value}{rest}"),
                None => base.get_ref().clone(),
            };
            if text.contains(['{', '?', '#']) {
                let mend = "a base is scheme, host and perhaps a path; what varies goes into `url` or `query`";
                self.faults.at(&base.span(), "a base URL has no parameters and no code but `{{ vars.NAME }}`", mend);
            } else {
                self.whole_url(&base.span(), &text);
            }
            bases.push(text.trim_end_matches('/').to_owned());
        }
        let path = path.unwrap_or_else(|| Spanned::new(span, String::new()));
        if !path.get_ref().is_empty() && !path.get_ref().starts_with(['/', '?']) {
            let mend = "beside `urls`, write the path: `url = \"/v1/{{ key | nanp10 }}\"`";
            self.faults.at(&path.span(), "`url` does not start with a slash", mend);
        }
        Some((bases, self.template(&path, around.names.request(), Place::Url)?))
    }

    /// `weights`: one for each of `urls`.
    pub(super) fn weights(&mut self, weights: Lines<u32>, bases: usize) -> Vec<u32> {
        let Some(span) = weights.as_ref().map(Spanned::span) else { return Vec::new() };
        let weights: Vec<u32> =
            self.faults.list(weights).unwrap_or_default().into_iter().map(Spanned::into_inner).collect();
        if weights.len() != bases || bases < 2 {
            let what = format!("{} weights do not go together with {bases} `urls`", weights.len());
            self.faults.at(&span, what, "write one weight for each of `urls`, as in `weights = [3, 1]`");
        } else if weights.contains(&0) {
            let mend = "write 1 or more, or take the URL out of `urls`";
            self.faults.at(&span, "a URL of weight 0 would never be the first to be asked", mend);
        }
        weights
    }

    /// The value of a `{{ vars.NAME }}` at the very start, and what is behind it.
    fn leading_var<'s>(&self, url: &'s str) -> Option<(String, &'s str)> {
        let Some(Part::Code(code)) = parts(url).into_iter().next() else { return None };
        let name = code.strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("vars.")?;
        let value = self.ambient.vars.get(name)?;
        Some((value.trim_end_matches('/').to_owned(), &url[code.len()..]))
    }

    fn whole_url(&mut self, span: &Span, url: &str) {
        let whole: String = parts(url)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text,
                // Stands for any value; a digit is fit for a host, a port, a path and a query.
                Part::Code(code) if code.starts_with("{{") => "1",
                Part::Code(_) => "",
            })
            .collect();
        if let [Part::Code(code), ..] = parts(url)[..]
            && code.starts_with("{{")
            && !is_var(code)
        {
            let what = format!("`{code}` stands where the URL begins: who asks would choose whom we ask");
            let mend = "write scheme and host in full, or with `{{ vars.NAME }}`; a URL that is the caller's to choose \
                        is an input `{ type = \"url\", hosts = [\"cert\\\\.carrier\\\\.example\"] }`, and stands alone: `url = \"{{ key }}\"`";
            self.faults.at(span, what, mend);
        } else if let Some((what, mend)) = bad_url(&whole) {
            self.faults.at(span, what, mend);
        } else if let Some(code) = value_in_host(url) {
            let what = format!("`{code}` stands in the host: who asks would choose whom we ask");
            let mend =
                "write the host in full, or with `{{ vars.NAME }}`; what varies goes into the path or into `query`";
            self.faults.at(span, what, mend);
        }
    }

    /// A URL without anything that varies per question: a token's, say. Variables are put in.
    pub(super) fn fixed_url(&mut self, url: &Spanned<String>) -> String {
        let text = match self.leading_var(url.get_ref()) {
            Some((value, rest)) => format!("{value}{rest}"),
            None => url.get_ref().clone(),
        };
        if text.contains("{{") {
            let mend = "write it in full, or with `{{ vars.NAME }}` at the very start";
            self.faults.at(&url.span(), "nothing in this URL can vary with the question", mend);
        } else {
            self.whole_url(&url.span(), &text);
        }
        text
    }
}

/// A value between scheme and path that does not stand in the policy itself: what a caller sends must not lead our
/// requests, and the credentials in them, to a host of the caller's choice.
fn value_in_host(url: &str) -> Option<&str> {
    let mut before = String::new();
    for part in parts(url) {
        match part {
            Part::Text(text) => before.push_str(text),
            Part::Code(code) if code.starts_with("{{") => {
                let in_host = before.split_once("://").is_some_and(|(_, host)| !host.contains(['/', '?', '#']));
                if in_host && !is_var(code) {
                    return Some(code);
                }
            }
            Part::Code(_) => {}
        }
    }
    None
}

/// True for a variable, which stands in the policy or in a site's config.
fn is_var(code: &str) -> bool {
    code.trim_start_matches(['{', '-', ' ']).starts_with("vars.")
}

/// What is wrong with a URL whose code was replaced by digits.
fn bad_url(whole: &str) -> Option<(String, String)> {
    if !whole.starts_with("http://") && !whole.starts_with("https://") {
        return Some(("the URL does not start with http:// or https://".to_owned(), URL_MEND.to_owned()));
    }
    if whole.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some((
            "the URL has a space in it".to_owned(),
            if whole.contains('{') {
                "a value stands in two braces, as in `{{ key | nanp10 }}`; a space is written %20".to_owned()
            } else {
                "write %20 in its place, or take it out".to_owned()
            },
        ));
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
