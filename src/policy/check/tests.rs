//! What good policies become. What is wrong with bad ones is told in `tests/check.rs`.

use std::path::Path;
use std::time::Duration;

use super::parse;
use crate::answer::Outcome;
use crate::policy::expr::Scope;
use crate::policy::input::InputType;
use crate::policy::kind::Kind;
use crate::policy::warm::WarmSource;
use crate::policy::{
    Auth, DnsRecord, FallbackValue, Format, HttpMethod, HttpPolicy, LineForm, Order, Policy, RecordChoice, Service,
    TableMatch, TableSource, TransportPolicy, UpstreamPolicy,
};

const EVERYTHING: &str = include_str!("everything.toml");

const SMALL: &str = "[input]\nkey = { type = \"text\" }\n[[upstream]]\ntype = \"http\"\nurl = \"http://127.0.0.1:1/{{ key }}\"\n[upstream.fields]\na = \"body.a\"\n";

fn policy(text: &str) -> Policy {
    match parse("lrn", Path::new("policies/lrn.toml"), text) {
        Ok(policy) => policy,
        Err(faults) => panic!("{}", faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()),
    }
}

/// The policy with everything in it, its secrets in a file of this test's own.
fn everything(secret: &str) -> Policy {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, secret).unwrap();
    policy(&EVERYTHING.replace("file:SECRET", &format!("file:{}", path.display())))
}

fn http(upstream: &UpstreamPolicy) -> &HttpPolicy {
    match &upstream.transport {
        TransportPolicy::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn everything_head_and_times() {
    let policy = everything("s3cret");
    assert_eq!((&*policy.name, policy.kind), ("lrn", Kind::Lrn));
    assert_eq!(policy.describe, "Local routing number of the called party");
    assert!(matches!(policy.inputs.key, InputType::Tn { country } if country.iso() == "CA"));
    let further: Vec<_> = policy
        .inputs
        .further
        .iter()
        .map(|input| (&*input.name, input.optional, input.default.as_deref().map(str::to_owned)))
        .collect();
    assert_eq!(
        further,
        [
            ("ani", true, None),
            ("account", false, None),
            ("zone", true, Some("sip.carrier.example".to_owned())),
            ("mode", true, Some("full".to_owned())),
            ("code", true, Some("42".to_owned())),
            ("want", true, Some("lrn,state".to_owned()))
        ]
    );
    assert!(policy.applies_when.is_some());
    assert_eq!((policy.budget.call, policy.budget.background), (ms(80), ms(4000)));
    assert_eq!(policy.budget.order, Order::Hedge { after: ms(40) });

    let cache = policy.cache;
    assert_eq!(
        [cache.found, cache.partial, cache.not_found, cache.invalid_number].map(|life| life.as_secs()),
        [86_400, 1800, 3600, 604_800]
    );
    assert_eq!(
        [cache.stale, cache.revalidate, cache.ceiling, cache.min_ttl, cache.max_ttl].map(|time| time.as_secs()),
        [604_800, 60, 2_592_000, 2, 43_200]
    );
    assert_eq!((cache.jitter, cache.refresh_ahead), (0.2, 0.8));
    assert_eq!((cache.max_entries, cache.max_bytes), (5_000_000, 64 << 20));
    assert_eq!(cache.engine, crate::policy::Engine::S3Fifo);
    let warm = policy.warm;
    assert_eq!((warm.share, warm.keep_hot, warm.at_start), (0.25, 10_000, true));
    assert_eq!((warm.over, warm.rate), (Some(ms(1_800_000)), Some(500.0)));
    assert!(warm.schedule.is_some());
    let [WarmSource::Journal, WarmSource::File(file), WarmSource::Sql { query, .. }] = &warm.sources[..] else {
        panic!("{:?}", warm.sources)
    };
    assert!(file.ends_with("keys.txt") && query == "select number from subscribers", "{file:?}, {query}");

    let breaker = policy.breaker;
    assert_eq!([breaker.window, breaker.slow, breaker.open, breaker.open_max], [ms(5000), ms(70), ms(250), ms(60_000)]);
    assert_eq!((breaker.failure_ratio, breaker.slow_ratio), (0.4, 0.9));
    assert_eq!((breaker.min_samples, breaker.consecutive, breaker.probes), (10, 3, 2));

    assert_eq!(policy.text_field, "ocn");
    assert_eq!(policy.field_order, ["lrn", "ocn", "ported", "txt", "state", "extra"]);
    let fallback = policy.fallback.unwrap();
    assert!(matches!(&fallback[0], (name, FallbackValue::Text(_)) if name == "lrn"));
    assert!(matches!(&fallback[1], (name, FallbackValue::Fixed(value)) if name == "ported" && *value == false));
    assert!(matches!(&fallback[2], (name, FallbackValue::Fixed(value)) if name == "extra" && value["a"][1] == 2));
}

#[test]
fn everything_http() {
    let policy = everything("s3cret");
    let upstream = &policy.upstreams[0];
    assert_eq!((&*upstream.name, upstream.concurrency, upstream.decoding.format), ("vendor-a", 50, Format::Json));
    assert_eq!((upstream.connect_timeout, upstream.total_timeout, upstream.hold), (ms(20), Some(ms(60)), ms(90_000)));
    let rate = upstream.rate.unwrap();
    assert_eq!((rate.per_second, rate.burst), (500.0, 50));
    assert_eq!(upstream.required, ["lrn", "ocn"]);
    let rules: Vec<_> = upstream.rules.iter().map(|rule| (rule.outcome, rule.hold, rule.ttl)).collect();
    assert_eq!(
        rules,
        [
            (Outcome::NotFound, None, Some(ms(60_000))),
            (Outcome::QuotaExhausted, Some(ms(600_000)), None),
            (Outcome::Found, None, None),
            (Outcome::VendorError, None, None),
        ]
    );
    let options: Vec<_> = upstream.rules.iter().map(|rule| (rule.alert, rule.cacheable, rule.breaker)).collect();
    assert_eq!(options, [(false, true, true), (true, true, true), (false, false, true), (false, true, false)]);
    let quota = &upstream.rules[1];
    assert!(quota.hold_from.is_some() && quota.detail.is_some());
    assert!(upstream.ttl.from.is_some() && upstream.ttl.cache_control);
    let http = http(upstream);
    assert_eq!((http.method, http.max_body, http.verify_tls), (HttpMethod::Put, 128 * 1024, false));
    assert_eq!(http.headers[0].0, "Accept");
    assert!(matches!(&http.auth, Auth::Header { name, value } if name == "X-Api-Key" && value.expose() == "s3cret"));

    let question = policy.question("6135550100", &[("account", "a\"b")]).unwrap();
    let scope = Scope::of_question(&question);
    assert_eq!(http.url.render(&scope).unwrap(), "https://lrn.vendor-a.example/v1/6135550100?acct=a%22b");
    let body = http.body.as_ref().unwrap();
    assert_eq!(body.content_type, "application/vnd.lrn+json");
    let sent: serde_json::Value = serde_json::from_str(&body.text.render(&scope).unwrap()).unwrap();
    let expected = serde_json::json!({
        "number": "+16135550100", "say \"who\"": "acct a\"b!", "list": [1, true, "6135550100"], "deep": { "x": 0.5 }
    });
    assert_eq!(sent, expected);
}

#[test]
fn everything_else() {
    let policy = everything("s3cret");
    let auths: Vec<String> = policy.upstreams[1..5]
        .iter()
        .map(|upstream| match &http(upstream).auth {
            Auth::Basic { user, password } => format!("basic {} {}", user.expose(), password.expose()),
            Auth::Scheme { scheme, token } => format!("{scheme} {}", token.expose()),
            Auth::Query { name, value } => format!("{name}={}", value.expose()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(auths, ["basic s3cret s3cret", "Bearer s3cret", "Token s3cret", "api_key=s3cret"]);
    assert_eq!(http(&policy.upstreams[1]).method, HttpMethod::Post);
    let decoding = &policy.upstreams[1].decoding;
    assert_eq!(
        (decoding.format, decoding.error_format, decoding.separator),
        (Format::Delimited, Some(Format::Text), Some('|'))
    );
    assert_eq!((decoding.columns.len(), decoding.charset.map(|charset| charset.name())), (2, Some("windows-1252")));

    let TransportPolicy::Dns(dns) = &policy.upstreams[5].transport else { panic!() };
    assert!(matches!(dns.record, RecordChoice::One(DnsRecord::Naptr)));
    assert_eq!((dns.try_timeout, dns.edns, dns.recursion, dns.mixed_case, dns.hops), (ms(15), false, false, true, 2));
    assert_eq!(dns.services, [Service::parse("E2U+pstn:tel").unwrap(), Service::parse("E2U+sip").unwrap()]);
    let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "192.0.2.54:5353", "[2001:db8::53]:53", "[2001:db8::53]:5353"]);
    assert_eq!(policy.upstreams[5].decoding.format, Format::None);

    // The name that is asked for may be written as `name`; the upstream is then called after its type.
    let TransportPolicy::Dns(dns) = &policy.upstreams[6].transport else { panic!() };
    assert_eq!(&*policy.upstreams[6].name, "dns");
    assert_eq!((dns.try_timeout, dns.edns, dns.recursion), (ms(80), true, true));

    let TransportPolicy::Sql(sql) = &policy.upstreams[7].transport else { panic!() };
    assert_eq!((&*policy.upstreams[7].name, sql.pool, sql.max_rows), ("rates", 4, 10));
    assert_eq!(sql.database.expose(), "sqlite:rates.db");
    let parameters: Vec<_> = sql.parameters.iter().map(|(name, expr)| (name.as_str(), expr.source())).collect();
    assert_eq!(parameters, [("prefix", "key | nanp10"), ("account", "account")]);
}

#[test]
fn a_small_policy_gets_the_documented_defaults() {
    let policy = policy(SMALL);
    assert_eq!((policy.kind, policy.budget.order), (Kind::Raw, Order::Failover));
    assert_eq!((policy.budget.call, policy.budget.background), (ms(100), ms(3000)));
    let cache = policy.cache;
    let lives = [cache.found, cache.partial, cache.not_found, cache.invalid_number, cache.stale, cache.revalidate];
    assert_eq!(lives.map(|life| life.as_secs()), [3600, 600, 300, 86_400, 86_400, 0]);
    assert_eq!(cache.ceiling.as_secs(), 30 * 86_400);
    assert_eq!((cache.jitter, cache.refresh_ahead), (0.1, 1.0));
    assert_eq!((cache.min_ttl.as_secs(), cache.max_ttl.as_secs()), (1, 86_400));
    assert_eq!((cache.max_entries, cache.max_bytes), (1_000_000, 256 << 20));
    let breaker = policy.breaker;
    assert_eq!(
        [breaker.window, breaker.slow, breaker.open, breaker.open_max],
        [ms(10_000), ms(100), ms(500), ms(1500)]
    );
    assert_eq!((breaker.min_samples, breaker.consecutive, breaker.probes), (20, 5, 1));
    let upstream = &policy.upstreams[0];
    assert_eq!((&*upstream.name, upstream.concurrency, upstream.decoding.format), ("http", 200, Format::Json));
    assert_eq!((upstream.connect_timeout, upstream.total_timeout, upstream.hold), (ms(50), None, ms(30_000)));
    assert_eq!(
        (http(upstream).method, http(upstream).max_body, http(upstream).verify_tls),
        (HttpMethod::Get, 65_536, true)
    );
    assert_eq!(policy.text_field, "a");
}

#[test]
fn the_shape_changes_with_what_an_answer_means_and_with_nothing_else() {
    let shape = |text: &str| policy(text).shape;
    let good = shape(SMALL);
    let added = |line: &str| shape(&SMALL.replace("[upstream.fields]", &format!("{line}\n[upstream.fields]")));
    assert_eq!(shape(&format!("# a comment\n{SMALL}\n[cache]\nfound = \"9h\"\n[budget]\ncall = \"1s\"\n")), good);
    assert_eq!(added("concurrency = 5\ntimeout = { total = \"1s\" }\nrate = { per_second = 5 }"), good);
    assert_ne!(shape(&SMALL.replace("body.a", "body.b")), good);
    assert_ne!(shape(&SMALL.replace("127.0.0.1", "127.0.0.2")), good);
    assert_ne!(shape(&SMALL.replace("\"text\"", "\"digits\"")), good);
    assert_ne!(shape(&format!("kind = \"lrn\"\n{SMALL}")), good);
    assert_ne!(added("[[upstream.rule]]\nwhen = \"true\"\noutcome = \"not_found\""), good);
}

#[test]
fn the_order_of_fields_is_part_of_the_shape_and_that_of_keys_is_not() {
    let fields = |fields: &str| policy(&format!("{SMALL}{fields}")).shape;
    assert_ne!(fields("b = \"1\"\nc = \"2\"\n"), fields("c = \"2\"\nb = \"1\"\n"));
    let turned = SMALL.replace(
        "type = \"http\"\nurl = \"http://127.0.0.1:1/{{ key }}\"",
        "url = \"http://127.0.0.1:1/{{ key }}\"\ntype = \"http\"",
    );
    assert_ne!(turned, SMALL);
    assert_eq!(policy(&turned).shape, policy(SMALL).shape);
}

#[test]
fn the_fingerprint_changes_with_everything_secrets_included() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let auth = format!("auth = {{ type = \"bearer\", token = \"file:{}\" }}\n[upstream.fields]", path.display());
    let text = SMALL.replace("[upstream.fields]", &auth);
    std::fs::write(&path, "one").unwrap();
    let (first, again) = (policy(&text), policy(&format!("{text}# a comment\n")));
    std::fs::write(&path, "two").unwrap();
    let rotated = policy(&text);
    assert_eq!(first.fingerprint, again.fingerprint);
    assert_ne!(first.fingerprint, rotated.fingerprint);
    assert_eq!(first.shape, rotated.shape);
    assert_ne!(policy(SMALL).fingerprint, policy(&format!("{SMALL}\n[cache]\nfound = \"9h\"\n")).fingerprint);
}

#[test]
fn a_percentile_is_half_the_call_budget() {
    let policy = policy(&format!("{SMALL}[budget]\norder = \"hedge\"\nhedge_after = \"p95\"\n"));
    assert_eq!(policy.budget.order, Order::Hedge { after: ms(50) });
}

#[test]
fn nothing_that_is_typed_makes_the_check_panic() {
    // Each prefix of a whole policy, and each line of it taken out, is read to some end.
    for (end, _) in EVERYTHING.char_indices().step_by(7) {
        let _ = parse("lrn", Path::new("lrn.toml"), &EVERYTHING[..end]);
    }
    let lines: Vec<&str> = EVERYTHING.lines().collect();
    for out in 0..lines.len() {
        let text: String =
            lines.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, line)| format!("{line}\n")).collect();
        let _ = parse("lrn", Path::new("lrn.toml"), &text);
    }
}

#[test]
fn everything_of_a_table() {
    let policy = everything("s3cret");
    let TransportPolicy::Table(table) = &policy.upstreams.last().unwrap().transport else { panic!() };
    assert_eq!((table.matching, table.key_columns.as_slice()), (TableMatch::LongestPrefix, &["prefix".to_owned()][..]));
    let keys: Vec<&str> = table.keys.iter().map(|key| key.source()).collect();
    assert_eq!(keys, ["{{ key | nanp10 }}", "{{ key | npa }}"]);
    assert_eq!((table.every, table.load_timeout), (Some(ms(3_600_000)), ms(120_000)));
    assert_eq!((table.max_change, table.min_rows, table.max_rows), (0.5, 10, 1000));
    let TableSource::File { path, form, header, columns } = &table.source else { panic!() };
    assert_eq!((path.as_path(), *header), (Path::new("policies/deck.tsv.gz"), false));
    assert_eq!(form, &LineForm::Separator(b'\t'));
    assert_eq!(columns.as_slice(), ["prefix", "state"]);
}

#[test]
fn a_table_from_a_database_is_loaded_every_quarter_of_an_hour() {
    let text = "[input]\nkey = { type = \"text\" }\n[[upstream]]\ntype = \"table\"\ndatabase = \"sqlite:a.db\"\n\
                query = \"select a, b from t\"\nkey_column = \"a\"\nfields = { b = \"row.b\" }\n";
    let of = |policy: &Policy| match &policy.upstreams[0].transport {
        TransportPolicy::Table(table) => (table.matching, table.every, table.origin, table.content),
        other => panic!("{other:?}"),
    };
    let plain = of(&policy(text));
    assert_eq!((plain.0, plain.1), (TableMatch::Exact, Some(ms(900_000))));
    let timed = of(&policy(&text.replace("key_column", "every = \"1m\"\nkey_column")));
    assert_eq!((timed.2, timed.3), (plain.2, plain.3), "only when it is loaded has changed");
    let fields = of(&policy(&text.replace("row.b", "row.b or 1")));
    assert!(fields.2 == plain.2 && fields.3 != plain.3);
    let other = of(&policy(&text.replace("from t", "from u")));
    assert!(other.2 != plain.2 && other.3 != plain.3);
}
