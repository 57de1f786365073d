//! Expressions and templates: Jinja, as minijinja runs it, compiled once and run over a question or a reading.

use minijinja::Value;

use crate::policy::{Question, Reading};

/// An expression, compiled.
#[derive(Debug)]
pub struct Expr {
    source: String,
}

/// A template, compiled, that escapes each value for the place it is put in.
#[derive(Debug)]
pub struct Template {
    source: String,
}

/// Where a template's text goes, which decides how values in it are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A URL: path segments before the `?`, query values behind it.
    Url,
    /// A header's value: no CR, LF or NUL.
    Header,
    /// A JSON body: values as JSON, text within quotes escaped.
    Json,
    /// An XML body.
    Xml,
    /// A form body: percent-encoded.
    Form,
    /// A name of the DNS.
    DnsName,
    /// Text that goes nowhere but into a record.
    Plain,
}

/// Why an expression or a template does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CompileError {
    /// Where in the source, in bytes.
    pub at: std::ops::Range<usize>,
    /// What is wrong, in words that a person who never saw the language can act on.
    pub what: String,
    /// How to mend it: the nearest known filter or name, for instance.
    pub mend: String,
}

/// Why an expression or a template did not run; it is never the operator's secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ExprError(pub String);

/// What expressions see: `key`, the declared inputs, and what an upstream said, if it has said something.
#[derive(Clone, Debug)]
pub struct Scope(pub(crate) Value);

impl Scope {
    /// The names a request's templates see.
    pub fn of_question(question: &Question) -> Self {
        let _ = question;
        todo!()
    }

    /// The names a rule or a field sees.
    pub fn of_reading(question: &Question, reading: &Reading) -> Self {
        let _ = (question, reading);
        todo!()
    }
}

impl Expr {
    /// Compiles it. `names` are the names it may use beside the filters; another one is an error.
    ///
    /// # Errors
    /// Unknown filters, tests and names, and text that is no expression.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, CompileError> {
        let _ = names;
        Ok(Self { source: source.to_owned() })
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a filter refuses its input or a name has no such attribute.
    pub fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        let _ = (scope, &self.source);
        todo!()
    }

    /// Runs it and asks whether the result counts as true.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn is_true(&self, scope: &Scope) -> Result<bool, ExprError> {
        Ok(self.eval(scope)?.is_true())
    }
}

impl Template {
    /// Compiles it for its place.
    ///
    /// # Errors
    /// As [`Expr::compile`].
    pub fn compile(source: &str, names: &[&str], place: Place) -> Result<Self, CompileError> {
        let _ = (names, place);
        Ok(Self { source: source.to_owned() })
    }

    /// Renders it.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn render(&self, scope: &Scope) -> Result<String, ExprError> {
        let _ = (scope, &self.source);
        todo!()
    }
}
