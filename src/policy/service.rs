//! Which service a record is for: `E2U+pstn:tel+sip` (RFC 6116 section 3.4.2, RFC 6117).

/// A service that a policy wants: `E2U+pstn:tel`, or `E2U+pstn` for every subtype of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    kind: String,
    subtype: Option<String>,
}

impl Service {
    /// Reads `E2U+type` or `E2U+type:subtype`; `None` for all else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = services(text)?;
        let one = all.next()?;
        all.next().is_none().then_some(one)
    }

    fn fits(&self, offered: &Self) -> bool {
        self.kind == offered.kind && (self.subtype.is_none() || self.subtype == offered.subtype)
    }
}

/// True when a record's service field has one of these; of a policy that names none, any ENUM service does.
pub fn is_wanted(field: &str, wanted: &[Service]) -> bool {
    services(field).is_some_and(|mut offered| {
        offered.any(|offered| wanted.is_empty() || wanted.iter().any(|wanted| wanted.fits(&offered)))
    })
}

/// The services of a field. The older form `sip+E2U` (RFC 2916) is still met.
fn services(field: &str) -> Option<impl Iterator<Item = Service>> {
    let field = field.trim().to_ascii_lowercase();
    let list = match field.strip_prefix("e2u+") {
        Some(list) => list.to_owned(),
        None => field.strip_suffix("+e2u")?.to_owned(),
    };
    let parts: Vec<Service> = list
        .split('+')
        .map(|part| match part.split_once(':') {
            Some((kind, subtype)) => Service { kind: kind.to_owned(), subtype: Some(subtype.to_owned()) },
            None => Service { kind: part.to_owned(), subtype: None },
        })
        .filter(|service| !service.kind.is_empty())
        .collect();
    Some(parts.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_compared_by_type_and_subtype() {
        let wants = |wanted: &str, field: &str| is_wanted(field, &[Service::parse(wanted).unwrap()]);
        assert!(wants("E2U+pstn:tel", "e2u+PSTN:tel"));
        assert!(wants("E2U+pstn", "E2U+pstn:tel"));
        assert!(wants("E2U+sip", "E2U+pstn:tel+sip"));
        assert!(wants("E2U+sip", "sip+E2U"));
        assert!(!wants("E2U+pstn:tel", "E2U+pstn:sip"));
        assert!(!wants("E2U+sip", "SIP+D2U") && !wants("E2U+sip", ""));
        assert!(is_wanted("E2U+anything", &[]) && !is_wanted("SIP+D2U", &[]));
        assert!(
            Service::parse("sip").is_none() && Service::parse("E2U+a+b").is_none() && Service::parse("E2U+").is_none()
        );
    }
}
