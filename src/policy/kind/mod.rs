//! Canonical records: which fields a kind of lookup speaks of.
//!
//! The same field has the same name and the same meaning whichever vendor gave it, so that a routing
//! script never learns who answered. A policy may leave fields out; of [`Kind::Raw`] it names its own.
//! Codes are text and keep their zeros; numbers are E.164 with `+`; what is not known is absent.

#[rustfmt::skip]
mod fields;
mod types;

pub use types::FieldType;

/// A kind of lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Local routing number: where a ported number is really served.
    Lrn,
    /// The caller's name.
    Cnam,
    /// What is known against a caller.
    Reputation,
    /// A mobile subscriber's state and network.
    Hlr,
    /// A customer's account.
    Account,
    /// What a call costs.
    Rate,
    /// Which ways a call may go.
    Route,
    /// The exchange guide: who owns a block of numbers.
    Lerg,
    /// An answer of the DNS.
    Dns,
    /// A number's records in the DNS (RFC 6116).
    Enum,
    /// A certificate, or what verifying a caller's identity gave (RFC 8224).
    Cert,
    /// Where a caller is.
    Location,
    /// Anything; the policy's own fields.
    Raw,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 13] = [
        Self::Lrn,
        Self::Cnam,
        Self::Reputation,
        Self::Hlr,
        Self::Account,
        Self::Rate,
        Self::Route,
        Self::Lerg,
        Self::Dns,
        Self::Enum,
        Self::Cert,
        Self::Location,
        Self::Raw,
    ];

    /// The word for it in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lrn => "lrn",
            Self::Cnam => "cnam",
            Self::Reputation => "reputation",
            Self::Hlr => "hlr",
            Self::Account => "account",
            Self::Rate => "rate",
            Self::Route => "route",
            Self::Lerg => "lerg",
            Self::Dns => "dns",
            Self::Enum => "enum",
            Self::Cert => "cert",
            Self::Location => "location",
            Self::Raw => "raw",
        }
    }

    /// The kind of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The fields of its record; empty for [`Kind::Raw`], which takes any.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Lrn => &fields::LRN,
            Self::Cnam => &fields::CNAM,
            Self::Reputation => &fields::REPUTATION,
            Self::Hlr => &fields::HLR,
            Self::Account => &fields::ACCOUNT,
            Self::Rate | Self::Route => &fields::RATE,
            Self::Lerg => &fields::LERG,
            Self::Dns | Self::Enum => &fields::DNS,
            Self::Cert => &fields::CERT,
            Self::Location => &fields::LOCATION,
            Self::Raw => &[],
        }
    }

    /// The field that format `text` answers, where the policy names none. `None`: the policy's first.
    pub const fn primary_field(self) -> Option<&'static str> {
        match self {
            Self::Lrn => Some("lrn"),
            Self::Cnam => Some("name"),
            Self::Reputation => Some("score"),
            Self::Hlr => Some("reachable"),
            Self::Account => Some("enabled"),
            Self::Rate => Some("rate_inter"),
            Self::Route => Some("routes"),
            Self::Lerg => Some("ocn"),
            Self::Enum => Some("uri"),
            Self::Cert => Some("pem"),
            Self::Location => Some("uri"),
            // What a DNS lookup is after depends on the record type: the policy's first field.
            Self::Dns | Self::Raw => None,
        }
    }

    /// The field that format `text` answers for a policy with these fields: the kind's own where the
    /// policy has it, else the policy's first.
    pub fn text_field<'a>(self, fields: &[&'a str]) -> Option<&'a str> {
        let primary = self.primary_field();
        fields.iter().copied().find(|field| Some(*field) == primary).or_else(|| fields.first().copied())
    }

    /// Whether its record may have this field.
    pub fn knows(self, field: &str) -> bool {
        self == Self::Raw || self.fields().contains(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_knows_its_primary_field_and_no_field_twice() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
            if let Some(field) = kind.primary_field() {
                assert!(kind.knows(field), "{kind:?} {field}");
            }
            let mut fields = kind.fields().to_vec();
            fields.sort_unstable();
            fields.dedup();
            assert_eq!(fields.len(), kind.fields().len(), "{kind:?}");
        }
    }

    #[test]
    fn text_answers_the_kinds_own_field_or_the_first() {
        assert_eq!(Kind::Rate.text_field(&["prefix", "rate_inter"]), Some("rate_inter"));
        assert_eq!(Kind::Rate.text_field(&["prefix", "rate_intra"]), Some("prefix"));
        assert_eq!(Kind::Raw.text_field(&["x"]), Some("x"));
        assert_eq!(Kind::Raw.text_field(&[]), None);
    }
}
