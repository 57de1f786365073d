//! Where a SIP request is to go, as a caller writes it: a domain, an address, or a `sip:` or `sips:` URI (RFC 3261, section 19.1).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use compact_str::CompactString;

use super::input::dns_name;

/// How SIP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 3261.
    Udp,
    /// RFC 3261.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// Every transport, in the order in which they are preferred unless a policy or the DNS says otherwise.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// The word for it in URIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The transport of this name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.as_str().eq_ignore_ascii_case(name))
    }

    /// The port where none is given (RFC 3261, section 19.1.2).
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }

    /// The name of its service (RFC 3263, section 4.1), without the domain.
    pub const fn service(self) -> &'static str {
        match self {
            Self::Udp => "_sip._udp",
            Self::Tcp => "_sip._tcp",
            Self::Tls => "_sips._tcp",
        }
    }

    /// The transport that a NAPTR record's service field names.
    pub fn of_naptr(service: &str) -> Option<Self> {
        let names = [("SIP+D2U", Self::Udp), ("SIP+D2T", Self::Tcp), ("SIPS+D2T", Self::Tls)];
        names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(service)).map(|(_, transport)| transport)
    }
}

/// The part of a SIP URI that says which machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name of the DNS, in lower case.
    Name(CompactString),
    /// An address.
    Address(IpAddr),
}

/// Where a SIP request is to go. Its text is the canonical form of a key: users, headers and what else does not
/// say where are left out, and a plain domain is just that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// True for `sips:`: TLS and nothing else.
    pub secure: bool,
    /// Which machine, or whose.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The transport, where one is given.
    pub transport: Option<Transport>,
}

impl Destination {
    /// Reads a domain, an address or a URI; `None` for what is none, and for what cannot be: `sips:` over UDP, or a
    /// transport that is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('<').map_or(Some(text), |inner| inner.strip_suffix('>'))?;
        let (secure, rest) = scheme(text);
        let rest = rest.split('?').next()?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, behind)| behind);
        let mut parts = rest.split(';');
        let (mut host, port) = host_and_port(parts.next()?)?;
        let mut transport = None;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.to_ascii_lowercase().as_str() {
                "transport" => transport = Some(Transport::from_name(value)?),
                // RFC 3263, section 4: where there is one, it is the target.
                "maddr" => host = host_and_port(value).filter(|(_, port)| port.is_none())?.0,
                _ => {}
            }
        }
        if secure {
            match transport {
                Some(Transport::Udp) => return None,
                // Over TCP and secure means TLS, and it is what `sips:` means anyway.
                _ => transport = None,
            }
        }
        Some(Self { secure, host, port, transport })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secure {
            f.write_str("sips:")?;
        }
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = self.transport {
            write!(f, ";transport={}", transport.as_str())?;
        }
        Ok(())
    }
}

fn scheme(text: &str) -> (bool, &str) {
    for (scheme, secure) in [("sips:", true), ("sip:", false)] {
        if let Some(start) = text.get(..scheme.len())
            && start.eq_ignore_ascii_case(scheme)
        {
            return (secure, &text[scheme.len()..]);
        }
    }
    (false, text)
}

fn host_and_port(text: &str) -> Option<(Host, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, behind) = rest.split_once(']')?;
        let address = address.parse::<Ipv6Addr>().ok()?;
        let port = if behind.is_empty() { None } else { Some(port(behind.strip_prefix(':')?)?) };
        return Some((Host::Address(address.into()), port));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((Host::Address(address), None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    let host = match host.parse::<IpAddr>() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(dns_name::canonical(host)?),
    };
    Some((host, port))
}

fn port(digits: &str) -> Option<u16> {
    let fits = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| fits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        Destination::parse(text).map(|destination| destination.to_string())
    }

    #[test]
    fn what_says_where_is_kept_and_nothing_else() {
        for (text, expected) in [
            ("Carrier.Test.", "carrier.test"),
            ("_sip._udp.carrier.test", "_sip._udp.carrier.test"),
            ("sip:carrier.test", "carrier.test"),
            ("<SIP:+1303@Carrier.Test;user=phone>", "carrier.test"),
            ("sip:alice:pw@carrier.test:5070;lr;transport=TCP?Subject=x", "carrier.test:5070;transport=tcp"),
            ("sips:carrier.test", "sips:carrier.test"),
            ("sips:carrier.test;transport=tcp", "sips:carrier.test"),
            ("192.0.2.1", "192.0.2.1"),
            ("sip:192.0.2.1:5080", "192.0.2.1:5080"),
            ("[2001:DB8::1]:5061", "[2001:db8::1]:5061"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("sip:carrier.test;maddr=192.0.2.9", "192.0.2.9"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Some(expected), "{text}: its own canonical form");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for text in [
            "",
            "sip:",
            "sip:@",
            "tel:+1303",
            "a b",
            "a..b",
            "a:0",
            "a:65536",
            "a:",
            "a:+1",
            "[::1",
            "[::1]x",
            "<a",
            "sips:a;transport=udp",
            "a;transport=sctp",
            "a;transport=",
            "a;maddr=b:1",
            "a\r\nb",
            "a%00",
            "é.test",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
