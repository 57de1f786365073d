//! Expressions and templates: Jinja, as minijinja runs it, compiled once and run over a question or a reading.
//!
//! A source is compiled when its policy is loaded: parsed, then walked for every name, filter, test and
//! call that does not exist, so that a typo is a message at load and never a wrong
//! answer at night. What remains at run time is bounded: a run has a fixed amount of fuel, there are
//! no macros, no includes and no unbounded loops, and regular expressions run in linear time.
//!
//! Running is lenient where vendors are sloppy: a path through something that is not there is
//! undefined, which counts as false, prints as nothing and gives way to `or`.
//!
//! A [`Template`] escapes every value for its [`Place`]; only `| raw` lets one through as it is.

mod check;
mod environment;
mod habits;
mod known;
mod parts;
mod path;
mod place;
mod quick;
mod scope;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use minijinja::{Environment, Expression, Value};

use super::ambient::{self, Ambient};
use crate::policy::maps::Maps;
use parts::Parts;
use quick::Quick;

pub(crate) use environment::filter_names;
pub use place::Place;
pub(crate) use place::climbs;
pub use scope::{Later, Scope};

/// The names that every expression and template may use.
pub const QUESTION_NAMES: [&str; 1] = ["key"];

/// The names that rules and fields may use beside [`QUESTION_NAMES`] and the declared inputs.
/// None of them may be an input's name.
pub const READING_NAMES: [&str; 9] = ["status", "headers", "body", "text", "rcode", "answers", "rows", "row", "enum"];

/// The longest source that is compiled, in bytes.
const MAX_SOURCE: usize = 64 * 1024;

/// An expression, compiled.
#[derive(Debug)]
pub struct Expr {
    source: String,
    maps: Option<Arc<Maps>>,
    quick: Option<Quick>,
    run: Expression<'static, 'static>,
}

/// A template, compiled, that escapes each value for the place it is put in.
#[derive(Debug)]
pub struct Template {
    source: String,
    maps: Option<Arc<Maps>>,
    place: Place,
    parts: Option<Parts>,
    // Boxed: policies hold many templates inline, and this is large.
    run: Box<Environment<'static>>,
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

impl Expr {
    /// Compiles it. `names` are the names it may use beside the filters; another one is an error.
    ///
    /// # Errors
    /// Unknown filters, tests and names, and text that is no expression.
    pub fn compile(source: &str, names: &[&str]) -> Result<Self, CompileError> {
        Self::compile_with(source, names, &Arc::default())
    }

    /// Compiles it with a policy's own value maps, which it carries along.
    ///
    /// # Errors
    /// As [`Expr::compile`].
    pub fn compile_with(source: &str, names: &[&str], maps: &Arc<Maps>) -> Result<Self, CompileError> {
        check::bounded(source)?;
        check::expression(source, names, maps)?;
        let run = environment::shared()
            .compile_expression_owned(source.to_owned())
            .map_err(|error| check::not_parsed(source, &error, check::EXPRESSION))?;
        Ok(Self { source: source.to_owned(), maps: own(maps), quick: Quick::of(source), run })
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses with what it takes of them, such as `key` and `body.data.lrn`.
    pub fn paths(&self) -> Vec<String> {
        self.run.undeclared_variables(true).into_iter().collect()
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a filter refuses its input, two values do not go together, or the run takes too long.
    pub fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        match &self.quick {
            Some(quick) => quick.eval(scope),
            None => self.run.eval(scope.with_maps(self.maps.as_ref())).map_err(ExprError::from),
        }
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
    /// The names that it uses with what it takes of them, such as `key` and `parts.lrn.lrn`.
    pub fn paths(&self) -> Vec<String> {
        let template = self.run.get_template(environment::ONLY_TEMPLATE);
        template.map_or_else(|_| Vec::new(), |template| template.undeclared_variables(true).into_iter().collect())
    }

    /// Compiles it for its place.
    ///
    /// # Errors
    /// As [`Expr::compile`]; and a byte 0 in a JSON body's own text.
    pub fn compile(source: &str, names: &[&str], place: Place) -> Result<Self, CompileError> {
        Self::compile_within(source, names, place, &Arc::default(), &Arc::default())
    }

    /// As [`Template::compile`], with the policy's `[vars]` and `[secrets]` in reach, and its own value maps, which it
    /// carries along.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile_within(
        source: &str,
        names: &[&str],
        place: Place,
        ambient: &Arc<Ambient>,
        maps: &Arc<Maps>,
    ) -> Result<Self, CompileError> {
        let known_here = |name: &str| names.contains(&name);
        let known = ambient.names();
        let names: Vec<&str> = names.iter().copied().chain(known.iter().map(String::as_str)).collect();
        check::bounded(source)?;
        check::template(source, &names, maps)?;
        place.accepts(source)?;
        let mut run = environment::of_template(source, place)
            .map_err(|error| check::not_parsed(source, &error, check::TEMPLATE))?;
        for (name, value) in ambient::NAMES.into_iter().zip(ambient.values()) {
            run.add_global(name, value);
        }
        let looked_up =
            run.get_template(environment::ONLY_TEMPLATE).map(|template| template.undeclared_variables(false));
        let parts =
            Parts::of(source, |name| known_here(name) && looked_up.as_ref().is_ok_and(|all| all.contains(name)));
        Ok(Self { source: source.to_owned(), maps: own(maps), place, parts, run: Box::new(run) })
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders it.
    ///
    /// # Errors
    /// As [`Expr::eval`]; and when the text does not fit its place: a URL whose path climbs, a name
    /// that no DNS can hold.
    pub fn render(&self, scope: &Scope) -> Result<String, ExprError> {
        if let Some(parts) = &self.parts {
            return self.place.finish(parts.render(scope, self.place)?);
        }
        let template = self.run.get_template(environment::ONLY_TEMPLATE)?;
        self.place.finish(template.render(scope.with_maps(self.maps.as_ref()))?)
    }
}

/// Most policies have no maps of their own, and then nothing is carried.
fn own(maps: &Arc<Maps>) -> Option<Arc<Maps>> {
    (!maps.is_empty()).then(|| Arc::clone(maps))
}

impl From<minijinja::Error> for ExprError {
    fn from(error: minijinja::Error) -> Self {
        let what = match error.kind() {
            minijinja::ErrorKind::OutOfFuel => "it runs too long; make it simpler".to_owned(),
            kind => match error.detail() {
                Some(detail) => detail.to_owned(),
                None => kind.to_string(),
            },
        };
        Self(what)
    }
}
