//! Where a caller's own URL may lead: to the public Internet and not into our own network.
//!
//! The connection goes to the very addresses that were looked at, because it is this resolver that gives them to
//! the client: a name that leads elsewhere the next time it is asked for (DNS rebinding) is looked at then, too. An
//! address in the host's place never comes to a resolver, and is looked at before the request is sent. A
//! redirect to another host is not followed.

use std::net::SocketAddr;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::reach::is_public;
use crate::upstream::{Failure, FailureKind};

/// All addresses of a host are private: nothing was connected to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the caller's URL leads to no public address")]
pub(super) struct NotPublic;

/// Gives the public addresses of a name, and no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 stands for the URL's own.
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(public(found)?.into_iter()) as Addrs)
        })
    }
}

/// Those that are public, if any is: who has one foot in our network is not followed there.
fn public(mut found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NotPublic> {
    found.retain(|address| is_public(address.ip()));
    if found.is_empty() { Err(NotPublic) } else { Ok(found) }
}

/// Refuses a private address in the host's place.
pub(super) fn checked(url: &Url) -> Result<(), Failure> {
    // In URLs the brackets belong to an IPv6 address.
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(address) if !is_public(address) => Err(Failure::new(FailureKind::Policy, NotPublic)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_only_the_public_ones_are_given() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = all(&["127.0.0.1:0", "8.8.8.8:0", "[::ffff:10.0.0.1]:0", "[2606:4700::1111]:0"]);
        assert_eq!(public(mixed).unwrap(), all(&["8.8.8.8:0", "[2606:4700::1111]:0"]));
        assert!(public(all(&["10.0.0.1:0", "[fd00::1]:0"])).is_err());
        assert!(public(Vec::new()).is_err());
    }

    #[tokio::test]
    async fn a_name_is_looked_at_each_time_it_is_asked_for() {
        let answer = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(answer.err().is_some_and(|error| error.is::<NotPublic>()));
    }

    #[test]
    fn an_address_in_the_hosts_place_is_refused_where_it_is_private() {
        for url in ["https://127.0.0.1/", "https://[::1]:8443/", "https://[::ffff:10.0.0.1]/", "https://0x7f.1/"] {
            assert!(checked(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in ["https://8.8.8.8/", "https://cert.carrier.example/", "https://[2606:4700::1111]/"] {
            assert!(checked(&url.parse().unwrap()).is_ok(), "{url}");
        }
    }
}
