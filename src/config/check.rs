//! From the config as typed to the config as run.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::file::{AdminFile, ConfigFile, LimitsFile, LogFile, NodeFile, SharedFile, StateFile};
use super::{AdminRights, Config, Limits, Log, LogFormat, Node, Quorum, Ring, Shared, State, bundle, events, listen};
use crate::policy::check::secret_mend;
use crate::policy::{Secret, Vars};
use crate::written::{Faults, Field, Lines, Plain, Spanned, Word, Written};

impl Word for LogFormat {
    const WHAT: &'static str = "a log format";
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Word for Ring {
    const WHAT: &'static str = "a ring";
    const WORDS: &'static [(&'static str, Self)] =
        &[("ketama", Self::Ketama), ("ketama_weighted", Self::KetamaWeighted)];
}

impl Word for Quorum {
    const WHAT: &'static str = "a quorum";
    const WORDS: &'static [(&'static str, Self)] =
        &[("any", Self::Any), ("majority", Self::Majority), ("all", Self::All)];
}

/// A miss waits this long for the shared cache when that hangs.
const LONGEST_SHARED_TIMEOUT: Duration = Duration::from_secs(1);

/// Checks all of it. `folder` is where the file is: relative paths start there.
pub(super) fn config(typed: ConfigFile, file: Option<PathBuf>, folder: &Path, faults: &mut Faults) -> Config {
    let policies = typed.policies.unwrap_or_default();
    let simulator = typed.simulator.unwrap_or_default();
    let drain = typed.drain.unwrap_or_default();
    Config {
        file,
        listen: listen::check(typed.listen.unwrap_or_default(), faults),
        node: node(typed.node.unwrap_or_default(), faults),
        policies: beside(folder, &faults.or(policies.dir, "../policies".to_owned())),
        shared: typed.shared.map(|shared| self::shared(shared, faults)),
        events: typed.events.map(|events| events::check(events, folder, faults)),
        control: typed.control.map(|control| super::control::check(control, folder, faults)),
        simulator: faults.or(simulator.enabled, false),
        admin: admin(typed.admin.unwrap_or_default(), faults),
        log: log(typed.log.unwrap_or_default(), faults),
        drain: faults.or(drain.time, Duration::from_secs(10)),
        state: typed.state.and_then(|state| self::state(state, folder, faults)),
        limits: limits(typed.limits.unwrap_or_default(), faults),
        realtime: faults.or(typed.threads.unwrap_or_default().realtime, false),
        vars: vars(typed.vars.unwrap_or_default(), faults),
        bundles: bundle::check(typed.bundle, faults).into_iter().map(Arc::new).collect(),
    }
}

/// A path from the config's folder. `config/../policies` is shown and opened as `policies` wherever that
/// is the same place, and where there is no folder `config`, as with the embedded default.
pub(super) fn beside(folder: &Path, path: &str) -> PathBuf {
    let joined = folder.join(path);
    let mut short = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            part => short.push(part),
        }
    }
    if short.as_os_str().is_empty() {
        short.push(".");
    }
    if short.canonicalize().ok() == joined.canonicalize().ok() { short } else { joined }
}

fn node(file: NodeFile, faults: &mut Faults) -> Node {
    let mut label = |field: Field<String>| {
        let value = faults.value(field)?;
        let text = value.get_ref();
        if text.is_empty() || text.len() > 128 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let mend = "write 1 to 128 characters without spaces, or leave it out";
            faults.at(&value.span(), format!("`{}` does not do as a name", text.escape_debug()), mend);
        }
        Some(value.into_inner())
    };
    let name = label(file.name);
    let zone = label(file.zone);
    Node {
        name: name.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned()),
        zone: zone.unwrap_or_default(),
    }
}

fn shared(file: Spanned<SharedFile>, faults: &mut Faults) -> Shared {
    const MEND: &str = "write `servers = [\"127.0.0.1:11211\"]`; for no shared cache take [shared] out";
    let table = file.span();
    let file = file.into_inner();
    if file.servers.is_none() {
        faults.missing(&table, "servers", "`servers` is missing", MEND);
    }
    if let Some(list) = file.servers.as_ref().filter(|list| list.get_ref().is_empty()) {
        faults.at(&list.span(), "there is no server in the list", MEND);
    }
    let servers = server_list(file.servers, MEND, faults);
    let before = server_list(file.before, "write the list that `servers` was until now, or take it out", faults);
    let prefix = faults.value(file.prefix).map_or_else(
        || "dip:".to_owned(),
        |prefix| {
            let text = prefix.get_ref();
            // What is legal in a memcached key; the rest of its 250 bytes is for the key itself.
            if text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let mend = "write at most 64 letters, digits and signs, without spaces";
                faults.at(&prefix.span(), "this prefix would make illegal keys", mend);
            }
            prefix.into_inner()
        },
    );
    let timeout = faults.value(file.timeout).map_or(Duration::from_millis(5), |timeout| {
        if timeout.get_ref().is_zero() {
            faults.at(&timeout.span(), "this duration must not be zero", "write how long, such as \"5ms\"");
        } else if *timeout.get_ref() > LONGEST_SHARED_TIMEOUT {
            let mend = "write at most \"1s\"; \"5ms\" is usual: while memcached hangs, each new key waits this long";
            faults.at(&timeout.span(), "this is longer than a call can wait", mend);
        }
        timeout.into_inner()
    });
    let ring = faults.or(file.ring, Ring::Ketama);
    let quorum = faults.or(file.quorum, Quorum::Majority);
    let single_flight = faults.or(file.single_flight, false);
    Shared { servers, before, prefix, timeout, ring, quorum, single_flight }
}

fn server_list(list: Lines<String>, mend: &str, faults: &mut Faults) -> Vec<String> {
    let mut servers = Vec::new();
    for server in faults.list(list).unwrap_or_default() {
        if !is_host_and_port(server.get_ref()) {
            faults.at(&server.span(), format!("`{}` is not a host and a port", server.get_ref()), mend);
        } else if servers.contains(server.get_ref()) {
            faults.at(&server.span(), format!("`{}` is there twice", server.get_ref()), "take one out");
        }
        servers.push(server.into_inner());
    }
    servers
}

fn admin(file: AdminFile, faults: &mut Faults) -> AdminRights {
    let Some(token) = faults.value(file.token) else { return AdminRights::Refused };
    if token.get_ref() == "off" {
        return AdminRights::Open;
    }
    match Secret::read(token.get_ref()) {
        Ok(secret) => AdminRights::Token(secret),
        Err(error) => {
            let mend = format!("{}; \"off\" lets everybody in who reaches the listener", secret_mend(&error));
            faults.at(&token.span(), error.to_string(), mend);
            AdminRights::Refused
        }
    }
}

fn log(file: LogFile, faults: &mut Faults) -> Log {
    let format = faults.or(file.format, LogFormat::Text);
    let mask_numbers = faults.or(file.mask_numbers, true);
    let level = faults.value(file.level).map_or_else(
        || "info".to_owned(),
        |level| {
            if !is_level(level.get_ref()) {
                let mend =
                    "write error, warn, info, debug or trace, or a filter such as \"info,dipcache::health=debug\"";
                faults.at(&level.span(), format!("`{}` is no level", level.get_ref()), mend);
            }
            level.into_inner()
        },
    );
    Log { format, level, mask_numbers }
}

fn state(file: Spanned<StateFile>, folder: &Path, faults: &mut Faults) -> Option<State> {
    const MEND: &str = "write `dir = \"/var/lib/dipcache\"`; to leave nothing behind take [state] out";
    let table = file.span();
    let file = file.into_inner();
    if file.dir.is_none() {
        faults.missing(&table, "dir", "`dir` is missing", MEND);
    }
    let snapshot = faults.or(file.snapshot, true);
    let every = faults.value(file.every).map_or(Duration::from_secs(300), |every| {
        if *every.get_ref() < Duration::from_secs(1) {
            faults.at(
                &every.span(),
                "a snapshot cannot be written more often than every second",
                "write \"5m\" or more",
            );
        }
        every.into_inner()
    });
    let wait = faults.or(file.wait, Duration::from_secs(2));
    let dir = faults.value(file.dir)?;
    if dir.get_ref().is_empty() {
        faults.at(&dir.span(), "this folder has no name", MEND);
    }
    Some(State { dir: beside(folder, dir.get_ref()), snapshot, every, wait })
}

/// True for levels and filters. A part without `=` would be a module's name to the parser, and is far
/// more likely a misspelt level.
fn is_level(text: &str) -> bool {
    let known =
        |part: &str| part.contains('=') || part.trim().parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    text.split(',').all(known) && tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
}

/// Values by name. That no policy has such a variable is no fault: policies come and go.
fn vars(file: IndexMap<Spanned<String>, Spanned<Written<Plain>>>, faults: &mut Faults) -> Vars {
    let values = file.into_iter().filter_map(|(name, value)| {
        let value = faults.value(Some(value))?.into_inner().0;
        Some((name.into_inner(), value))
    });
    values.collect()
}

fn limits(file: LimitsFile, faults: &mut Faults) -> Limits {
    let mut count = |field: Field<u32>, default: usize| {
        let Some(value) = faults.value(field) else { return default };
        if *value.get_ref() == 0 {
            faults.at(&value.span(), "this must be at least 1", format!("write 1 or more; the default is {default}"));
        }
        usize::try_from(value.into_inner()).unwrap_or(usize::MAX)
    };
    Limits { max_connections: count(file.max_connections, 10_000), max_dips: count(file.max_dips, 10_000) }
}

/// True for `host:port`, `192.0.2.1:11211`, `[2001:db8::1]:11211`.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_ip6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    (is_ip6 || is_name) && port.parse::<u16>().is_ok_and(|port| port != 0)
}
