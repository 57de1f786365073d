//! A URL that the caller brings along, as `x5u` of a PASSporT does (RFC 8225): who asks chooses whom we ask, so
//! the policy says whom they may choose from.
//!
//! What can be told from the text is told here, before there is a dip: scheme, host, port, and an address in the
//! host's place. What a name leads to is only known when it is looked up, and is looked at there.

use std::borrow::Cow;

use compact_str::CompactString;
use regex::Regex;
use url::{Host, Url};

use super::identity::Identity;
use crate::policy::reach::is_public;

/// The longest URL, in bytes.
const LONGEST: usize = 1024;

/// Where a caller's URL may lead.
#[derive(Clone, Debug)]
pub struct CallerUrls {
    /// Each matches a whole host.
    pub hosts: Vec<Regex>,
    /// The ports that are spoken to.
    pub ports: Vec<u16>,
    /// True: addresses of our own network may be reached as well.
    pub allow_private: bool,
}

impl CallerUrls {
    /// The URL as it is asked for; `None` for one that the policy does not let through. Of an Identity header
    /// its certificate's URL is taken.
    pub(super) fn canonical(&self, text: &str) -> Option<CompactString> {
        let text = if is_https(text) { Cow::Borrowed(text) } else { Identity::parse(text)?.certificate()?.into() };
        // The parser would drop control characters and take a backslash for a slash.
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return None;
        }
        let url = Url::parse(&text).ok()?;
        let fits = url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.as_str().len() <= LONGEST
            && self.ports.contains(&url.port_or_known_default()?)
            && self.is_host(&url);
        fits.then(|| url.as_str().into())
    }

    fn is_host(&self, url: &Url) -> bool {
        let may_be_reached = match url.host() {
            Some(Host::Domain(_)) => true,
            Some(Host::Ipv4(address)) => self.allow_private || is_public(address.into()),
            Some(Host::Ipv6(address)) => self.allow_private || is_public(address.into()),
            None => false,
        };
        may_be_reached && url.host_str().is_some_and(|host| self.hosts.iter().any(|pattern| pattern.is_match(host)))
    }

    pub(super) fn expected(&self) -> String {
        let ports = self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "an https URL of at most {LONGEST} bytes, port {ports}, to a host that the policy allows, or an Identity header with one"
        )
    }
}

fn is_https(text: &str) -> bool {
    text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(hosts: &str, allow_private: bool) -> CallerUrls {
        CallerUrls {
            hosts: vec![Regex::new(&format!("^(?:{hosts})$")).unwrap()],
            ports: vec![443, 8443],
            allow_private,
        }
    }

    #[test]
    fn a_url_of_an_allowed_host_has_one_form() {
        let urls = urls(r"cert\.carrier\.example|[a-z.]+\.test", false);
        for (text, expected) in [
            ("https://cert.carrier.example/a.pem", "https://cert.carrier.example/a.pem"),
            ("HTTPS://Cert.Carrier.Example:443/a.pem", "https://cert.carrier.example/a.pem"),
            ("https://cert.carrier.example:8443/a/../b%2Fc?x=1", "https://cert.carrier.example:8443/b%2Fc?x=1"),
            ("https://x.test", "https://x.test/"),
        ] {
            assert_eq!(urls.canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_the_policy_does_not_allow_is_refused() {
        let urls = urls(r"cert\.carrier\.example", false);
        for text in [
            "",
            "http://cert.carrier.example/a",
            "ftp://cert.carrier.example/a",
            "https:///a",
            "https://other.example/a",
            "https://cert.carrier.example.evil.example/a",
            "https://evil.example/cert.carrier.example",
            "https://cert.carrier.example@evil.example/a",
            "https://user@cert.carrier.example/a",
            "https://:pw@cert.carrier.example/a",
            "https://cert.carrier.example:80/a",
            "https://cert.carrier.example:22/a",
            "https://cert.carrier.example/a#b",
            "https://cert.carrier.example\\@evil.example/a",
            "https://cert.carrier.example/a b",
            "https://cert.carrier.example/a\r\nX: 1",
            "https://cert.carrier.example/\u{e9}",
            &format!("https://cert.carrier.example/{}", "a".repeat(LONGEST)),
        ] {
            assert_eq!(urls.canonical(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_in_the_hosts_place_must_be_public_however_it_is_written() {
        let (anywhere, private) = (urls(".*", false), urls(".*", true));
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "10.0.0.8",
            "169.254.169.254",
            "100.64.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[fe80::1]",
            "[fd00::1]",
            "[64:ff9b::a00:1]",
            "224.0.0.1",
        ] {
            let url = format!("https://{host}/a");
            assert_eq!(anywhere.canonical(&url), None, "{url}");
            assert!(private.canonical(&url).is_some(), "{url}");
        }
        assert_eq!(anywhere.canonical("https://8.8.8.8/a").as_deref(), Some("https://8.8.8.8/a"));
        assert!(anywhere.canonical("https://[2606:4700::1111]/a").is_some());
    }

    #[test]
    fn of_an_identity_header_the_certificate_is_meant() {
        let urls = urls(r"cert\.carrier\.example", false);
        let compact = "..c2ln;info=<https://cert.carrier.example/a.pem>;alg=ES256;ppt=shaken";
        assert_eq!(urls.canonical(compact).as_deref(), Some("https://cert.carrier.example/a.pem"));
        assert_eq!(urls.canonical(&compact.replace("cert.", "evil.")), None);
        assert_eq!(urls.canonical(&compact.replace("https", "http")), None);
    }
}
