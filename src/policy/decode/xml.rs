//! XML as the same tree that JSON gives.
//!
//! `body` holds the root element by its name: `<reply><lrn>303…</lrn></reply>` is `body.reply.lrn`. Attributes
//! are `@name`, text beside them or beside elements is `#text`, namespace prefixes are dropped, text is trimmed.
//!
//! An element with nothing but text in it *is* that text, so that `body.reply.lrn == '3035550100'` holds. Any other
//! is a map. XML does not say whether an element that comes once is a list of one, so it reads as both:
//!
//! - alone, `items.name` is the element's own part and `items | first`, `items[0]`, `for` and `selectattr` take
//!   it for a list of one; printed, it is its text;
//! - repeated, it is a list, and `items.name` is the first one's part.
//!
//! A single element of text alone is a plain text: `| first` of a text is the text itself, and `| as_list` makes a
//! list of whatever there is. Kept as a field, an element with parts is a list of maps.
//!
//! What holds: no DTD, so no entities but the five of XML and character references; a bounded depth and count of
//! elements; every element closed by its own name; one root.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// How deep elements may stand in one another; the tree is walked by recursion elsewhere.
const MAX_DEPTH: usize = 64;

/// The most elements and attributes of one body.
const MAX_PARTS: usize = 50_000;

/// An element under way.
#[derive(Default)]
struct Open {
    name: String,
    members: IndexMap<String, Vec<Value>>,
    text: String,
}

/// Reads a document.
///
/// # Errors
/// Why it is none, or none that is read here, on one line.
pub(super) fn tree(text: &str) -> Result<Value, String> {
    let no_xml = |error: &dyn fmt::Display| format!("the body is no XML: {error}");
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    // What stands around the root is taken as the text of an element without a name.
    let mut open = vec![Open::default()];
    let mut parts = 0_usize;
    loop {
        match reader.read_event().map_err(|error| no_xml(&error))? {
            Event::Start(start) => {
                open.push(begin(&start, &mut parts)?);
                if open.len() > MAX_DEPTH {
                    return Err(format!("the body is deeper than {MAX_DEPTH} elements"));
                }
            }
            Event::Empty(start) => {
                let element = begin(&start, &mut parts)?;
                close(&mut open, element);
            }
            Event::End(_) => {
                // The reader refuses an end without a start, so the outermost is never taken.
                if let Some(element) = open.pop() {
                    close(&mut open, element);
                }
            }
            Event::Text(text) => push_text(&mut open, &text.into_inner()),
            Event::CData(text) => push_text(&mut open, &text.into_inner()),
            Event::GeneralRef(reference) => {
                let c = character(&reference)?;
                push_text(&mut open, c.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err("the body has a DTD, which is never read".to_owned()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    document(open)
}

fn begin(start: &BytesStart<'_>, parts: &mut usize) -> Result<Open, String> {
    let mut element = Open { name: local(start.local_name().as_ref()), ..Open::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("the body is no XML: {error}"))?;
        // Names of namespaces are no data.
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| format!("the body is no XML: {error}"))?;
        let name = format!("@{}", local(attribute.key.local_name().as_ref()));
        element.members.entry(name).or_insert_with(|| vec![Value::from(value.trim())]);
        *parts += 1;
    }
    *parts += 1;
    if *parts > MAX_PARTS {
        return Err(format!("the body has more than {MAX_PARTS} elements and attributes"));
    }
    Ok(element)
}

fn local(name: &str) -> String {
    name.to_owned()
}

fn push_text(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// The character that a reference stands for: one by its number, or one of the five.
fn character(reference: &BytesRef<'_>) -> Result<char, String> {
    match reference.resolve_char_ref() {
        Ok(Some(c)) => return Ok(c),
        Ok(None) => {}
        Err(error) => return Err(format!("the body is no XML: {error}")),
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err("the body has an entity that is none of XML's five".to_owned()),
    }
}

/// Puts an element into the one around it.
fn close(open: &mut [Open], element: Open) {
    let Some(around) = open.last_mut() else { return };
    let text = element.text.trim();
    let value = if element.members.is_empty() {
        Value::from(text)
    } else {
        let mut members: IndexMap<String, Value> =
            element.members.into_iter().map(|(name, values)| (name, one_or_many(values))).collect();
        if !text.is_empty() {
            members.insert("#text".to_owned(), Value::from(text));
        }
        Value::from_object(Element(Arc::new(members)))
    };
    around.members.entry(element.name).or_default().push(value);
}

fn one_or_many(mut values: Vec<Value>) -> Value {
    match values.len() {
        1 => values.remove(0),
        _ => Value::from_object(Repeated(values)),
    }
}

fn document(mut open: Vec<Open>) -> Result<Value, String> {
    let Some(outermost) = open.pop() else { return Err("the body is no XML".to_owned()) };
    if !open.is_empty() {
        return Err(format!("the body is no XML: `{}` is not closed", outermost.name));
    }
    if !outermost.text.trim().is_empty() {
        return Err("the body is no XML: there is text outside of its root".to_owned());
    }
    let roots: Vec<Value> = outermost.members.values().flatten().cloned().collect();
    if roots.len() != 1 {
        return Err(format!("the body is no XML: it has {} roots", roots.len()));
    }
    Ok(Value::from_pairs(outermost.members.into_iter().map(|(name, values)| (name, one_or_many(values)))))
}

type Members = Arc<IndexMap<String, Value>>;

/// An element with parts that comes once: a map by name, a list of one to whoever goes through it.
#[derive(Debug)]
struct Element(Members);

/// The same as the one item of that list: a map and nothing else, so that going through ends.
#[derive(Debug)]
struct Item(Members);

/// Elements of one name beside each other.
#[derive(Debug)]
struct Repeated(Vec<Value>);

impl Object for Element {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(name) => self.0.get(name).cloned(),
            None => matches!(key.as_i64(), Some(0 | -1)).then(|| Value::from_object(Item(Arc::clone(&self.0)))),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(1)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_text(&self.0, f)
    }
}

impl Object for Item {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).cloned()
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        render_text(&self.0, f)
    }
}

impl Object for Repeated {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(name) => self.get_value_by_str(name),
            None => {
                let index = key.as_i64()?;
                let index = if index < 0 { index + i64::try_from(self.0.len()).ok()? } else { index };
                let item = self.0.get(usize::try_from(index).ok()?)?;
                Some(
                    item.downcast_object_ref::<Element>()
                        .map_or_else(|| item.clone(), |element| Value::from_object(Item(Arc::clone(&element.0)))),
                )
            }
        }
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        self.0.first()?.downcast_object_ref::<Element>()?.0.get(name).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

fn render_text(members: &IndexMap<String, Value>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    members.get("#text").map_or(Ok(()), |text| fmt::Display::fmt(text, f))
}
