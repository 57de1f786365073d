//! How each vendor takes a question and words its answer. No two agree, as in life: where the number goes,
//! whether "nothing known" is a 404, what a field is called and what type it has.

use serde_json::{Value, json};

use super::subscriber::Subscriber;

/// A vendor's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `GET /v1/lrn/3035550123`: flat, eleven digits, an empty `lrn` where nothing was ported, 404.
    FlatLrn,
    /// `GET /api/portability?tn=13035550123`: nested, numbers as numbers, "nothing" within a 200.
    NestedLrn,
    /// `GET /cnam/3035550123?format=json`: flat, upper case, 404.
    FlatCnam,
    /// `GET /v2/numbers/13035550123/caller`: nested, a sentinel word where there is no name.
    NestedCnam,
}

/// An answer: status and body.
pub type Worded = (u16, Value);

impl Shape {
    /// Answers a request for this target, which is path and query as they were sent.
    pub fn answer(self, target: &str) -> Worded {
        match self.digits(target) {
            Ok(digits) => self.word(Subscriber::of(digits)),
            Err(refusal) => refusal,
        }
    }

    /// The ten digits that the target asks about. Other paths are refused loudly: a 404 would pass for
    /// "nothing known", and a wrong URL in a policy would never be noticed.
    fn digits(self, target: &str) -> Result<&str, Worded> {
        let (prefix, suffix) = match self {
            Self::FlatLrn => ("/v1/lrn/", ""),
            Self::NestedLrn => ("/api/portability?tn=1", ""),
            Self::FlatCnam => ("/cnam/", "?format=json"),
            Self::NestedCnam => ("/v2/numbers/1", "/caller"),
        };
        target
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .filter(|digits| digits.len() == 10 && digits.bytes().all(|digit| digit.is_ascii_digit()))
            .ok_or_else(|| (400, json!({ "error": format!("this vendor takes {prefix}<10 digits>{suffix}") })))
    }

    fn word(self, known: Option<Subscriber>) -> Worded {
        match self {
            Self::FlatLrn => flat_lrn(known),
            Self::NestedLrn => nested_lrn(known),
            Self::FlatCnam => flat_cnam(known),
            Self::NestedCnam => nested_cnam(known),
        }
    }
}

fn flat_lrn(known: Option<Subscriber>) -> Worded {
    let Some(one) = known else { return (404, json!({ "error": "number not in service" })) };
    let lrn = if one.ported { format!("1{}", one.routing) } else { String::new() };
    let (carrier, place) = (one.carrier, one.place);
    (
        200,
        json!({ "lrn": lrn, "ocn": carrier.ocn, "lata": place.lata, "spid": carrier.spid, "lec": carrier.name,
                "rc": place.rate_center, "state": place.state }),
    )
}

fn nested_lrn(known: Option<Subscriber>) -> Worded {
    let Some(one) = known else { return (200, json!({ "status": "NO_DATA", "data": null })) };
    let lata: u32 = one.place.lata.parse().unwrap_or_default();
    (
        200,
        json!({
            "status": "OK",
            "data": {
                "portability": { "is_ported": one.ported, "routing_number": format!("+1{}", one.routing) },
                "carrier": { "ocn": one.carrier.ocn, "spid": one.carrier.spid, "name": one.carrier.name,
                             "type": one.carrier.kind.to_lowercase() },
                "location": { "lata": lata, "rate_center": one.place.rate_center, "region": one.place.state },
            },
        }),
    )
}

fn flat_cnam(known: Option<Subscriber>) -> Worded {
    let named = known.and_then(|one| one.name.clone().map(|name| (one, name)));
    let Some((one, name)) = named else { return (404, json!({ "error": "no name on file" })) };
    let kind = if one.business { "BUSINESS" } else { "CONSUMER" };
    (
        200,
        json!({ "number": one.digits, "name": name, "type": kind, "city": one.place.rate_center, "state": one.place.state }),
    )
}

fn nested_cnam(known: Option<Subscriber>) -> Worded {
    let (name, kind) = match known {
        Some(Subscriber { name: Some(name), business, .. }) => (name, if business { "business" } else { "consumer" }),
        _ => ("UNAVAILABLE".to_owned(), "unknown"),
    };
    (
        200,
        json!({
            "result": { "caller_name": { "value": name, "presentation": "allowed" }, "caller_type": kind },
            "meta": { "billed": true, "price": "0.0035" },
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first number of a block that fits.
    fn number(fits: impl Fn(Option<&Subscriber>) -> bool) -> String {
        (2_000..9_000).map(|n| format!("303555{n}")).find(|digits| fits(Subscriber::of(digits).as_ref())).unwrap()
    }

    #[test]
    fn both_lrn_vendors_tell_the_same_in_their_own_words() {
        let ported = number(|one| one.is_some_and(|one| one.ported));
        let (_, flat) = Shape::FlatLrn.answer(&format!("/v1/lrn/{ported}"));
        let (_, nested) = Shape::NestedLrn.answer(&format!("/api/portability?tn=1{ported}"));
        let lrn = flat["lrn"].as_str().unwrap();
        assert_eq!(lrn.len(), 11);
        assert_eq!(nested["data"]["portability"]["routing_number"], format!("+{lrn}"));
        assert_eq!(nested["data"]["carrier"]["ocn"], flat["ocn"]);
        assert_eq!(nested["data"]["location"]["lata"].to_string(), flat["lata"].as_str().unwrap());
    }

    #[test]
    fn a_number_at_home_has_no_lrn_at_one_and_itself_at_the_other() {
        let home = number(|one| one.is_some_and(|one| !one.ported));
        assert_eq!(Shape::FlatLrn.answer(&format!("/v1/lrn/{home}")).1["lrn"], "");
        let (_, nested) = Shape::NestedLrn.answer(&format!("/api/portability?tn=1{home}"));
        assert_eq!(nested["data"]["portability"]["routing_number"], format!("+1{home}"));
    }

    #[test]
    fn nothing_known_is_a_404_or_a_200_with_a_word() {
        let unknown = number(|one| one.is_none());
        assert_eq!(Shape::FlatLrn.answer(&format!("/v1/lrn/{unknown}")).0, 404);
        let (status, body) = Shape::NestedLrn.answer(&format!("/api/portability?tn=1{unknown}"));
        assert_eq!((status, &body["status"]), (200, &json!("NO_DATA")));
        let nameless = number(|one| one.is_some_and(|one| one.name.is_none()));
        assert_eq!(Shape::FlatCnam.answer(&format!("/cnam/{nameless}?format=json")).0, 404);
        let (status, body) = Shape::NestedCnam.answer(&format!("/v2/numbers/1{nameless}/caller"));
        assert_eq!((status, &body["result"]["caller_name"]["value"]), (200, &json!("UNAVAILABLE")));
    }

    #[test]
    fn a_wrong_url_is_refused_and_told_how() {
        for target in ["/", "/v1/lrn/", "/v1/lrn/30355501", "/v2/lrn/3035550123", "/v1/lrn/+13035550123"] {
            let (status, body) = Shape::FlatLrn.answer(target);
            assert_eq!(status, 400, "{target}");
            assert!(body["error"].as_str().unwrap().contains("/v1/lrn/<10 digits>"));
        }
    }
}
