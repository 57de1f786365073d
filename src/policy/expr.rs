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
    /// Renders it.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn render(&self, scope: &Scope) -> Result<String, ExprError> {
        let _ = (scope, &self.source);
        todo!()
    }
}
