//! `type = "dns"`: which record of which name, and whom to ask.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Check;
use super::upstream::Around;
use crate::policy::expr::Place;
use crate::policy::file::{RecordWord, ServiceName, UpstreamFile};
use crate::policy::{DnsPolicy, DnsRecord, RecordChoice, TransportPolicy};
use crate::written::{Field, Lines, Spanned};

const DOMAIN_MEND: &str = "add the name that is asked for, such as `domain = \"{{ key | enum('e164.arpa') }}\"`";
const SERVERS_MEND: &str = "write addresses, as in `servers = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]`";

/// How often a NAPTR record may lead to another name.
const HOPS: u32 = 5;
const MAX_HOPS: u32 = 10;

impl Check<'_> {
    /// The transport's part of an upstream.
    pub(super) fn dns(&mut self, file: UpstreamFile, around: &Around<'_>) -> Option<TransportPolicy> {
        let (has_record, has_domain, has_servers) =
            (file.record.is_some(), file.domain.is_some(), file.servers.is_some());
        let record = self.faults.value(file.record);
        let mend = "add `record = \"A\"`, AAAA, SRV, NAPTR, TXT, PTR or CNAME";
        let record = self.required(record, &around.table, "record", has_record, mend);
        self.enum_keys(&record, &file.services, &file.hops);
        let record = record.and_then(|record| self.record(record, around));
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
        let mixed_case = self.faults.or(file.mixed_case, false);
        let services = self.faults.list(file.services).unwrap_or_default();
        let hops = self.hops(file.hops);
        Some(TransportPolicy::Dns(DnsPolicy {
            record: record?,
            name: domain?,
            servers,
            try_timeout: try_timeout.unwrap_or_else(|| share.max(Duration::from_millis(1))),
            edns,
            recursion,
            mixed_case,
            services: services.into_iter().map(|service| service.into_inner().0).collect(),
            hops,
        }))
    }

    /// The type that is asked for. Where a template is nothing but an input of listed words, each of them must be one.
    fn record(&mut self, record: Spanned<RecordWord>, around: &Around<'_>) -> Option<RecordChoice> {
        let span = record.span();
        let text = match record.into_inner() {
            RecordWord::One(record) => return Some(record.into()),
            RecordWord::Template(text) => text,
        };
        let input = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
        for word in input.and_then(|input| around.names.words(input)).unwrap_or_default() {
            if DnsRecord::from_name(word).is_none() {
                let what = format!("the input's word `{word}` is not a record type that can be asked for");
                self.faults.at(&span, what, "let the input's `words` be A, AAAA, SRV, NAPTR, TXT, PTR or CNAME");
            }
        }
        self.template(&Spanned::new(span, text), around.names.question(), Place::Plain).map(RecordChoice::Asked)
    }

    /// Keys that mean something for NAPTR only.
    fn enum_keys(&mut self, record: &Option<Spanned<RecordWord>>, services: &Lines<ServiceName>, hops: &Field<u32>) {
        let Some(RecordWord::One(other)) = record.as_ref().map(Spanned::get_ref) else { return };
        if *other == DnsRecord::Naptr {
            return;
        }
        let spans = [("services", services.as_ref().map(Spanned::span)), ("hops", hops.as_ref().map(Spanned::span))];
        for (key, span) in spans {
            if let Some(span) = span {
                let what = format!("`{key}` means nothing for `record = \"{}\"`", other.as_str());
                self.faults.at(&span, what, "take it out, or write `record = \"NAPTR\"`");
            }
        }
    }

    fn hops(&mut self, hops: Field<u32>) -> u32 {
        let Some(hops) = self.faults.value(hops) else { return HOPS };
        if *hops.get_ref() > MAX_HOPS {
            let what = format!("{} names one after the other take longer than any call waits", hops.get_ref());
            self.faults.at(&hops.span(), what, format!("write {MAX_HOPS} or less; the default is {HOPS}"));
        }
        hops.into_inner()
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
