//! What is wrong with a source, found when it is compiled: names, filters, tests and calls that do not exist.
//!
//! minijinja finds these when it runs. A policy must not wait for that, so the parsed tree is walked
//! once, with the names that are in reach at each place.

use std::ops::Range;

use minijinja::Value;
use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Span, parse, parse_expr};

use super::environment::{self, FUNCTIONS, GLOBALS};
use super::habits;
use super::known::{
    filter_instead, known_arity, known_filter, known_map, known_pattern, known_test, named, range, raw_in_the_middle,
};
use super::{CompileError, MAX_SOURCE, READING_NAMES};
use crate::policy::maps::Maps;
use crate::policy::{ambient, filters};

/// What the text should have been, for messages.
pub(super) const EXPRESSION: &str = "expression";
/// See [`EXPRESSION`].
pub(super) const TEMPLATE: &str = "template";

/// The filter that lets a value through unescaped.
const RAW: &str = "raw";

/// Refuses a source that is longer than any policy needs.
pub(super) fn bounded(source: &str) -> Result<(), CompileError> {
    if source.len() <= MAX_SOURCE {
        return Ok(());
    }
    Err(CompileError {
        at: super::place::whole(source),
        what: format!("the text is longer than {MAX_SOURCE} bytes"),
        mend: "shorten it".to_owned(),
    })
}

/// Checks an expression's names.
pub(super) fn expression(source: &str, names: &[&str], maps: &Maps) -> Result<(), CompileError> {
    if source.trim().is_empty() {
        return Err(CompileError {
            at: super::place::whole(source),
            what: "the expression is empty".to_owned(),
            mend: "write what to look at, such as `body.lrn`".to_owned(),
        });
    }
    let tree = parse_expr(source).map_err(|error| not_parsed(source, &error, EXPRESSION))?;
    Walk::new(names, maps).expr(&tree)
}

/// Checks a template's names.
pub(super) fn template(source: &str, names: &[&str], maps: &Maps) -> Result<(), CompileError> {
    let tree = parse(source, environment::ONLY_TEMPLATE, environment::syntax())
        .map_err(|error| not_parsed(source, &error, TEMPLATE))?;
    Walk::new(names, maps).stmt(&tree)
}

/// What the parser said, with its place.
pub(super) fn not_parsed(source: &str, error: &minijinja::Error, kind: &str) -> CompileError {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    let at = error.range().map_or_else(|| super::place::whole(source), |range| within(source, range));
    let habit = (kind == EXPRESSION).then(|| habits::instead_of_syntax(source, &source[at.start..])).flatten();
    let mend = if let Some(habit) = habit {
        habit.to_owned()
    } else if detail.contains("end of string") {
        "a text has no closing quote: close it with the quote that opened it".to_owned()
    } else if detail.contains("end of variable block") {
        "close the value with `}}`, as in `{{ key | nanp10 }}`".to_owned()
    } else if let Some(bracket) = detail.strip_prefix("unexpected end of input, expected ") {
        format!("something is open: close it with {bracket}")
    } else {
        format!("mend the {kind} here; it is Jinja, as in `body.lrn or key` or `{{{{ key | nanp10 }}}}`")
    };
    CompileError { at, what: format!("this is no {kind}: {detail}"), mend }
}

/// A range that is sure to lie within the source, on character borders, and to show at least one
/// character unless the source ends there.
fn within(source: &str, range: Range<usize>) -> Range<usize> {
    let border = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = border(range.start);
    let one = source[start..].chars().next().map_or(0, char::len_utf8);
    start..border(range.end).max(start + one)
}

/// The walk: which names are in reach where it stands.
struct Walk<'a> {
    names: Vec<&'a str>,
    maps: &'a Maps,
}

impl<'a> Walk<'a> {
    fn new(names: &[&'a str], maps: &'a Maps) -> Self {
        Self { names: GLOBALS.iter().chain(FUNCTIONS.iter()).copied().chain(names.iter().copied()).collect(), maps }
    }

    /// Runs a part whose names end with it.
    fn nested(&mut self, part: impl FnOnce(&mut Self) -> Result<(), CompileError>) -> Result<(), CompileError> {
        let outer = self.names.len();
        let done = part(self);
        self.names.truncate(outer);
        done
    }

    fn stmts(&mut self, stmts: &[Stmt<'a>]) -> Result<(), CompileError> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt<'a>) -> Result<(), CompileError> {
        match stmt {
            Stmt::Template(template) => self.stmts(&template.children),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::EmitExpr(emit) => match &emit.expr {
                // The one place where `raw` may stand: as the last word on a value.
                Expr::Filter(filter) if filter.name == RAW => self.exprs(&filter.expr),
                expr => self.expr(expr),
            },
            Stmt::IfCond(cond) => {
                self.expr(&cond.expr)?;
                self.nested(|walk| walk.stmts(&cond.true_body))?;
                self.nested(|walk| walk.stmts(&cond.false_body))
            }
            Stmt::ForLoop(each) => self.for_loop(each),
            Stmt::WithBlock(with) => self.nested(|walk| {
                for (target, value) in &with.assignments {
                    walk.expr(value)?;
                    walk.assign(target);
                }
                walk.stmts(&with.body)
            }),
            Stmt::Set(set) => {
                self.expr(&set.expr)?;
                self.assign(&set.target);
                Ok(())
            }
            other => Err(not_in_policies(other)),
        }
    }

    fn for_loop(&mut self, each: &ast::ForLoop<'a>) -> Result<(), CompileError> {
        self.expr(&each.iter)?;
        self.nested(|walk| {
            walk.names.push("loop");
            walk.assign(&each.target);
            each.filter_expr.iter().try_for_each(|filter| walk.expr(filter))?;
            walk.stmts(&each.body)
        })?;
        self.nested(|walk| walk.stmts(&each.else_body))
    }

    fn assign(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(var) => self.names.push(var.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item)),
            _ => {}
        }
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr<'a>>) -> Result<(), CompileError>
    where
        'a: 'e,
    {
        exprs.into_iter().try_for_each(|expr| self.expr(expr))
    }

    fn expr(&mut self, expr: &Expr<'a>) -> Result<(), CompileError> {
        match expr {
            Expr::Const(_) => Ok(()),
            Expr::Var(var) => self.known_name(var.id, var.span()),
            Expr::UnaryOp(op) => self.expr(&op.expr),
            Expr::BinOp(op) => {
                if matches!(op.op, BinOpKind::Eq | BinOpKind::Ne | BinOpKind::In) {
                    status_is_a_number(&op.left, &op.right)?;
                }
                self.exprs([&op.left, &op.right])
            }
            Expr::Compare(compare) => {
                self.expr(&compare.expr)?;
                compare.ops.iter().try_for_each(|op| status_is_a_number(&compare.expr, &op.expr))?;
                self.exprs(compare.ops.iter().map(|op| &op.expr))
            }
            Expr::IfExpr(choice) => {
                self.exprs([&choice.test_expr, &choice.true_expr])?;
                self.exprs(&choice.false_expr)
            }
            Expr::Slice(slice) => {
                self.expr(&slice.expr)?;
                self.exprs([&slice.start, &slice.stop, &slice.step].into_iter().flatten())
            }
            Expr::GetAttr(get) => match &get.expr {
                Expr::Var(table) if ambient::NAMES.contains(&table.id) && !self.names.contains(&table.id) => {
                    self.known_name(&format!("{}.{}", table.id, get.name), table.span())
                }
                within => self.expr(within),
            },
            Expr::GetItem(get) => self.exprs([&get.expr, &get.subscript_expr]),
            Expr::List(list) => self.exprs(&list.items),
            Expr::Tuple(tuple) => self.exprs(&tuple.items),
            Expr::Map(map) => {
                self.exprs(&map.keys)?;
                self.exprs(&map.values)
            }
            Expr::Filter(filter) => self.filter(filter, filter.span()),
            Expr::Test(test) => {
                self.expr(&test.expr)?;
                known_test(test.name, range(test.span()))?;
                known_pattern(test.name, &test.args)?;
                let takes =
                    |values: &[Value]| environment::shared().empty_state().perform_test(test.name, values).map(drop);
                known_arity("test", test.name, &test.args, range(test.span()), takes)?;
                self.args(&test.args)
            }
            Expr::Call(call) => self.call(call),
        }
    }

    fn args(&mut self, args: &[CallArg<'a>]) -> Result<(), CompileError> {
        self.exprs(args.iter().map(argument))
    }

    fn filter(&mut self, filter: &ast::Filter<'a>, span: Span) -> Result<(), CompileError> {
        self.exprs(&filter.expr)?;
        if filter.name == RAW {
            return Err(raw_in_the_middle(named(span, RAW)));
        }
        known_filter(filter.name, named(span, filter.name))?;
        known_pattern(filter.name, &filter.args)?;
        let takes = |values: &[Value]| environment::shared().empty_state().apply_filter(filter.name, values).map(drop);
        known_arity("filter", filter.name, &filter.args, named(span, filter.name), takes)?;
        // These take the name of a test or a filter as text.
        let word = |index: usize| {
            let CallArg::Pos(Expr::Const(word)) = filter.args.get(index)? else { return None };
            Some((word.value.as_str()?.to_owned(), range(word.span())))
        };
        match filter.name {
            "select" | "reject" => word(0).map_or(Ok(()), |(name, at)| known_test(&name, at))?,
            "selectattr" | "rejectattr" => word(1).map_or(Ok(()), |(name, at)| known_test(&name, at))?,
            "map" => word(0).map_or(Ok(()), |(name, at)| known_map(&name, at, self.maps))?,
            _ => {}
        }
        self.args(&filter.args)
    }

    fn call(&mut self, call: &ast::Call<'a>) -> Result<(), CompileError> {
        match &call.expr {
            Expr::Var(var) if FUNCTIONS.contains(&var.id) => self.args(&call.args),
            Expr::Var(var) => Err(CompileError {
                at: range(var.span()),
                what: format!("there is no function `{}`", var.id),
                mend: filter_instead(var.id),
            }),
            Expr::GetAttr(method) => {
                self.expr(&method.expr)?;
                Err(CompileError {
                    at: range(method.span()),
                    what: format!("values have no method `{}`", method.name),
                    mend: filter_instead(method.name),
                })
            }
            other => Err(CompileError {
                at: range(other.span()),
                what: "this cannot be called".to_owned(),
                mend: "use a filter: `value | filter`".to_owned(),
            }),
        }
    }

    fn known_name(&self, name: &str, span: Span) -> Result<(), CompileError> {
        if self.names.contains(&name) {
            return Ok(());
        }
        let mut names: Vec<&str> = self.names.iter().copied().filter(|known| !FUNCTIONS.contains(known)).collect();
        names.dedup();
        let mend = match filters::nearest(name, names.iter().copied()) {
            _ if let Some(habit) = habits::instead_of_name(name, &names) => habit.to_owned(),
            Some(near) => format!("did you mean `{near}`?"),
            None if ambient::NAMES.contains(&name) => {
                format!("write `{name}.NAME`, with a name that stands in [{name}]")
            }
            None if name.starts_with("vars.") || name.starts_with("secrets.") => {
                let (table, name) = name.split_once('.').unwrap_or_default();
                format!("declare `{name} = …` in [{table}]; only templates see it, rules and fields do not")
            }
            None if READING_NAMES.contains(&name) => "only rules and fields see what the upstream said".to_owned(),
            None => format!(
                "known here: {}; a further input is declared in [input], a fixed text stands in quotes",
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
        };
        Err(CompileError { at: range(span), what: format!("there is no name `{name}`"), mend })
    }
}

/// A status is never equal to a text, whatever the text says.
fn status_is_a_number(one: &Expr<'_>, other: &Expr<'_>) -> Result<(), CompileError> {
    fn texts<'e>(expr: &'e Expr<'_>) -> Option<(&'e str, Range<usize>)> {
        match expr {
            Expr::Const(text) => Some((text.value.as_str()?, range(text.span()))),
            Expr::List(list) => list.items.iter().find_map(texts),
            _ => None,
        }
    }
    let is_status = |expr: &Expr<'_>| matches!(expr, Expr::Var(var) if var.id == "status");
    let compared = match (is_status(one), is_status(other)) {
        (true, false) => texts(other),
        (false, true) => texts(one),
        _ => None,
    };
    compared.map_or(Ok(()), |(text, at)| {
        Err(CompileError {
            at,
            what: "`status` is a number, and never equal to a text".to_owned(),
            mend: format!("write it without quotes: `{text}`"),
        })
    })
}

fn argument<'e, 'a>(arg: &'e CallArg<'a>) -> &'e Expr<'a> {
    match arg {
        CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => expr,
    }
}

fn not_in_policies(stmt: &Stmt<'_>) -> CompileError {
    let (word, span) = match stmt {
        Stmt::SetBlock(s) => ("set … endset", s.span()),
        Stmt::AutoEscape(s) => ("autoescape", s.span()),
        Stmt::FilterBlock(s) => ("filter", s.span()),
        Stmt::Block(s) => ("block", s.span()),
        Stmt::Import(s) => ("import", s.span()),
        Stmt::FromImport(s) => ("from", s.span()),
        Stmt::Extends(s) => ("extends", s.span()),
        Stmt::Include(s) => ("include", s.span()),
        Stmt::Macro(s) => ("macro", s.span()),
        Stmt::CallBlock(s) => ("call", s.span()),
        Stmt::Do(s) => ("do", s.span()),
        _ => ("this block", Span::default()),
    };
    CompileError {
        at: range(span),
        what: format!("a policy's template has no `{{% {word} %}}`"),
        mend: "use `if`, `for`, `with` or `set`".to_owned(),
    }
}
