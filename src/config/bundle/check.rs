//! From a bundle as typed to a bundle as run: its templates compiled, its parts in an order that can be.

use indexmap::IndexMap;

use super::{Bundle, BundleFile, MOST_PARTS, Part, Text};
use crate::config::bundle::file::PartFile;
use crate::policy::{Place, Template};
use crate::written::{Faults, Lines, Span, Spanned, nearest};

/// What a request brings where the bundle does not say.
const PARAMETERS: [&str; 2] = ["called", "calling"];

/// Names that mean something else in a request or in a template.
const TAKEN: [&str; 7] = ["parts", "budget_ms", "format", "field", "bundle", "lookups", "key"];

/// Checks all bundles; wrong parts are left out.
pub(in crate::config) fn check(
    files: IndexMap<Spanned<String>, Spanned<BundleFile>>,
    faults: &mut Faults,
) -> Vec<Bundle> {
    files.into_iter().map(|(name, file)| bundle(name, file, faults)).collect()
}

fn bundle(name: Spanned<String>, file: Spanned<BundleFile>, faults: &mut Faults) -> Bundle {
    let table = file.span();
    let file = file.into_inner();
    if !is_name(name.get_ref()) {
        let mend = "write letters, digits, `-` and `_`, at most 64: it stands in URLs";
        faults.at(&name.span(), format!("`{}` cannot be a bundle's name", name.get_ref()), mend);
    }
    let budget = faults.value(file.budget).map(|budget| {
        if budget.get_ref().is_zero() {
            faults.at(&budget.span(), "this duration must not be zero", "write how long, such as \"80ms\"");
        }
        budget.into_inner()
    });
    if file.parts.is_empty() {
        let mend = "add a line a lookup, such as `lrn.key = \"called\"`";
        faults.missing(&table, "key", "the bundle asks nothing: it has no parts", mend);
    } else if file.parts.len() > MOST_PARTS {
        faults.at(&name.span(), format!("the bundle has more than {MOST_PARTS} parts"), "split it");
    }
    let parameters = parameters(file.parameters, faults);
    let names: Vec<String> = file.parts.iter().map(|(name, _)| name.get_ref().clone()).collect();
    let mut visible: Vec<&str> = parameters.iter().map(String::as_str).collect();
    visible.push("parts");
    let mut parts = Vec::with_capacity(names.len());
    let mut places = Vec::with_capacity(names.len());
    for (name, file) in file.parts {
        places.push(name.span());
        parts.push(Typed { name, file, names: &names, visible: &visible }.check(faults));
    }
    no_circle(&parts, &places, faults);
    Bundle { name: name.into_inner(), budget, parameters, parts }
}

fn parameters(list: Lines<String>, faults: &mut Faults) -> Vec<String> {
    if list.is_none() {
        return PARAMETERS.map(str::to_owned).to_vec();
    }
    let mut names: Vec<String> = Vec::new();
    for name in faults.list(list).unwrap_or_default() {
        let text = name.get_ref();
        let is_identifier = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && text.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_identifier || text.len() > 64 {
            let mend = "write letters, digits and `_`, a letter first";
            faults.at(&name.span(), format!("`{text}` cannot be a parameter's name"), mend);
        } else if TAKEN.contains(&text.as_str()) {
            faults.at(&name.span(), format!("`{text}` means something else in a request"), "choose another name");
        } else if names.contains(text) {
            faults.at(&name.span(), format!("`{text}` is there twice"), "take one out");
        }
        names.push(name.into_inner());
    }
    names
}

/// A part as typed, and what it may name.
struct Typed<'a> {
    name: Spanned<String>,
    file: Spanned<PartFile>,
    names: &'a [String],
    visible: &'a [&'a str],
}

impl Typed<'_> {
    fn check(self, faults: &mut Faults) -> Part {
        let Self { name, file, names, visible } = self;
        let (table, file) = (file.span(), file.into_inner());
        let written = Some(faults.place(&name.span()));
        if !is_name(name.get_ref()) {
            let mend = "write letters, digits, `-` and `_`, at most 64";
            faults.at(&name.span(), format!("`{}` cannot be a part's name", name.get_ref()), mend);
        }
        let mut needs = Vec::new();
        let mut text = |source: Spanned<String>, faults: &mut Faults| {
            let template = compiled(&source, visible, faults)?;
            needs_of(&template, &source.span(), names, &mut needs, faults);
            Some(Text::Template(template))
        };
        let has_key = file.key.is_some();
        let key = faults.value(file.key).and_then(|key| text(key, faults));
        if !has_key {
            let mend = format!("write `{}.key = \"called\"`, or a template over the parts before", name.get_ref());
            faults.missing(&table, "key", format!("part `{}` has no key", name.get_ref()), mend);
        }
        let mut inputs = Vec::new();
        for (input, value) in file.inputs.map(Spanned::into_inner).unwrap_or_default() {
            let value = faults.value(Some(value)).and_then(|value| text(value, faults));
            inputs.extend(value.map(|value| (input.into_inner(), value)));
        }
        let lookup = faults.value(file.lookup).map_or_else(|| name.get_ref().clone(), Spanned::into_inner);
        needs.sort_unstable();
        needs.dedup();
        // A key that does not compile is a fault, with which no bundle runs.
        let key = key.unwrap_or_else(|| Text::Fixed(String::new()));
        Part { name: name.into_inner(), lookup, key, inputs, needs, written }
    }
}

/// A template; text without braces is an expression, since a key that is always the same asks nothing.
fn compiled(source: &Spanned<String>, visible: &[&str], faults: &mut Faults) -> Option<Template> {
    let text = source.get_ref();
    let (whole, added) =
        if text.contains("{{") || text.contains("{%") { (text.clone(), 0) } else { (format!("{{{{ {text} }}}}"), 3) };
    match Template::compile(&whole, visible, Place::Plain) {
        Ok(template) => Some(template),
        Err(error) => {
            let at = error.at.start.saturating_sub(added).min(text.len());
            let mend = match error.mend {
                mend if error.what.starts_with("there is no name") && mend.starts_with("known here") => {
                    format!("{mend}; what a request brings is declared in `parameters`")
                }
                mend => mend,
            };
            faults.within(&source.span(), at, error.what, mend);
            None
        }
    }
}

/// The parts that a template names.
fn needs_of(template: &Template, span: &Span, names: &[String], needs: &mut Vec<usize>, faults: &mut Faults) {
    for path in template.paths() {
        let Some(rest) = path.strip_prefix("parts") else { continue };
        let part = rest.trim_start_matches('.').split('.').next().unwrap_or_default();
        if part.is_empty() {
            let mend = "write `parts.NAME.field`, such as `parts.lrn.lrn`";
            faults.at(span, "`parts` alone names no part", mend);
        } else if let Some(found) = names.iter().position(|name| name == part) {
            needs.push(found);
        } else {
            let near = nearest(part, names.iter().map(String::as_str))
                .map_or(String::new(), |near| format!("did you mean `parts.{near}`? "));
            let mend = format!("{near}the parts are {}", names.join(", "));
            faults.at(span, format!("the bundle has no part `{part}`"), mend);
        }
    }
}

/// Takes away what waits for nobody, again and again; what is left waits for itself.
fn no_circle(parts: &[Part], places: &[Span], faults: &mut Faults) {
    let mut left: Vec<usize> = (0..parts.len()).collect();
    loop {
        let before = left.len();
        let waiting = left.clone();
        left.retain(|part| parts[*part].needs.iter().any(|need| waiting.contains(need)));
        if left.len() == before {
            break;
        }
    }
    // Those that only wait for a circle are told once it is mended.
    let (Some(first), true) = (left.first(), !left.is_empty()) else { return };
    let names: Vec<&str> = left.iter().map(|part| parts[*part].name.as_str()).collect();
    let what = format!("these parts wait for each other: {}", names.join(", "));
    faults.at(&places[*first], what, "let one of them take its key from the request's parameters");
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
