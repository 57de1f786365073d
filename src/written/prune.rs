//! Takes what serde stumbled over out of the tree.

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::faults::Span;

/// What was taken out, and from where.
#[derive(Debug)]
pub(super) struct Removed {
    /// The table's place.
    pub(super) table: Span,
    /// The table's name as a header: `[cache]`, `[[upstream]]`; empty for the top of the file.
    pub(super) table_name: String,
    /// The key.
    pub(super) key: String,
}

/// Removes the key or value at `span`, wherever it is.
pub(super) fn remove(root: &mut Spanned<DeTable<'_>>, span: &Span) -> Option<Removed> {
    let place = root.span();
    from_table(root.get_mut(), &place, span, &mut Vec::new())
}

/// One step of the way down: a name, and whether a list of tables has it.
type Step = (String, bool);

fn from_table(table: &mut DeTable<'_>, place: &Span, span: &Span, path: &mut Vec<Step>) -> Option<Removed> {
    let hit = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
    if let Some((key, _)) = hit {
        let key = key.get_ref().to_string();
        table.remove(key.as_str());
        return Some(Removed { table: place.clone(), table_name: header(path), key });
    }
    for (key, value) in table.iter_mut() {
        path.push((key.get_ref().to_string(), matches!(value.get_ref(), DeValue::Array(_))));
        if let Some(removed) = from_value(value, place, span, path) {
            return Some(removed);
        }
        path.pop();
    }
    None
}

fn from_value(value: &mut Spanned<DeValue<'_>>, parent: &Span, span: &Span, path: &mut Vec<Step>) -> Option<Removed> {
    let place = value.span();
    match value.get_mut() {
        DeValue::Table(table) => from_table(table, &place, span, path),
        DeValue::Array(elements) => {
            if elements.iter().any(|element| element.span() == *span) {
                let kept =
                    std::mem::replace(elements, DeArray::new()).into_iter().filter(|element| element.span() != *span);
                *elements = kept.collect();
                let key = path.last().map(|(name, _)| name.clone()).unwrap_or_default();
                return Some(Removed { table: parent.clone(), table_name: header(path), key });
            }
            elements.iter_mut().find_map(|element| from_value(element, &place, span, path))
        }
        _ => None,
    }
}

/// The path as the file's headers write it.
fn header(path: &[Step]) -> String {
    let Some((_, is_list)) = path.last() else { return String::new() };
    let name = path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
    if *is_list { format!("[[{name}]]") } else { format!("[{name}]") }
}
