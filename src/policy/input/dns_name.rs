//! Names of the DNS as keys.

use compact_str::CompactString;

/// A DNS name, or the host of a `sip:` or `sips:` URI, in lower case.
pub(in crate::policy) fn canonical(text: &str) -> Option<CompactString> {
    let name = sip_host(text).unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > 253 || !name.split('.').all(is_label) {
        return None;
    }
    let mut canonical = CompactString::new(name);
    canonical.make_ascii_lowercase();
    Some(canonical)
}

fn sip_host(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    host.split([':', ';', '?', '>']).next()
}

/// Letters, digits and hyphens, no hyphen at the ends (RFC 1035 section 2.3.1), and the underscore of
/// service names (RFC 8552).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
