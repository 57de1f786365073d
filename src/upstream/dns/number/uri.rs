//! A `tel:` or `sip:` URI in its parts (RFC 3966, RFC 3261), with the parameters of number portability (RFC 4694).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

/// The most parameters that are kept.
const MAX_PARAMS: usize = 32;

/// Adds `scheme`, `user`, `host`, `port`, `params`, and beside them each parameter by its own name (`-` as `_`), and
/// `lrn`: the routing number with its context. Of a parameter that comes twice the first counts, the user's before
/// the URI's.
pub(super) fn parts(uri: &str, map: &mut Map<String, Json>) {
    let Some((scheme, rest)) = uri.split_once(':') else { return };
    let scheme = scheme.to_ascii_lowercase();
    let mut params = Map::new();
    match scheme.as_str() {
        "sip" | "sips" => {
            let rest = rest.split('?').next().unwrap_or_default();
            let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
            if let Some(user) = user {
                let user = user.split(':').next().unwrap_or_default();
                map.insert("user".to_owned(), with_params(user, &mut params).into());
            }
            let place = with_params(host, &mut params);
            let (host, port) = host_and_port(&place);
            map.insert("host".to_owned(), host.to_ascii_lowercase().into());
            map.extend(port.map(|port| ("port".to_owned(), port.into())));
        }
        "tel" | "pstndata" => {
            let user = with_params(rest, &mut params);
            map.insert("user".to_owned(), user.into());
        }
        _ => {}
    }
    map.insert("scheme".to_owned(), scheme.into());
    map.extend(routing_number(&params).map(|number| ("lrn".to_owned(), number.into())));
    for (name, value) in &params {
        let name = name.replace('-', "_");
        // A vendor's parameter must not stand in for what the record itself says.
        if !map.contains_key(&name) {
            map.insert(name, value.clone());
        }
    }
    map.insert("params".to_owned(), Json::Object(params));
}

/// What stands before the first `;`, its parameters put among the others: `name=value`, or true for a name alone.
fn with_params(text: &str, params: &mut Map<String, Json>) -> String {
    let mut parts = text.split(';');
    let first = parts.next().unwrap_or_default();
    for part in parts {
        let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
        let name = decoded(name.trim()).to_ascii_lowercase();
        if name.is_empty() || params.len() >= MAX_PARAMS {
            continue;
        }
        params.entry(name).or_insert_with(|| value.map_or(Json::Bool(true), |value| decoded(value.trim()).into()));
    }
    decoded(first).into_owned()
}

/// Percent-decoded; what comes out as a control character is left out.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    percent_decode_str(text).decode_utf8_lossy().chars().filter(|c| !c.is_control()).collect::<String>().into()
}

fn host_and_port(place: &str) -> (&str, Option<u16>) {
    // An IPv6 address has colons of its own, within brackets.
    let after = place.rfind(']').map_or(0, |at| at + 1);
    match place[after..].rfind(':') {
        Some(colon) => (&place[..after + colon], place[after + colon + 1..].parse().ok()),
        None => (place, None),
    }
}

/// `rn` as a whole number: its context, where that is a prefix, before one that is local.
fn routing_number(params: &Map<String, Json>) -> Option<String> {
    let text = |name: &str| params.get(name).and_then(Json::as_str);
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let rn = text("rn")?;
    let number = match text("rn-context") {
        _ if rn.starts_with('+') => format!("+{}", digits(rn)),
        Some(context) if context.starts_with('+') => format!("+{}{}", digits(context), digits(rn)),
        _ => digits(rn),
    };
    (number.len() > 1).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn split(uri: &str) -> Json {
        let mut map = Map::new();
        parts(uri, &mut map);
        Json::Object(map)
    }

    #[test]
    fn a_tel_uri_with_portability() {
        let tel = split(
            "tel:+1-303-555-0123;npdi;rn=+1-720-555-0000;cic=+16789;spn=1234;mcc=310;mnc=004;q_stat=200;X-v=a%20b",
        );
        let expected = json!({
            "user": "+1-303-555-0123", "scheme": "tel", "lrn": "+17205550000", "npdi": true, "rn": "+1-720-555-0000",
            "cic": "+16789", "spn": "1234", "mcc": "310", "mnc": "004", "q_stat": "200", "x_v": "a b",
            "params": {"npdi": true, "rn": "+1-720-555-0000", "cic": "+16789", "spn": "1234", "mcc": "310",
                       "mnc": "004", "q_stat": "200", "x-v": "a b"},
        });
        assert_eq!(tel, expected);
        assert_eq!(split("tel:+1303;rn=7205550000;rn-context=+1")["lrn"], "+17205550000");
        assert_eq!(split("tel:+1303;rn=7205550000")["lrn"], "7205550000");
        assert_eq!(split("tel:+1303;npdi").get("lrn"), None);
    }

    #[test]
    fn a_sip_uri_with_parameters_on_both_sides() {
        let sip = split("sip:+1303;npdi;rn=+1720:secret@Gw.Carrier.test:5070;user=phone;rn=9?a=b");
        assert_eq!(
            (&sip["user"], &sip["host"], &sip["port"]),
            (&json!("+1303"), &json!("gw.carrier.test"), &json!(5070))
        );
        assert_eq!((&sip["params"]["user"], &sip["rn"]), (&json!("phone"), &json!("+1720")));
        let sip = split("sips:[2001:db8::1]:5061");
        assert_eq!((&sip["host"], &sip["port"], sip.get("user")), (&json!("[2001:db8::1]"), &json!(5061), None));
        assert_eq!(split("mailto:a@b.test"), json!({"scheme": "mailto", "params": {}}));
    }

    #[test]
    fn a_parameter_never_stands_in_for_a_part() {
        let sip = split("sip:a@b.test;host=evil;scheme=evil;lrn=evil;n=%0d%0aEvil");
        assert_eq!((&sip["host"], &sip["scheme"], &sip["n"]), (&json!("b.test"), &json!("sip"), &json!("Evil")));
    }

    proptest! {
        #[test]
        fn no_uri_makes_it_panic(uri in "(sip|tel|sips|x)?:?[a-z0-9+;=:@%?\\[\\].é-]{0,60}") {
            split(&uri);
        }
    }
}
