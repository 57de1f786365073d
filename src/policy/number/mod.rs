//! Telephone numbers: E.164 and the North American plan.
//!
//! [`parse`] brings what a SIP message, a script or a person writes into the one form that keys and
//! records have: `+` and 8 to 15 digits (E.164). It is on the way of every hit: one pass over the
//! bytes, no allocation. `plan` holds what is known of countries.

mod plan;
#[cfg(test)]
mod tests;

use compact_str::CompactString;

pub use plan::Country;

/// The most digits that are looked at: an international prefix of up to five and E.164's fifteen.
const MAX_DIGITS: usize = 20;

/// Room before the digits for `+` and a calling code, so that nothing is ever moved to make room.
const HEAD: usize = 4;

/// The longest text that is looked at, in bytes; a SIP URI with its parameters fits in.
const MAX_TEXT: usize = 512;

/// The digits of a text, and whether a `+` stood before them.
struct Digits {
    text: [u8; HEAD + MAX_DIGITS],
    start: usize,
    end: usize,
    plus: bool,
}

/// The canonical form, `+` and E.164 digits, of a number as people and protocols write it:
///
/// - `+` or an international prefix (`00`, or the country's own, such as `011`) and the whole number;
/// - the national form of `country`, with its trunk prefix where the country has one;
/// - either of them as the user of a `tel:`, `sip:` or `sips:` URI (RFC 3966, RFC 3261), whose parameters,
///   password and host do not matter;
/// - with the separators `-`, `.`, `(`, `)`, space and `/` wherever people put them.
///
/// `None` for all else: letters, a number that is too short or too long, an area code that the North
/// American plan cannot have.
pub fn parse(text: &str, country: Country) -> Option<CompactString> {
    if let Some(front) = before_plain_nanp(text, country) {
        let mut canonical = CompactString::const_new(front);
        canonical.push_str(text);
        return Some(canonical);
    }
    let mut digits = Digits::of(user_part(text)?)?;
    digits.make_international(country)?;
    digits.into_canonical()
}

/// As [`parse`], the number written behind what is in `out`; false, and nothing written, where it is none.
#[inline]
pub fn parse_into(text: &str, country: Country, out: &mut String) -> bool {
    match before_plain_nanp(text, country) {
        Some(front) => {
            out.push_str(front);
            out.push_str(text);
            true
        }
        None => parse(text, country).map(|number| out.push_str(&number)).is_some(),
    }
}

/// What makes the canonical form of bare digits of the North American plan, as nearly all numbers there are written, when
/// it stands before them; `None` for all others. Told at a glance.
#[inline]
fn before_plain_nanp(text: &str, country: Country) -> Option<&'static str> {
    let (front, ten) = match text.as_bytes() {
        [b'+', b'1', ten @ ..] => ("", ten),
        [b'1', ten @ ..] if country.plan().is_nanp() => ("+", ten),
        _ => return None,
    };
    let ten: &[u8; 10] = ten.try_into().ok()?;
    let are_digits = ten.iter().fold(true, |all, byte| all & byte.is_ascii_digit());
    (are_digits && is_nanp(ten)).then_some(front)
}

/// What is left of a URI; a bare text is its own user part.
fn user_part(text: &str) -> Option<&str> {
    let text = text.trim_ascii();
    if text.len() > MAX_TEXT {
        return None;
    }
    match text.as_bytes().first()? {
        b't' | b'T' => after_scheme(text, "tel:"),
        b's' | b'S' => {
            let rest = after_scheme(text, "sip:").or_else(|| after_scheme(text, "sips:"))?;
            let (user, _host) = rest.split_once('@')?;
            user.split(':').next()
        }
        _ => Some(text),
    }
}

fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

impl Digits {
    /// Collects the digits up to the parameters; `None` at the first thing that is neither digit nor separator.
    fn of(text: &str) -> Option<Self> {
        // A SIP user part may carry its `+` escaped (RFC 3261 section 19.1.2).
        let (bytes, escaped) = match text.as_bytes() {
            [b'%', b'2', b'B' | b'b', rest @ ..] => (rest, true),
            bytes => (bytes, false),
        };
        let mut digits = Self { text: [b'+'; HEAD + MAX_DIGITS], start: HEAD, end: HEAD, plus: escaped };
        for &byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    *digits.text.get_mut(digits.end)? = byte;
                    digits.end += 1;
                }
                b'+' if digits.end == HEAD && !digits.plus => digits.plus = true,
                b'-' | b'.' | b'(' | b')' | b' ' | b'/' => {}
                b';' => break,
                _ => return None,
            }
        }
        Some(digits)
    }

    fn as_slice(&self) -> &[u8] {
        &self.text[self.start..self.end]
    }

    /// Leaves the country's calling code in front, whatever was dialled before it.
    fn make_international(&mut self, country: Country) -> Option<()> {
        if self.plus {
            return Some(());
        }
        let plan = country.plan();
        if let Some(prefix) = plan.international_prefix(self.as_slice()) {
            self.start += prefix;
            return Some(());
        }
        let national = plan.national_digits(self.as_slice())?;
        self.start = self.end - national;
        self.put_front(plan.code);
        Some(())
    }

    /// Puts a calling code, of at most three digits, before the digits.
    fn put_front(&mut self, code: &str) {
        let before = self.start;
        self.start -= code.len();
        self.text[self.start..before].copy_from_slice(code.as_bytes());
    }

    /// Writes international digits in the one form, if such a number can exist.
    fn into_canonical(mut self) -> Option<CompactString> {
        match self.as_slice() {
            [b'1', ten @ ..] => is_nanp(ten).then_some(())?,
            [b'2'..=b'9', ..] => self.check_abroad()?,
            _ => return None,
        }
        self.start -= 1;
        self.text[self.start] = b'+';
        std::str::from_utf8(self.as_slice()).ok().map(CompactString::new)
    }

    /// Checks a number outside North America, and drops a trunk prefix that people write behind the
    /// calling code, as in `+44 (0) 20…`: it belongs to no E.164 number.
    fn check_abroad(&mut self) -> Option<()> {
        if let Some(plan) = plan::of_digits(self.as_slice()) {
            let trunk = plan.stray_trunk(self.as_slice());
            self.start += plan.code.len() + trunk;
            plan.fits(self.end - self.start).then_some(())?;
            self.put_front(plan.code);
        }
        (8..=15).contains(&(self.end - self.start)).then_some(())
    }
}

/// Ten digits that the North American plan can have: area code and exchange begin with 2 to 9, and
/// no area code ends in `11`.
fn is_nanp(ten: &[u8]) -> bool {
    matches!(ten, [b'2'..=b'9', n, p, b'2'..=b'9', ..] if ten.len() == 10 && (*n, *p) != (b'1', b'1'))
}

/// The ten digits of a canonical number of the North American plan; `None` for any other.
pub fn nanp(canonical: &str) -> Option<&str> {
    canonical.strip_prefix("+1").filter(|ten| ten.len() == 10)
}

/// The calling code of a canonical number: `1`, `49`, `420`. `None` for a text that is none.
pub fn calling_code(canonical: &str) -> Option<&str> {
    let digits = canonical.strip_prefix('+')?;
    digits.get(..plan::code_length(digits.as_bytes())?)
}

/// The number as it is dialled within its country, trunk prefix included: `030…` for `+4930…`, ten
/// digits in North America. `None` where the country's plan is not known here.
pub fn national(canonical: &str) -> Option<CompactString> {
    if let Some(ten) = nanp(canonical) {
        return Some(ten.into());
    }
    let digits = canonical.strip_prefix('+')?;
    let plan = plan::of_digits(digits.as_bytes())?;
    let mut national = CompactString::new(plan.trunk);
    national.push_str(digits.get(plan.code.len()..)?);
    Some(national)
}
