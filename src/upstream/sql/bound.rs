//! The values of a statement's parameters, each of the type that the policy's expression gave it.

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::policy::expr::Scope;
use crate::policy::{Question, SqlPolicy};
use crate::upstream::{Failure, FailureKind};

/// A value that is bound, never pasted.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
}

/// All values of one question, by name, in the policy's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound(pub Vec<(String, Param)>);

/// Evaluates the policy's parameters over a question.
///
/// # Errors
/// [`FailureKind::Policy`] when an expression refuses the question, or gives a list or a map.
pub fn render(sql: &SqlPolicy, question: &Question) -> Result<Bound, Failure> {
    let scope = Scope::of_question(question);
    let mut values = Vec::with_capacity(sql.parameters.len());
    for (name, expression) in &sql.parameters {
        let value = expression
            .eval(&scope)
            .map_err(|error| Failure::new(FailureKind::Policy, format!("parameter `{name}` has no value: {error}")))?;
        values.push((name.clone(), Param::of(name, &value)?));
    }
    Ok(Bound(values))
}

impl Param {
    fn of(name: &str, value: &Value) -> Result<Self, Failure> {
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => Ok(Self::Null),
            ValueKind::Bool => Ok(Self::Bool(value.is_true())),
            // A number beyond 64 bits keeps all its digits as text, which every database reads.
            ValueKind::Number if value.is_integer() => {
                Ok(value.as_i64().map_or_else(|| Self::Text(value.to_string()), Self::Int))
            }
            ValueKind::Number => Ok(f64::try_from(value.clone()).map_or(Self::Null, Self::Float)),
            ValueKind::String => Ok(Self::Text(value.to_string())),
            kind => Err(Failure::new(
                FailureKind::Policy,
                format!("parameter `{name}` is a {kind}; a statement takes text, numbers, true, false and none"),
            )),
        }
    }

    /// The value as PostgreSQL's own input functions read it; `None` is NULL.
    pub(super) fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
        }
    }
}

impl Bound {
    /// The value at this place; NULL past the end.
    pub(super) fn at(&self, place: usize) -> &Param {
        self.0.get(place).map_or(&Param::Null, |(_, value)| value)
    }

    /// One line a parameter.
    pub(super) fn describe(&self) -> String {
        let line = |(name, value): &(String, Param)| match value {
            Param::Text(text) => format!(":{name} = {text:?} (text)"),
            Param::Null => format!(":{name} = null"),
            Param::Bool(value) => format!(":{name} = {value}"),
            Param::Int(value) => format!(":{name} = {value}"),
            Param::Float(value) => format!(":{name} = {value}"),
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_type() {
        for (value, expected) in [
            (Value::from("1'; drop"), Param::Text("1'; drop".into())),
            (Value::from(5), Param::Int(5)),
            (Value::from(0.5), Param::Float(0.5)),
            (Value::from(true), Param::Bool(true)),
            (Value::from(()), Param::Null),
            (Value::UNDEFINED, Param::Null),
            (Value::from(u64::MAX), Param::Text("18446744073709551615".into())),
        ] {
            assert_eq!(Param::of("x", &value).expect("a value"), expected);
        }
        let list = Value::from(vec![Value::from(1)]);
        assert_eq!(Param::of("x", &list).expect_err("a list").kind, FailureKind::Policy);
    }

    #[test]
    fn values_read_as_postgresql_writes_them() {
        assert_eq!(Param::Float(5.0).to_text().as_deref(), Some("5"));
        assert_eq!(Param::Bool(false).to_text().as_deref(), Some("false"));
        assert_eq!(Param::Null.to_text(), None);
    }
}
