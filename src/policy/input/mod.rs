//! From a caller's text to a question: keys and inputs in their one canonical form.
//!
//! This is the first step of every hit. A plain number without further inputs is read in one pass and
//! kept inline: nothing is allocated.

pub(super) mod dns_name;
pub mod identity;
mod url;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};

use crate::policy::Policy;
use crate::policy::number::{self, Country};
use crate::policy::sip::Destination;
use identity::Identity;
pub use url::CallerUrls;

/// Separates the parts of a question's id. No canonical key or input holds a control character.
const SEPARATOR: char = '\u{1f}';

/// The key's type and the further inputs that a policy declares.
#[derive(Debug)]
pub struct Inputs {
    /// The key's type.
    pub key: InputType,
    /// Further inputs, in the order in which the policy declares them.
    pub further: Vec<Declared>,
}

/// A further input.
#[derive(Debug)]
pub struct Declared {
    /// Its name in queries and expressions.
    pub name: Arc<str>,
    /// Its type.
    pub input: InputType,
    /// False when a question without it is refused.
    pub optional: bool,
    /// Used when a question comes without it. In canonical form.
    pub default: Option<CompactString>,
    /// True for one that differs from call to call and changes no answer: requests may carry it, and the cache does
    /// not know of it.
    pub volatile: bool,
}

/// What a key or an input may be, and how its canonical form is found.
#[derive(Clone, Debug)]
pub enum InputType {
    /// A telephone number: `+` and E.164 digits.
    Tn {
        /// The country whose national forms are understood beside the international one, such as `US`.
        country: Country,
    },
    /// A name of the DNS: lower case, no dot at the end, at most 253 bytes (RFC 1035).
    DnsName,
    /// Where a SIP request is to go: a domain, an address, or a `sip:` or `sips:` URI; see [`Destination`].
    Sip,
    /// Digits only, for prefixes and codes; at most 32.
    Digits,
    /// Any printable text without control characters, at most 250 bytes.
    Text,
    /// One of these words, whatever its case; kept as it is written here.
    Word(Arc<[CompactString]>),
    /// Some of these words, with commas between them; kept in the order in which they stand here.
    Words(Arc<[CompactString]>),
    /// An https URL that we are to ask, of which the policy says where it may lead; or an Identity header with one.
    Url(Arc<CallerUrls>),
    /// A SIP Identity header's value (RFC 8224); see [`Identity`].
    Identity,
}

/// The input of the parts that a caller wants of an answer, which expressions see as a list.
pub const WANT: &str = "want";

/// A question, in canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Question {
    /// The key.
    pub key: CompactString,
    /// The further inputs, one a declared name, in the order of declaration.
    pub inputs: Vec<Option<CompactString>>,
    /// The names of `inputs`, in the same order.
    pub names: Vec<Arc<str>>,
    /// What the cache knows it by: the key alone where there are no further inputs but volatile ones.
    pub id: CompactString,
}

/// Why a caller's text is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// The key does not fit its type.
    #[error("the key is not {expected}")]
    Key {
        /// What it should be, in words.
        expected: Cow<'static, str>,
        /// True where a telephone number was expected.
        number: bool,
    },
    /// An input does not fit its type, or is missing.
    #[error("input `{name}` is not {expected}")]
    Input {
        /// The input's name.
        name: String,
        /// What it should be, in words.
        expected: Cow<'static, str>,
    },
    /// The policy declares no such input.
    #[error("there is no input `{name}`; this policy takes {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl Policy {
    /// Brings a caller's text into canonical form. `inputs` holds names and raw values, percent-decoded;
    /// an empty value is none, and of a name that comes twice the last counts.
    ///
    /// # Errors
    /// [`BadInput`] says which part does not fit and what it should be.
    #[inline]
    pub fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput> {
        self.inputs.question(key, inputs)
    }
}

impl Inputs {
    /// See [`Policy::question`].
    ///
    /// # Errors
    /// [`BadInput`] says which part does not fit and what it should be.
    pub fn question(&self, key: &str, inputs: &[(&str, &str)]) -> Result<Question, BadInput> {
        let key = self.key.canonical(key).ok_or_else(|| BadInput::Key {
            expected: self.key.expected(),
            number: matches!(self.key, InputType::Tn { .. }),
        })?;
        if let Some((name, _)) = inputs.iter().find(|(name, _)| !self.declares(name)) {
            return Err(BadInput::Unknown { name: shortened(name), known: self.known() });
        }
        if self.further.is_empty() {
            return Ok(Question::of_key(key));
        }
        let values = self.further.iter().map(|declared| declared.value(inputs)).collect::<Result<Vec<_>, _>>()?;
        let names = self.further.iter().map(|declared| Arc::clone(&declared.name)).collect();
        let mut id = key.clone();
        for (value, _) in values.iter().zip(&self.further).filter(|(_, declared)| !declared.volatile) {
            id.push(SEPARATOR);
            id.push_str(value.as_deref().unwrap_or_default());
        }
        Ok(Question { key, inputs: values, names, id })
    }

    /// Writes the id of the question that is this key and nothing else behind what is in `out`; false, and nothing written,
    /// where the key does not fit or more is declared.
    #[inline]
    pub fn id_of_key(&self, key: &str, out: &mut String) -> bool {
        self.further.is_empty()
            && match self.key {
                InputType::Tn { country } => number::parse_into(key, country, out),
                ref other => other.canonical(key).map(|key| out.push_str(&key)).is_some(),
            }
    }

    /// True where an Identity header is asked about, or goes along.
    pub fn has_identity(&self) -> bool {
        std::iter::once(&self.key)
            .chain(self.further.iter().map(|declared| &declared.input))
            .any(|input| matches!(input, InputType::Identity))
    }

    /// What an id stands for, as one line: `key;input=value`. `None` where no line could say it.
    pub fn line_of(&self, id: &str) -> Option<String> {
        let mut parts = id.split(SEPARATOR);
        let mut line = parts.next()?.to_owned();
        let mut fits = !line.is_empty() && !line.starts_with('#') && !line.contains(';');
        let kept = self.further.iter().filter(|declared| !declared.volatile);
        for (declared, value) in kept.zip(parts).filter(|(_, value)| !value.is_empty()) {
            fits &= !value.contains(';');
            line.push_str(&format!(";{}={value}", declared.name));
        }
        fits.then_some(line)
    }

    fn declares(&self, name: &str) -> bool {
        self.further.iter().any(|declared| &*declared.name == name)
    }

    fn known(&self) -> String {
        if self.further.is_empty() {
            return "a key and nothing else".to_owned();
        }
        self.further.iter().map(|declared| format!("`{}`", declared.name)).collect::<Vec<_>>().join(", ")
    }
}

impl Declared {
    fn value(&self, given: &[(&str, &str)]) -> Result<Option<CompactString>, BadInput> {
        let bad = |expected: Cow<'static, str>| BadInput::Input { name: self.name.to_string(), expected };
        match given.iter().rev().find(|(name, _)| *name == &*self.name) {
            Some((_, raw)) if !raw.is_empty() => {
                self.input.canonical(raw).map(Some).ok_or_else(|| bad(self.input.expected()))
            }
            _ if self.default.is_some() => Ok(self.default.clone()),
            _ if self.optional => Ok(None),
            _ => Err(bad("given, and this lookup needs it".into())),
        }
    }
}

impl Question {
    /// A question of a canonical key and no further inputs.
    pub fn of_key(key: impl Into<CompactString>) -> Self {
        let key = key.into();
        Self { id: key.clone(), key, inputs: Vec::new(), names: Vec::new() }
    }

    /// The further inputs by name.
    pub fn named_inputs(&self) -> impl Iterator<Item = (&Arc<str>, Option<&str>)> {
        self.names.iter().zip(&self.inputs).map(|(name, value)| (name, value.as_deref()))
    }
}

impl InputType {
    /// The one form in which a text of this type is kept; `None` where it is none.
    pub fn canonical(&self, text: &str) -> Option<CompactString> {
        match self {
            Self::Tn { country } => number::parse(text, *country),
            Self::DnsName => dns_name::canonical(text),
            Self::Sip => Destination::parse(text).map(|destination| destination.to_compact_string()),
            Self::Digits => {
                // To the end in any case: that is no branch a letter.
                let are_digits = text.bytes().fold(true, |all, byte| all & byte.is_ascii_digit());
                let fits = (1..=32).contains(&text.len()) && are_digits;
                fits.then(|| text.into())
            }
            Self::Word(words) => words.iter().find(|word| word.eq_ignore_ascii_case(text)).cloned(),
            Self::Words(words) => some_of(words, text),
            Self::Url(urls) => urls.canonical(text),
            Self::Identity => Identity::parse(text).map(|identity| identity.to_compact_string()),
            Self::Text => {
                let fits = (1..=250).contains(&text.len()) && !text.chars().any(char::is_control);
                fits.then(|| text.into())
            }
        }
    }

    /// True for what a canonical text of this type may begin with.
    pub fn may_begin(&self, prefix: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Tn { .. } => prefix.strip_prefix('+').is_some_and(digits),
            Self::Digits => digits(prefix),
            Self::DnsName => !prefix.is_empty() && !prefix.bytes().any(|byte| byte.is_ascii_uppercase()),
            _ => !prefix.is_empty(),
        }
    }

    /// What a text of this type is, in words that follow "is not".
    pub fn expected(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Word(words) => return format!("one of {}", words.join(", ")).into(),
            Self::Words(words) => return format!("some of {}, with commas between them", words.join(", ")).into(),
            Self::Url(urls) => return urls.expected().into(),
            Self::Tn { .. } => "a telephone number, such as +13035550100",
            Self::DnsName => "a DNS name of at most 253 letters, digits, `-` and `_`, such as sip.carrier.example",
            Self::Sip => {
                "a domain, an address, or a sip: or sips: URI over udp, tcp or tls, such as sip:carrier.example"
            }
            Self::Digits => "1 to 32 digits",
            Self::Identity => {
                "a SIP Identity header of at most 4096 bytes, such as eyJ…;info=<https://…>;alg=ES256;ppt=shaken"
            }
            Self::Text => "1 to 250 bytes of text without control characters",
        };
        text.into()
    }
}

/// The named words, each once, in the order of the list; `None` where one is not in it.
fn some_of(words: &[CompactString], text: &str) -> Option<CompactString> {
    let named = |part: &str| words.iter().position(|word| word.eq_ignore_ascii_case(part.trim()));
    let mut places = text.split(',').map(named).collect::<Option<Vec<usize>>>()?;
    places.sort_unstable();
    places.dedup();
    Some(places.into_iter().map(|place| words[place].as_str()).collect::<Vec<_>>().join(",").into())
}

/// A caller's text as far as a message repeats it.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
