//! `type = "dns"`: which record of which name, and whom to ask.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_spanned::Spanned;

use super::Check;
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::file::UpstreamFile;
use crate::policy::{DnsPolicy, TransportPolicy};

const DOMAIN_MEND: &str = "add the name that is asked for, such as `domain = \"{{ key | enum('e164.arpa') }}\"`";
const SERVERS_MEND: &str = "write addresses, as in `servers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]`";

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn dns(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TransportPolicy> {
        let (has_record, has_domain, has_servers) =
            (file.record.is_some(), file.domain.is_some(), file.servers.is_some());
        let record = self.faults.value(file.record);
        let mend = "add `record = \"A\"`, AAAA, SRV, NAPTR, TXT or PTR";
        let record = self.required(record, &around.table, "record", has_record, mend);
        let domain = self.faults.value(file.domain);
        let domain = self.required(domain, &around.table, "domain", has_domain, DOMAIN_MEND);
        let domain = domain.and_then(|domain| self.template(&domain, around.names.question(), Place::DnsName));

        match file.servers.as_ref().filter(|servers| servers.get_ref().is_empty()).map(Spanned::span) {
            Some(span) => self.faults.at(&span, "there is no server to ask", SERVERS_MEND),
            None if !has_servers => {
                self.faults.missing(&around.table, "servers", "`servers` is missing", SERVERS_MEND);
            }
            None => {}
        }
        let written = self.faults.list(file.servers).unwrap_or_default();
        let servers: Vec<SocketAddr> = written.iter().filter_map(|server| self.server(server)).collect();

        // By default every server gets its turn within the caller's budget.
        let share = around.budget.call / u32::try_from(servers.len().max(1)).unwrap_or(u32::MAX);
        let try_timeout = self.within_background(file.try_timeout, around.budget, "try_timeout");
        let edns = self.faults.or(file.edns, true);
        let recursion = self.faults.or(file.recursion, true);
        Some(TransportPolicy::Dns(DnsPolicy {
            record: record?.into_inner(),
            name: domain?,
            servers,
            try_timeout: try_timeout.unwrap_or_else(|| share.max(Duration::from_millis(1))),
            edns,
            recursion,
        }))
    }

    /// An address, with port 53 where none is written.
    fn server(&mut self, server: &Spanned<String>) -> Option<SocketAddr> {
        let text = server.get_ref();
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let address = text.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)));
        if address.is_none() {
            self.faults.at(&server.span(), format!("`{text}` is not a name server's address"), SERVERS_MEND);
        }
        address
    }
}
