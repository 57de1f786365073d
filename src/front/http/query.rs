//! The query's parameters: the front's own (`budget_ms`, `format`, `field`) and the policy's inputs.

use std::borrow::Cow;
use std::time::Duration;

use crate::front::form::Form;
use crate::front::http::escape;

/// More parameters than any policy declares are refused before they are decoded.
const MAX_INPUTS: usize = 16;

/// What a caller asks beside the key.
#[derive(Debug, PartialEq, Eq)]
pub struct Wishes<'a> {
    /// The form of the answer.
    pub form: Form,
    /// The caller's own limit; the policy's still holds.
    pub budget: Option<Duration>,
    inputs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuery {
    /// It does not decode.
    #[error("a parameter has a bad percent-escape or a control character")]
    Escape,
    /// A parameter is given twice: nobody can say which one is meant.
    #[error("a parameter is given more than once")]
    Twice,
    /// `budget_ms` is not what it must be.
    #[error("`budget_ms` is not a positive whole number")]
    Budget,
    /// `format` is not what it must be.
    #[error("`format` is not one of json, text, params, csv")]
    Format,
    /// `field` names nothing.
    #[error("`field` is empty or too long")]
    Field,
    /// Too many parameters.
    #[error("there are more than {MAX_INPUTS} parameters")]
    TooMany,
}

impl<'a> Wishes<'a> {
    /// Reads a query (without its `?`).
    ///
    /// # Errors
    /// See [`BadQuery`]. Whether an input is one of the policy's is the policy's to say.
    pub fn read(query: &'a str) -> Result<Self, BadQuery> {
        let mut wishes = Self { form: Form::Json, budget: None, inputs: Vec::new() };
        let (mut format, mut field) = (None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = escape::query(name).map_err(|_| BadQuery::Escape)?;
            let value = escape::query(value).map_err(|_| BadQuery::Escape)?;
            match &*name {
                "budget_ms" => once(&mut wishes.budget, budget(&value)?)?,
                "format" => once(&mut format, form(&value)?)?,
                "field" => once(&mut field, field_name(&value)?)?,
                _ if wishes.inputs.iter().any(|(known, _)| *known == name) => return Err(BadQuery::Twice),
                _ if wishes.inputs.len() == MAX_INPUTS => return Err(BadQuery::TooMany),
                _ => wishes.inputs.push((name, value)),
            }
        }
        // One bare field says all there is to say about the form.
        if let Some(form) = field.or(format) {
            wishes.form = form;
        }
        Ok(wishes)
    }

    /// Lends the inputs in the shape in which a policy takes them.
    pub fn with_inputs<T>(&self, look: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let mut pairs = [("", ""); MAX_INPUTS];
        for (pair, (name, value)) in pairs.iter_mut().zip(&self.inputs) {
            *pair = (name, value);
        }
        look(&pairs[..self.inputs.len()])
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), BadQuery> {
    if slot.replace(value).is_some() { Err(BadQuery::Twice) } else { Ok(()) }
}

/// A limit in milliseconds.
pub(super) fn budget(value: &str) -> Result<Duration, BadQuery> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || value.bytes().all(|byte| byte == b'0') {
        return Err(BadQuery::Budget);
    }
    // More than 136 years is a positive number all the same; the policy's budget is what counts then.
    Ok(Duration::from_millis(value.parse::<u32>().unwrap_or(u32::MAX).into()))
}

fn form(value: &str) -> Result<Form, BadQuery> {
    match value {
        "json" => Ok(Form::Json),
        "text" => Ok(Form::Text),
        "params" => Ok(Form::Params),
        "csv" => Ok(Form::Csv),
        _ => Err(BadQuery::Format),
    }
}

fn field_name(value: &str) -> Result<Form, BadQuery> {
    if value.is_empty() || value.len() > 64 { Err(BadQuery::Field) } else { Ok(Form::Field(value.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_parameters_and_inputs() {
        let wishes = Wishes::read("budget_ms=20&ani=+1202&&format=csv&x=a%20b").unwrap();
        assert_eq!((wishes.budget, &wishes.form), (Some(Duration::from_millis(20)), &Form::Csv));
        wishes.with_inputs(|inputs| assert_eq!(inputs, [("ani", "+1202"), ("x", "a b")]));
        assert_eq!(Wishes::read("").unwrap().form, Form::Json);
        assert_eq!(Wishes::read("format=csv&field=lrn").unwrap().form, Form::Field("lrn".into()));
    }

    #[test]
    fn a_budget_is_a_positive_whole_number() {
        for bad in ["", "0", "00", "-1", "+5", "1.5", "5ms", " 5", "５"] {
            assert_eq!(Wishes::read(&format!("budget_ms={bad}")).unwrap_err(), BadQuery::Budget, "{bad}");
        }
        assert!(Wishes::read("budget_ms=99999999999999999999999").unwrap().budget.unwrap() > Duration::from_secs(9999));
        assert_eq!(Wishes::read("budget_ms=007").unwrap().budget, Some(Duration::from_millis(7)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(Wishes::read("format=xml").unwrap_err(), BadQuery::Format);
        assert_eq!(Wishes::read("field=").unwrap_err(), BadQuery::Field);
        assert_eq!(Wishes::read("a=1&a=2").unwrap_err(), BadQuery::Twice);
        assert_eq!(Wishes::read("format=csv&format=csv").unwrap_err(), BadQuery::Twice);
        assert_eq!(Wishes::read("a=%0a").unwrap_err(), BadQuery::Escape);
        let many: String = (0..17).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(Wishes::read(&many).unwrap_err(), BadQuery::TooMany);
    }
}
