//! What is known of numbering plans: calling codes (ITU-T E.164), trunk and international prefixes, lengths.
//!
//! Lengths are generous: a number that cannot exist is refused, one that merely is not assigned passes.

/// A country whose national forms are understood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(&'static Plan);

/// One country's plan.
#[derive(PartialEq, Eq)]
pub(super) struct Plan {
    /// ISO 3166-1, two letters.
    pub(super) country: &'static str,
    /// The calling code.
    pub(super) code: &'static str,
    /// What is dialled before a national number; empty where nothing is.
    pub(super) trunk: &'static str,
    /// What is dialled before an international number, beside `00`.
    pub(super) prefix: &'static str,
    /// The fewest digits of a national number, without the trunk prefix.
    min: usize,
    /// The most.
    max: usize,
}

const fn plan(
    country: &'static str,
    code: &'static str,
    trunk: &'static str,
    prefix: &'static str,
    min: usize,
    max: usize,
) -> Plan {
    Plan { country, code, trunk, prefix, min, max }
}

/// North America first, then by calling code.
static PLANS: [Plan; 56] = [
    plan("US", "1", "1", "011", 10, 10),
    plan("CA", "1", "1", "011", 10, 10),
    plan("PR", "1", "1", "011", 10, 10),
    plan("DO", "1", "1", "011", 10, 10),
    plan("JM", "1", "1", "011", 10, 10),
    plan("BS", "1", "1", "011", 10, 10),
    plan("EG", "20", "0", "00", 8, 10),
    plan("ZA", "27", "0", "00", 9, 9),
    plan("GR", "30", "", "00", 10, 10),
    plan("NL", "31", "0", "00", 9, 11),
    plan("BE", "32", "0", "00", 8, 9),
    plan("FR", "33", "0", "00", 9, 9),
    plan("ES", "34", "", "00", 9, 9),
    plan("HU", "36", "06", "00", 8, 9),
    plan("IT", "39", "", "00", 6, 11),
    plan("RO", "40", "0", "00", 9, 9),
    plan("CH", "41", "0", "00", 9, 9),
    plan("AT", "43", "0", "00", 4, 13),
    plan("GB", "44", "0", "00", 7, 10),
    plan("DK", "45", "", "00", 8, 8),
    plan("SE", "46", "0", "00", 7, 10),
    plan("NO", "47", "", "00", 8, 12),
    plan("PL", "48", "", "00", 9, 9),
    plan("DE", "49", "0", "00", 5, 13),
    plan("PE", "51", "0", "00", 8, 9),
    plan("MX", "52", "", "00", 10, 10),
    plan("AR", "54", "0", "00", 10, 11),
    plan("BR", "55", "0", "00", 10, 11),
    plan("CL", "56", "", "00", 9, 9),
    plan("CO", "57", "", "00", 10, 10),
    plan("MY", "60", "0", "00", 8, 10),
    plan("AU", "61", "0", "0011", 9, 9),
    plan("ID", "62", "0", "001", 8, 12),
    plan("PH", "63", "0", "00", 8, 10),
    plan("NZ", "64", "0", "00", 8, 10),
    plan("SG", "65", "", "000", 8, 8),
    plan("TH", "66", "0", "001", 8, 9),
    plan("JP", "81", "0", "010", 9, 10),
    plan("KR", "82", "0", "001", 8, 10),
    plan("VN", "84", "0", "00", 9, 10),
    plan("CN", "86", "0", "00", 8, 11),
    plan("TR", "90", "0", "00", 10, 10),
    plan("IN", "91", "0", "00", 10, 10),
    plan("PK", "92", "0", "00", 9, 10),
    plan("PT", "351", "", "00", 9, 9),
    plan("LU", "352", "", "00", 4, 11),
    plan("IE", "353", "0", "00", 7, 10),
    plan("FI", "358", "0", "00", 5, 12),
    plan("BG", "359", "0", "00", 7, 9),
    plan("LT", "370", "0", "00", 8, 8),
    plan("UA", "380", "0", "00", 9, 9),
    plan("HR", "385", "0", "00", 8, 9),
    plan("SI", "386", "0", "00", 8, 8),
    plan("CZ", "420", "", "00", 9, 9),
    plan("SK", "421", "0", "00", 9, 9),
    plan("IL", "972", "0", "00", 8, 9),
];

impl Country {
    /// The United States, whose rules hold for all of the North American plan.
    pub const US: Self = Self(&PLANS[0]);

    /// The country of this ISO 3166-1 code, such as `US` or `de`, if its plan is known here.
    pub fn from_iso(code: &str) -> Option<Self> {
        PLANS.iter().find(|plan| plan.country.eq_ignore_ascii_case(code)).map(Self)
    }

    /// Its ISO 3166-1 code.
    pub fn iso(self) -> &'static str {
        self.0.country
    }

    /// Every country there is, for messages and suggestions.
    pub fn all_iso() -> impl Iterator<Item = &'static str> {
        PLANS.iter().map(|plan| plan.country)
    }

    pub(super) fn plan(self) -> &'static Plan {
        self.0
    }
}

impl std::fmt::Debug for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.iso())
    }
}

impl Plan {
    pub(super) fn is_nanp(&self) -> bool {
        self.code == "1"
    }

    /// How many digits at the front say "what follows is international".
    pub(super) fn international_prefix(&self, digits: &[u8]) -> Option<usize> {
        // Every prefix begins with 0, and on the way of a hit hardly a number does.
        if digits.first() != Some(&b'0') {
            return None;
        }
        if digits.starts_with(self.prefix.as_bytes()) {
            return Some(self.prefix.len());
        }
        digits.starts_with(b"00").then_some(2)
    }

    /// How many digits at the end are the national number; `None` when these are no number of the country.
    pub(super) fn national_digits(&self, digits: &[u8]) -> Option<usize> {
        if self.is_nanp() {
            let fits = matches!((digits.len(), digits.first()), (10, _) | (11, Some(b'1')));
            return fits.then_some(10);
        }
        let behind = |prefix: &str| {
            let rest = digits.strip_prefix(prefix.as_bytes())?;
            self.fits(rest.len()).then_some(rest.len())
        };
        if self.trunk.is_empty() {
            // Every national number is dialled whole, so a length that fits is one.
            return if self.fits(digits.len()) { Some(digits.len()) } else { behind(self.code) };
        }
        // Without trunk prefix, `+` and `00`, only the whole number begins with the calling code.
        behind(self.trunk).or_else(|| behind(self.code))
    }

    /// How many digits behind the calling code are a trunk prefix, which has no place there.
    pub(super) fn stray_trunk(&self, international: &[u8]) -> usize {
        let national = &international[self.code.len()..];
        if self.trunk == "0" && national.starts_with(b"0") { 1 } else { 0 }
    }

    /// Whether a national number may have this many digits.
    pub(super) fn fits(&self, national: usize) -> bool {
        (self.min..=self.max).contains(&national)
    }
}

/// The plan that these international digits belong to, if it is known here.
pub(super) fn of_digits(digits: &[u8]) -> Option<&'static Plan> {
    let code = digits.get(..code_length(digits)?)?;
    PLANS.iter().find(|plan| plan.code.as_bytes() == code)
}

/// How many digits the calling code has: one for zones 1 and 7, two for the large countries, else three.
pub(super) fn code_length(digits: &[u8]) -> Option<usize> {
    let length = match digits {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        [b'2'..=b'9', ..] => 3,
        _ => return None,
    };
    (digits.len() >= length).then_some(length)
}
