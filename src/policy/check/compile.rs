//! Expressions, templates and secrets: compiled or read here, their faults brought to their place in the file.

use super::Check;
use crate::policy::expr::{CompileError, Place, READING_NAMES};
use crate::policy::request::REQUEST_NAMES;
use crate::policy::secret::SecretError;
use crate::policy::{Expr, InputType, Inputs, Secret, Template};
use crate::written::{Span, Spanned};

/// The names that expressions of one policy may use beside the filters.
#[derive(Debug)]
pub(super) struct Names {
    question: Vec<String>,
    /// The inputs that are one of listed words, with their words.
    words: Vec<(String, Vec<String>)>,
    /// The key and the inputs that are URLs, and whether they may lead into our own network.
    urls: Vec<(String, bool)>,
}

impl Names {
    /// `key` and the declared inputs.
    pub(super) fn of(inputs: &Option<Inputs>) -> Self {
        let further = inputs.iter().flat_map(|inputs| inputs.further.iter().map(|input| input.name.to_string()));
        let words = inputs.iter().flat_map(|inputs| &inputs.further).filter_map(|input| match &input.input {
            InputType::Word(words) => Some((input.name.to_string(), words.iter().map(ToString::to_string).collect())),
            _ => None,
        });
        let all = inputs.iter().flat_map(|inputs| {
            let further = inputs.further.iter().map(|input| (&*input.name, &input.input));
            std::iter::once(("key", &inputs.key)).chain(further)
        });
        let urls = all.filter_map(|(name, input)| match input {
            InputType::Url(urls) => Some((name.to_owned(), urls.allow_private)),
            _ => None,
        });
        let question = std::iter::once("key".to_owned()).chain(further).collect();
        Self { question, words: words.collect(), urls: urls.collect() }
    }

    /// The key and the inputs that are URLs, and whether they may lead into our own network.
    pub(super) fn urls(&self) -> impl Iterator<Item = (&str, bool)> {
        self.urls.iter().map(|(name, allow_private)| (name.as_str(), *allow_private))
    }

    /// The words that an input of this name may be.
    pub(super) fn words(&self, input: &str) -> Option<&[String]> {
        self.words.iter().find(|(name, _)| name == input).map(|(_, words)| words.as_slice())
    }

    /// What a request's templates see.
    pub(super) fn question(&self) -> Vec<&str> {
        self.question.iter().map(String::as_str).collect()
    }

    /// What an HTTP request's templates see.
    pub(super) fn request(&self) -> Vec<&str> {
        self.question().into_iter().chain(REQUEST_NAMES).collect()
    }

    /// What rules and fields see: the question, and what a transport's answer has.
    pub(super) fn reading<'a>(&'a self, of_transport: &[&'static str]) -> Vec<&'a str> {
        self.question().into_iter().chain(of_transport.iter().copied()).collect()
    }
}

impl Check<'_> {
    /// Compiles an expression.
    pub(super) fn expr(&mut self, source: &Spanned<String>, names: Vec<&str>) -> Option<Expr> {
        Expr::compile_with(source.get_ref(), &names, &self.maps)
            .map_err(|error| self.not_compiled(&source.span(), error))
            .ok()
    }

    /// Compiles an expression over an answer. What another transport answers with is no name here.
    pub(super) fn reading_expr(&mut self, source: &Spanned<String>, names: &[&str]) -> Option<Expr> {
        let error = match Expr::compile_with(source.get_ref(), names, &self.maps) {
            Ok(expr) => {
                self.leads_into_the_body(&source.span(), &expr.paths());
                return Some(expr);
            }
            Err(error) => error,
        };
        let name = source.get_ref().get(error.at.clone()).unwrap_or_default();
        let (what, mend) = if error.what.starts_with("there is no name") && READING_NAMES.contains(&name) {
            let there: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let columns = match () {
                () if names.contains(&"rows") => "; a column is `rows[0].NAME`",
                () if names.contains(&"row") => "; a column is `row.NAME`",
                () if names.contains(&"answers") => "; a record is `answers[0]`, as in `answers[0].address`",
                () => "",
            };
            let mend = format!("there are {}{columns}", there.join(", "));
            (format!("this type of upstream has no `{name}`"), mend)
        } else {
            (error.what, error.mend)
        };
        self.faults.within(&source.span(), error.at.start, what, mend);
        None
    }

    /// Compiles a template.
    pub(super) fn template(&mut self, source: &Spanned<String>, names: Vec<&str>, place: Place) -> Option<Template> {
        Template::compile_within(source.get_ref(), &names, place, &self.ambient, &self.maps)
            .map_err(|error| self.not_compiled(&source.span(), error))
            .ok()
    }

    fn not_compiled(&mut self, span: &Span, error: CompileError) {
        self.faults.within(span, error.at.start, error.what, error.mend);
    }

    /// Reads the secret that a value refers to.
    pub(super) fn secret(&mut self, reference: &Spanned<String>) -> Option<Secret> {
        match self.vault.read(reference.get_ref()) {
            Ok(secret) => {
                self.secrets.push(secret.expose().to_owned());
                Some(secret)
            }
            Err(error) if self.may_be_absent && error.is_absent() => {
                if !self.absent.contains(reference.get_ref()) {
                    self.absent.push(reference.get_ref().clone());
                }
                Some(Secret::absent(reference.get_ref()))
            }
            Err(error) => {
                self.faults.at(&reference.span(), error.to_string(), secret_mend(&error));
                None
            }
        }
    }
}

/// The next step for a secret that does not read.
pub(crate) fn secret_mend(error: &SecretError) -> String {
    match error {
        SecretError::NoStandIn(reference) => format!("add `\"{reference}\": \"…\"` to its `secrets`"),
        SecretError::Literal => "put it into the environment or into a file, and name that here".to_owned(),
        SecretError::NotInEnvironment(name) => format!("set `{name}` where dipcache is started, or correct the name"),
        SecretError::NoFile(_) => "create the file, or correct its path".to_owned(),
        SecretError::File { .. } => "let dipcache read it: its user, and every folder on the way to it".to_owned(),
        SecretError::CredentialName(_) => "write the bare name that stands in the unit's LoadCredential".to_owned(),
        SecretError::NoCredentials(_) => "add the line to the unit, or use `env:NAME` or `file:PATH`".to_owned(),
        SecretError::Empty(_) => "give it a value, or take it out of the policy".to_owned(),
        SecretError::NotText(_) => "write the secret anew, as one line of text".to_owned(),
    }
}
