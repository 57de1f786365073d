//! What exists: filters, tests, their arguments and patterns; and what to write instead of what does not.

use std::ops::Range;

use minijinja::machinery::Span;
use minijinja::machinery::ast::{CallArg, Const, Expr, Spanned};
use minijinja::{Error, ErrorKind, Value};

use super::{CompileError, environment, habits};
use crate::policy::filters;
use crate::policy::maps::{self, Maps};

fn has_filter(name: &str) -> bool {
    environment::filter_names().any(|known| known == name)
}

fn has_test(name: &str) -> bool {
    environment::test_names().any(|known| known == name)
}

pub(super) fn known_filter(name: &str, at: Range<usize>) -> Result<(), CompileError> {
    if has_filter(name) {
        return Ok(());
    }
    let mend = match name {
        "tojson" => "leave it out: a JSON body writes values as JSON by itself".to_owned(),
        "urlencode" | "escape" | "e" => "leave it out: values are escaped for their place by themselves".to_owned(),
        "safe" => "`raw` lets a value through unescaped, if that is what you want".to_owned(),
        _ => match filters::nearest(name, environment::filter_names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the filters for numbers are {}", filters::number_filters()),
        },
    };
    Err(CompileError { at, what: format!("there is no filter `{name}`"), mend })
}

/// `map` takes the name of a value map or of a filter.
pub(super) fn known_map(name: &str, at: Range<usize>, maps: &Maps) -> Result<(), CompileError> {
    if maps.has(name) || has_filter(name) {
        return Ok(());
    }
    let shipped: Vec<&'static str> = maps::shipped_names().into_iter().chain(environment::filter_names()).collect();
    let near = filters::nearest(name, maps.names()).or_else(|| filters::nearest(name, shipped));
    let mend = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add it as [maps.{name}]; the maps that ship are {}", filters::map_names()),
    };
    Err(CompileError { at, what: format!("there is no filter and no value map `{name}`"), mend })
}

pub(super) fn known_test(name: &str, at: Range<usize>) -> Result<(), CompileError> {
    if has_test(name) {
        return Ok(());
    }
    let mend = match filters::nearest(name, environment::test_names()) {
        _ if let Some(habit) = habits::instead_of_test(name) => habit.to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => "tests are `defined`, `none`, `in`, `==`, `startingwith`, `matching` and the like".to_owned(),
    };
    Err(CompileError { at, what: format!("there is no test `{name}`"), mend })
}

/// Too many or too few arguments would be an error of every run. How many a filter takes only it knows, so
/// it is tried once over an empty text; what it says to that text itself does not matter.
pub(super) fn known_arity(
    what: &str,
    name: &str,
    args: &[CallArg<'_>],
    at: Range<usize>,
    takes: impl FnOnce(&[Value]) -> Result<(), Error>,
) -> Result<(), CompileError> {
    let mut values = vec![Value::from("")];
    for arg in args {
        // How many arguments the others stand for is only known when they run.
        let CallArg::Pos(expr) = arg else { return Ok(()) };
        values.push(expr.as_const().unwrap_or_else(|| Value::from("")));
    }
    let wrong = match takes(&values) {
        Err(error) if error.kind() == ErrorKind::TooManyArguments => "fewer",
        Err(error) if error.kind() == ErrorKind::MissingArgument => "more",
        _ => return Ok(()),
    };
    Err(CompileError {
        at,
        what: format!("the {what} `{name}` takes {wrong} arguments than these {}", args.len()),
        mend: "arguments stand in parentheses behind the name, as in `key | substr(2, 3)`".to_owned(),
    })
}

/// Joined with other values, a raw one would make them raw too.
pub(super) fn raw_in_the_middle(at: Range<usize>) -> CompileError {
    CompileError {
        at,
        what: "`raw` stands where its value would be mixed with others".to_owned(),
        mend: "let it be the last filter of a template's value: `{{ … | raw }}`; an expression needs none".to_owned(),
    }
}

/// A regular expression that stands in the source is compiled with it.
pub(super) fn known_pattern(name: &str, args: &[CallArg<'_>]) -> Result<(), CompileError> {
    let is_time = matches!(name, "epoch" | "iso" | "date");
    if !is_time && !matches!(name, "regex_search" | "regex_replace" | "regex_groups" | "matching") {
        return Ok(());
    }
    match args.first() {
        Some(CallArg::Pos(Expr::Const(pattern))) if is_time => known_time(pattern),
        Some(CallArg::Pos(Expr::Const(pattern))) => known_regex(pattern),
        Some(CallArg::Pos(Expr::List(list))) => list.items.iter().try_for_each(|item| match item {
            Expr::Const(pattern) => known_regex(pattern),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn known_time(pattern: &Spanned<Const>) -> Result<(), CompileError> {
    match pattern.value.as_str() {
        Some(text) if !filters::is_time_pattern(text) => Err(CompileError {
            at: range(pattern.span()),
            what: format!("`{text}` is no pattern of a time"),
            mend: "write it as strptime has it, such as \"%m/%d/%Y\" or \"%d.%m.%Y %H:%M:%S\"".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn known_regex(pattern: &Spanned<Const>) -> Result<(), CompileError> {
    let Some(text) = pattern.value.as_str() else { return Ok(()) };
    filters::pattern(text).map(drop).map_err(|why| CompileError {
        at: range(pattern.span()),
        what: format!("the regular expression does not compile: {why}"),
        mend: "write it in the syntax of the Rust regex crate; there are no look-arounds and no back-references"
            .to_owned(),
    })
}

pub(super) fn filter_instead(name: &str) -> String {
    let alike = match name {
        "startswith" => return "use a test: `value is startingwith(\"…\")`".to_owned(),
        "endswith" => return "use a test: `value is endingwith(\"…\")`".to_owned(),
        "get" => return "write `body.name` or `body[\"name\"]`; what is not there is undefined".to_owned(),
        _ if has_filter(name) => Some(name.to_owned()),
        _ => filters::nearest(name, environment::filter_names()).map(ToOwned::to_owned),
    };
    match alike {
        Some(filter) => format!("use the filter: `value | {filter}`"),
        None => "use a filter: `value | filter`".to_owned(),
    }
}

pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Only the name at the start of a longer span.
pub(super) fn named(span: Span, name: &str) -> Range<usize> {
    let start = span.start_offset as usize;
    start..start + name.len()
}
