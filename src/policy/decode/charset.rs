//! From bytes to text: bad bytes are replaced and never an error, since a name with one odd letter is still a name.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::{Decoding, Format};

/// How far into a body an XML declaration is looked for.
const DECLARATION: usize = 128;

/// A body as text: in the charset that a byte order mark names, else the policy, else the header, else (XML) the
/// document itself, else UTF-8. The mark is removed.
pub(super) fn text<'a>(
    decoding: &Decoding,
    format: Format,
    content_type: Option<&str>,
    body: &'a [u8],
) -> Cow<'a, str> {
    let told = || match format {
        // JSON is UTF-8 whatever the header says (RFC 8259 section 8.1).
        Format::Json => None,
        Format::Xml => content_type.and_then(of_header).or_else(|| of_declaration(body)),
        _ => content_type.and_then(of_header),
    };
    let charset = decoding.charset.or_else(told).unwrap_or(UTF_8);
    // Nearly all of them: nothing to turn into anything, and no byte that a byte order mark begins with.
    if charset == UTF_8
        && !matches!(body, [0xef | 0xfe | 0xff, ..])
        && let Ok(text) = str::from_utf8(body)
    {
        return Cow::Borrowed(text);
    }
    charset.decode(body).0
}

/// The charset of this name, as an operator writes it. `latin-1` is read as windows-1252, which says the
/// same and more (as every browser does).
pub(crate) fn of_name(name: &str) -> Option<&'static Encoding> {
    match name.trim().to_ascii_lowercase().as_str() {
        "latin-1" | "latin_1" => Encoding::for_label(b"latin1"),
        other => Encoding::for_label(other.as_bytes()),
    }
}

/// The charset that a `Content-Type` names (RFC 9110 section 8.3.2), where it is a known one.
fn of_header(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)?;
        of_name(value.trim().trim_matches('"'))
    })
}

/// The charset that `<?xml … encoding="…"?>` names.
fn of_declaration(body: &[u8]) -> Option<&'static Encoding> {
    let start = String::from_utf8_lossy(&body[..body.len().min(DECLARATION)]);
    let declaration = start.strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    of_name(value[1..].split(quote).next()?)
}
