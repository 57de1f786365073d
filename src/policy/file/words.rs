//! Words from closed sets, and the few values that are read from more than one form.

use std::time::Duration;

use encoding_rs::Encoding;

use crate::answer::Outcome;
use crate::policy::decode;
use crate::policy::kind::Kind;
use crate::policy::number::Country;
use crate::policy::{Algorithm, DnsRecord, Engine, Format, HoldScope, HttpMethod, Service, TableMatch, Transport};
use crate::written::{Leaf, Word, Wrong, nearest};

/// `enabled`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnabledWord {
    /// Checked and served.
    Yes,
    /// Checked, and not served.
    No,
    /// Checked, and served once every secret it names is there; until then it is off, and no fault.
    WithSecrets,
}

impl Leaf for EnabledWord {
    const EXPECTED: &'static str = "true, false or \"secrets\"";
    const EXAMPLE: &'static str = "\"secrets\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match text {
            "secrets" => Ok(Self::WithSecrets),
            _ => Err(Wrong::new(
                format!("`{text}` does not say whether the policy is served"),
                "write true, false, or \"secrets\": served once every secret it names is there",
            )),
        }
    }

    fn from_bool(value: bool) -> Result<Self, Wrong> {
        Ok(if value { Self::Yes } else { Self::No })
    }
}

/// `[budget] order`
#[derive(Clone, Copy, Debug)]
pub(crate) enum OrderWord {
    Failover,
    Hedge,
}

impl Word for OrderWord {
    const WHAT: &'static str = "an order";
    const WORDS: &'static [(&'static str, Self)] = &[("failover", Self::Failover), ("hedge", Self::Hedge)];
}

impl Word for Engine {
    const WHAT: &'static str = "a cache engine";
    const WORDS: &'static [(&'static str, Self)] = &[("s3fifo", Self::S3Fifo), ("moka", Self::Moka)];
}

/// `[[upstream]] type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportWord {
    Http,
    Dns,
    Sql,
    Table,
}

impl TransportWord {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Sql => "sql",
            Self::Table => "table",
        }
    }
}

impl Word for TransportWord {
    const WHAT: &'static str = "a type of upstream";
    const WORDS: &'static [(&'static str, Self)] =
        &[("http", Self::Http), ("dns", Self::Dns), ("sql", Self::Sql), ("table", Self::Table)];
}

impl Word for TableMatch {
    const WHAT: &'static str = "a way to match";
    const WORDS: &'static [(&'static str, Self)] =
        &[("exact", Self::Exact), ("longest_prefix", Self::LongestPrefix), ("range", Self::Range)];
}

/// `[input]` types; the last ones are other words for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputWord {
    Tn,
    Dns,
    Sip,
    Digits,
    Text,
    Word,
    Url,
    Identity,
}

impl Word for InputWord {
    const WHAT: &'static str = "a type of input";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tn", Self::Tn),
        ("dns", Self::Dns),
        ("sip", Self::Sip),
        ("digits", Self::Digits),
        ("text", Self::Text),
        ("word", Self::Word),
        ("url", Self::Url),
        ("identity", Self::Identity),
        ("ani", Self::Tn),
        ("dnis", Self::Tn),
        ("account", Self::Text),
    ];
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) u16);

impl Leaf for Port {
    const EXPECTED: &'static str = "a port";
    const EXAMPLE: &'static str = "443";

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        port.map(Self).ok_or_else(|| Wrong::new(format!("`{number}` is no port"), "write a number from 1 to 65535"))
    }
}

impl Word for HoldScope {
    const WHAT: &'static str = "a scope of holds";
    const WORDS: &'static [(&'static str, Self)] =
        &[("upstream", Self::Upstream), ("credential", Self::Credential), ("key", Self::Key)];
}

impl Word for HttpMethod {
    const WHAT: &'static str = "a method";
    const WORDS: &'static [(&'static str, Self)] = &[("GET", Self::Get), ("POST", Self::Post), ("PUT", Self::Put)];
}

impl Word for DnsRecord {
    const WHAT: &'static str = "a record type";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("A", Self::A),
        ("AAAA", Self::Aaaa),
        ("SRV", Self::Srv),
        ("NAPTR", Self::Naptr),
        ("TXT", Self::Txt),
        ("PTR", Self::Ptr),
        ("CNAME", Self::Cname),
        ("SIP", Self::Sip),
    ];
}

impl Word for Transport {
    const WHAT: &'static str = "a transport of SIP";
    const WORDS: &'static [(&'static str, Self)] = &[("udp", Self::Udp), ("tcp", Self::Tcp), ("tls", Self::Tls)];
}

/// `[[upstream]] record`: a type, or a template that gives one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordWord {
    One(DnsRecord),
    Template(String),
}

impl Leaf for RecordWord {
    const EXPECTED: &'static str = "a record type, in quotes";
    const EXAMPLE: &'static str = "\"A\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.contains("{{") {
            Ok(Self::Template(text.to_owned()))
        } else {
            DnsRecord::from_text(text).map(Self::One)
        }
    }
}

/// `[[upstream]] services`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName(pub(crate) Service);

impl Leaf for ServiceName {
    const EXPECTED: &'static str = "an ENUM service, in quotes";
    const EXAMPLE: &'static str = "\"E2U+pstn:tel\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Service::parse(text).map(Self).ok_or_else(|| {
            let mend = "write `E2U+`, its type and perhaps its subtype, as in \"E2U+pstn:tel\" or \"E2U+sip\"";
            Wrong::new(format!("`{text}` is not an ENUM service"), mend)
        })
    }
}

/// `[[upstream]] format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FormatWord(pub(crate) Format);

impl Word for FormatWord {
    const WHAT: &'static str = "a format";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("json", Self(Format::Json)),
        ("xml", Self(Format::Xml)),
        ("text", Self(Format::Text)),
        ("delimited", Self(Format::Delimited)),
        ("kv", Self(Format::Kv)),
        ("csv", Self(Format::Csv)),
        ("tsv", Self(Format::Tsv)),
        ("binary", Self(Format::Binary)),
        ("none", Self(Format::None)),
    ];
}

/// `[[upstream]] charset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CharsetName(pub(crate) &'static Encoding);

impl Leaf for CharsetName {
    const EXPECTED: &'static str = "a charset, in quotes";
    const EXAMPLE: &'static str = "\"latin-1\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        decode::charset_of_name(text).map(Self).ok_or_else(|| {
            Wrong::new(
                format!("`{text}` is not a charset that is known here"),
                "write `utf-8`, `latin-1`, `windows-1252` or another name of the WHATWG's list",
            )
        })
    }
}

/// `[[upstream]] separator`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Separator(pub(crate) char);

impl Leaf for Separator {
    const EXPECTED: &'static str = "one character, in quotes";
    const EXAMPLE: &'static str = "\";\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Self(c)),
            _ => Err(Wrong::new(
                format!("`{text}` is not one character"),
                "write the one that stands between two values, such as \";\", or \"\\t\" for a tab",
            )),
        }
    }
}

/// `auth = { type = … }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthWord {
    None,
    Basic,
    Bearer,
    Scheme,
    Header,
    Headers,
    Query,
    Oauth2,
    Hmac,
}

impl AuthWord {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Scheme => "scheme",
            Self::Header => "header",
            Self::Headers => "headers",
            Self::Query => "query",
            Self::Oauth2 => "oauth2",
            Self::Hmac => "hmac",
        }
    }
}

impl Word for AuthWord {
    const WHAT: &'static str = "a type of auth";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("basic", Self::Basic),
        ("bearer", Self::Bearer),
        ("scheme", Self::Scheme),
        ("header", Self::Header),
        ("headers", Self::Headers),
        ("query", Self::Query),
        ("oauth2", Self::Oauth2),
        ("hmac", Self::Hmac),
    ];
}

/// How an OAuth2 client shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuthWord {
    Basic,
    Body,
}

impl Word for ClientAuthWord {
    const WHAT: &'static str = "a way to show a client's credentials";
    const WORDS: &'static [(&'static str, Self)] = &[("basic", Self::Basic), ("body", Self::Body)];
}

/// `algorithm` of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlgorithmWord(pub(crate) Algorithm);

impl Word for AlgorithmWord {
    const WHAT: &'static str = "a digest";
    const WORDS: &'static [(&'static str, Self)] =
        &[("sha1", Self(Algorithm::Sha1)), ("sha256", Self(Algorithm::Sha256)), ("sha512", Self(Algorithm::Sha512))];
}

/// `encoding` of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodingWord {
    Hex,
    Base64,
}

impl Word for EncodingWord {
    const WHAT: &'static str = "an encoding";
    const WORDS: &'static [(&'static str, Self)] = &[("hex", Self::Hex), ("base64", Self::Base64)];
}

/// `redirects`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedirectsWord {
    None,
    SameHost,
}

impl Word for RedirectsWord {
    const WHAT: &'static str = "a way with redirects";
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("same-host", Self::SameHost)];
}

/// `min` of `tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsWord {
    V12,
    V13,
}

impl Word for TlsWord {
    const WHAT: &'static str = "a version of TLS";
    const WORDS: &'static [(&'static str, Self)] = &[("1.2", Self::V12), ("1.3", Self::V13)];
}

/// What a rule may decide: all that an upstream's answer can mean, and nothing that only dipcache
/// itself can know (`open`, `overload`, `fallback`…).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleOutcome(pub(crate) Outcome);

impl Word for RuleOutcome {
    const WHAT: &'static str = "an outcome that a rule can decide";
    const WORDS: &'static [(&'static str, Self)] = &[
        (Outcome::Found.as_str(), Self(Outcome::Found)),
        (Outcome::Partial.as_str(), Self(Outcome::Partial)),
        (Outcome::NotFound.as_str(), Self(Outcome::NotFound)),
        (Outcome::NotApplicable.as_str(), Self(Outcome::NotApplicable)),
        (Outcome::InvalidNumber.as_str(), Self(Outcome::InvalidNumber)),
        (Outcome::RateLimited.as_str(), Self(Outcome::RateLimited)),
        (Outcome::QuotaExhausted.as_str(), Self(Outcome::QuotaExhausted)),
        (Outcome::AuthError.as_str(), Self(Outcome::AuthError)),
        (Outcome::VendorError.as_str(), Self(Outcome::VendorError)),
        (Outcome::Timeout.as_str(), Self(Outcome::Timeout)),
    ];
}

/// `hedge_after`: a duration, or `p95`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HedgeAfter {
    /// After a fixed time.
    Fixed(Duration),
    /// Where a measured percentile was asked for: half the call budget stands in for it.
    Percentile,
}

impl Leaf for HedgeAfter {
    const EXPECTED: &'static str = "a duration with its unit";
    const EXAMPLE: &'static str = "\"20ms\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text == "p95" { Ok(Self::Percentile) } else { Duration::from_text(text).map(Self::Fixed) }
    }

    fn from_integer(number: i64) -> Result<Self, Wrong> {
        Duration::from_integer(number).map(Self::Fixed)
    }

    fn from_float(number: f64) -> Result<Self, Wrong> {
        Duration::from_float(number).map(Self::Fixed)
    }
}

/// `kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KindWord(pub(crate) Kind);

impl Leaf for KindWord {
    const EXPECTED: &'static str = "a kind of lookup, in quotes";
    const EXAMPLE: &'static str = "\"lrn\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Kind::from_name(text).map(Self).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            let near =
                nearest(text, names.iter().copied()).map_or(String::new(), |word| format!("did you mean `{word}`? "));
            Wrong::new(
                format!("`{text}` is not a kind of lookup"),
                format!("{near}there are {}; `raw` has fields of its own", names.join(", ")),
            )
        })
    }
}

/// `country`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountryCode(pub(crate) Country);

impl Leaf for CountryCode {
    const EXPECTED: &'static str = "a country's two letters, in quotes";
    const EXAMPLE: &'static str = "\"US\"";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Country::from_iso(text).map(Self).ok_or_else(|| {
            let codes: Vec<&str> = Country::all_iso().collect();
            Wrong::new(
                format!("the numbers of `{text}` are not known"),
                format!("write a country's two capital letters (ISO 3166); known are {}", codes.join(", ")),
            )
        })
    }
}
