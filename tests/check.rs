//! The promise of `dipcache check`: every fault of a config or policy at once, each with file, line,
//! column, what is wrong and how to mend it.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, and not their helpers beside them")]

use std::fs;
use std::path::Path;

use dipcache::config::{check_all, load_with};
use dipcache::policy::Fault;
use dipcache::policy::check::{parse, read, read_dir};

/// A policy without a fault, to be broken in one place.
const GOOD: &str = r#"kind = "lrn"

[input]
key = { type = "tn", country = "US" }

[[upstream]]
name = "vendor-a"
type = "http"
url = "https://lrn.vendor-a.example/v1/{{ key | nanp10 }}"

[[upstream.rule]]
when = "status == 404"
outcome = "not_found"

[upstream.fields]
lrn = "body.lrn or key"
"#;

/// What is wrong with the good policy once `good` is replaced by `bad`.
fn broken(good: &str, bad: &str) -> Vec<String> {
    assert!(GOOD.contains(good), "the test replaces what is not there: {good}");
    policy(&GOOD.replace(good, bad))
}

fn policy(text: &str) -> Vec<String> {
    shown(parse("lrn", Path::new("lrn.toml"), text).err().unwrap_or_default())
}

/// The faults' lines. Where one lists every key there is, the list is cut: it grows with the language.
fn shown(faults: Vec<Fault>) -> Vec<String> {
    let cut = |line: String| {
        let lists = ["known there are ", "[[upstream]] takes "];
        let end = lists.iter().find_map(|list| line.find(list).map(|at| at + list.len() - 1));
        end.map_or(line.clone(), |end| line[..end].to_owned())
    };
    faults.iter().map(ToString::to_string).map(cut).collect()
}

/// What is wrong with a main config.
fn config(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.toml");
    fs::write(&path, text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let faults = load_with(Some(&path), variables).err().unwrap_or_default();
    let folder = format!("{}/", dir.path().display());
    shown(faults).into_iter().map(|line| line.replace(&folder, "")).collect()
}

#[test]
fn a_share_that_would_renew_with_every_hit_is_a_fault() {
    for share in ["0", "-0.5", "nan"] {
        let faults = broken("[[upstream]]\n", &format!("[cache]\nrefresh_ahead = {share}\n[[upstream]]\n"));
        assert!(faults.len() == 1 && faults[0].starts_with("lrn.toml:7:17: "), "{share}: {faults:?}");
    }
}

#[test]
fn the_good_policy_is_good() {
    assert_eq!(policy(GOOD), [""; 0]);
}

#[test]
fn a_misspelt_key() {
    assert_eq!(
        broken("kind =", "knid ="),
        ["lrn.toml:1:1: unknown key `knid` at the top of the file; did you mean `kind`? known there are"]
    );
}

#[test]
fn a_misspelt_key_in_an_upstream() {
    assert_eq!(
        broken("url =", "ulr ="),
        ["lrn.toml:9:1: unknown key `ulr` in [[upstream]]; did you mean `url`? [[upstream]] takes"]
    );
}

#[test]
fn a_bad_duration() {
    assert_eq!(
        policy(&format!("{GOOD}\n[cache]\nfound = 3600\nnot_found = \"5 minuts\"\n")),
        [
            r#"lrn.toml:19:9: `3600` is a duration without its unit; write it in quotes with its unit, such as "80ms", "3s", "5m", "1h", "7d"; none at all is "0""#,
            r#"lrn.toml:20:13: `5 minuts` is no duration; write it in quotes with its unit, such as "80ms", "3s", "5m", "1h", "7d"; none at all is "0""#
        ]
    );
}

#[test]
fn an_unknown_filter() {
    assert_eq!(broken("nanp10", "nanp11x"), ["lrn.toml:9:49: there is no filter `nanp11x`; did you mean `nanp11`?"]);
}

#[test]
fn an_unknown_name_in_an_expression() {
    assert_eq!(
        broken("status == 404", "stauts == 404"),
        ["lrn.toml:12:9: there is no name `stauts`; did you mean `status`?"]
    );
}

#[test]
fn a_name_of_another_transport_in_an_expression() {
    assert_eq!(
        broken("body.lrn or key", "rows[0].lrn or key"),
        ["lrn.toml:16:8: this type of upstream has no `rows`; there are `key`, `status`, `headers`, `body`, `text`"]
    );
}

#[test]
fn a_place_in_an_expression_is_found_past_escapes() {
    assert_eq!(
        broken(r#""status == 404""#, r#""text == \"\u00e9\" and nix""#),
        [
            "lrn.toml:12:32: there is no name `nix`; known here: `tollfree`, `nullnames`, `nullwords`, `key`, `status`, `headers`, `body`, `text`; a further input is declared in [input], a fixed text stands in quotes"
        ]
    );
}

#[test]
fn a_missing_secret() {
    assert_eq!(
        broken(
            "[[upstream.rule]]",
            "auth = { type = \"bearer\", token = \"env:DIPCACHE_TEST_NOT_SET\" }\n[[upstream.rule]]"
        ),
        [
            "lrn.toml:11:35: the environment has no variable `DIPCACHE_TEST_NOT_SET`; set `DIPCACHE_TEST_NOT_SET` where dipcache is started, or correct the name"
        ]
    );
}

#[test]
fn a_literal_secret() {
    let faults =
        broken("[[upstream.rule]]", "auth = { type = \"bearer\", token = \"sk_live_12345\" }\n[[upstream.rule]]");
    assert_eq!(
        faults,
        [
            "lrn.toml:11:35: a secret is given by reference: `env:NAME`, `file:PATH` or `cred:NAME`; put it into the environment or into a file, and name that here"
        ]
    );
    assert!(!faults[0].contains("sk_live"));
}

#[test]
fn a_secret_in_a_header_or_a_url() {
    assert_eq!(
        broken("url = \"https://", "headers = { Authorization = \"Bearer abc\" }\nurl = \"https://user:pass@"),
        [
            r#"lrn.toml:9:13: `Authorization` carries a secret, which never stands in a policy; write `auth = { type = "header", name = "Authorization", value = "env:NAME" }` instead"#,
            r#"lrn.toml:10:7: the URL has a user in it, and a secret never stands in a policy; write `auth = { type = "basic", user = "env:NAME", password = "env:NAME" }` instead"#
        ]
    );
}

#[test]
fn an_unknown_outcome() {
    assert_eq!(
        broken("\"not_found\"", "\"notfound\""),
        [
            "lrn.toml:13:11: `notfound` is not an outcome that a rule can decide; did you mean `not_found`? there are found, partial, not_found, not_applicable, invalid_number, rate_limited, quota_exhausted, auth_error, vendor_error, timeout"
        ]
    );
}

#[test]
fn a_wrong_type() {
    assert_eq!(
        broken("name = \"vendor-a\"", "name = \"vendor-a\"\nconcurrency = \"200\"\nservers = 5\ntimeout = \"60ms\""),
        [
            r#"lrn.toml:8:15: expected a whole number, without quotes, found the text "200"; write it as in `20`"#,
            r#"lrn.toml:9:11: `servers` means nothing for `type = "http"`; take it out: it belongs to `type = "dns"`"#,
            r#"lrn.toml:10:11: expected a table such as { connect = "20ms", total = "60ms" }, found the text "60ms"; write a table such as { connect = "20ms", total = "60ms" } here"#
        ]
    );
}

#[test]
fn a_bad_url() {
    assert_eq!(
        broken("https://lrn.vendor-a.example", "lrn.vendor-a.example"),
        [
            r#"lrn.toml:9:7: the URL does not start with http:// or https://; write it in full, as in "https://lrn.vendor-a.example/v1/{{ key | nanp10 }}""#
        ]
    );
    assert_eq!(
        broken("https://lrn.vendor-a.example", "https://lrn.vendor-a.example:port"),
        [
            r#"lrn.toml:9:7: this is no URL: invalid port number; write it in full, as in "https://lrn.vendor-a.example/v1/{{ key | nanp10 }}""#
        ]
    );
}

#[test]
fn a_ratio_out_of_range() {
    assert_eq!(
        policy(&format!("{GOOD}\n[breaker]\nfailure_ratio = 50\n")),
        ["lrn.toml:19:17: `50` is no share: it must lie between 0 and 1; write 0.5 for 50 %"]
    );
}

#[test]
fn warm_jobs_that_have_no_keys_or_never_run() {
    let warm = |lines: &str| policy(&format!("{GOOD}\n[warm]\n{lines}\n"));
    assert_eq!(
        warm("schedule = \"30 5 * * 1-5\""),
        [
            "lrn.toml:19:12: there are no keys to ask for; write `file = \"keys.txt\"`, `database` and `query`, or `journal = true`: where the keys come from"
        ]
    );
    let never = warm("file = \"keys.txt\"\nschedule = \"61 5 * * *\"\nover = \"0\"\nrate = 0");
    assert_eq!(never.len(), 3, "{never:?}");
    assert!(never[0].starts_with("lrn.toml:20:12: `61 5 * * *` is no cron pattern: "), "{never:?}");
    assert!(never[1].starts_with("lrn.toml:21:8: this duration must not be zero"), "{never:?}");
    assert!(never[2].starts_with("lrn.toml:22:8: with a rate of 0"), "{never:?}");
    assert_eq!(
        warm("query = \"select number from subscribers\""),
        [
            "lrn.toml:18:1: `database` is missing; add `database = \"env:NAME\"`, and set NAME to a URL such as postgres://user:password@host/db"
        ]
    );
    let moka = policy(&format!("{GOOD}\n[cache]\nengine = \"moka\"\n[warm]\nkeep_hot = 10\njournal = true\n"));
    assert!(moka.len() == 2 && moka.iter().all(|fault| fault.contains("the engine `moka` does not tell")), "{moka:?}");
    let many = policy(&format!("{GOOD}\n[cache]\nmax_entries = 5\n[warm]\nkeep_hot = 10\n"));
    assert!(many.len() == 1 && many[0].contains("more than the cache holds, which is 5"), "{many:?}");
    assert_eq!(warm("journal = true\nat_start = true\nkeep_hot = 10"), [""; 0]);
}

#[test]
fn an_unclosed_string_hides_nothing() {
    assert_eq!(
        broken("\"vendor-a\"\ntype", "\"vendor-a\ntpye"),
        [
            r#"lrn.toml:7:17: the text has no closing quote; close it with `"`"#,
            "lrn.toml:8:1: unknown key `tpye` in [[upstream]]; did you mean `type`? [[upstream]] takes"
        ]
    );
}

#[test]
fn times_that_contradict_each_other() {
    let text = "\n[budget]\ncall = \"5s\"\nbackground = \"3s\"\n[cache]\nfound = \"1h\"\nnot_found = \"2h\"\nstale = \"9d\"\nceiling = \"8d\"\n";
    assert_eq!(
        policy(&format!("{GOOD}{text}")),
        [
            "lrn.toml:20:14: `background` is shorter than `call`: a dip would be given up while its caller still waits; raise `background`, or lower `call`",
            "lrn.toml:23:13: `not_found` is longer than `found`, which is 1h: an answer of less worth would live longer than a full one; lower `not_found`, or raise `found`",
            "lrn.toml:24:9: `stale` is longer than `ceiling`, which is 8d: nothing is kept past the ceiling; lower `stale`, or raise `ceiling`"
        ]
    );
}

#[test]
fn nobody_to_ask_and_nothing_to_keep() {
    assert_eq!(
        policy("[input]\nkey = { type = \"tn\" }\n"),
        [
            "lrn.toml:1:1: there is nobody to ask: the policy has no [[upstream]]; add an [[upstream]] with `type`, and where it is: `url`, `servers` or `database`"
        ]
    );
    assert_eq!(
        broken("[upstream.fields]\nlrn = \"body.lrn or key\"\n", ""),
        [
            r#"lrn.toml:6:1: nothing of the answer would be kept: there are no fields; add [upstream.fields] below it, a line a field: `lrn = "body.lrn or key"`"#
        ]
    );
}

#[test]
fn two_upstreams_of_one_name_and_keys_of_another_type() {
    let text = "\n[[upstream]]\nname = \"vendor-a\"\ntype = \"dns\"\nrecord = \"NAPTTR\"\ndomain = \"{{ key }}\"\nservers = [\"192.0.2.53\", \"ns1.example\"]\nurl = \"https://x.example\"\n[upstream.fields]\nlrn = \"key\"\n";
    assert_eq!(
        policy(&format!("{GOOD}{text}")),
        [
            "lrn.toml:19:8: two upstreams are called `vendor-a`; give each a `name` of its own",
            "lrn.toml:21:10: `NAPTTR` is not a record type; did you mean `NAPTR`? there are A, AAAA, SRV, NAPTR, TXT, PTR, CNAME, SIP",
            r#"lrn.toml:23:26: `ns1.example` is not a name server's address; write addresses, as in `servers = ["192.0.2.53", "[2001:db8::53]:5353"]`"#,
            r#"lrn.toml:24:7: `url` means nothing for `type = "dns"`; take it out: it belongs to `type = "http"`"#
        ]
    );
}

#[test]
fn sql_parameters_that_nobody_gives() {
    let text = "[input]\nkey = { type = \"account\" }\n[[upstream]]\ntype = \"sql\"\ndatabase = \"sqlite:rates.db\"\nquery = \"select ':x', a::text from t where p = :kee\"\nparameters = { unused = \"key\" }\n[upstream.fields]\na = \"rows[0].a\"\n";
    assert_eq!(
        policy(text),
        [
            r#"lrn.toml:6:48: nothing gives `:kee` a value; did you mean `:key`? there are `:key`; any other needs `parameters = { kee = "an expression" }`"#,
            "lrn.toml:7:16: the query has no `:unused`; take the parameter out, or use it in the query"
        ]
    );
}

#[test]
fn a_misspelt_field_of_the_kind() {
    assert_eq!(
        broken("lrn = \"body.lrn or key\"", "lnr = \"body.lrn or key\"\nmy_own = \"1\"\nspid2 = \"1\""),
        [
            "lrn.toml:16:1: `lnr` is not a field of `lrn`, but looks like one; did you mean `lrn`? a field of your own needs a name less like it"
        ]
    );
}

#[test]
fn a_file_that_is_not_utf8() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lrn.toml");
    fs::write(&path, b"kind = \"lrn\"\ndescribe = \"caf\xe9\"\n").unwrap();
    let fault = &read(&path).unwrap_err()[0];
    assert_eq!((fault.line, fault.column), (2, 16));
    assert_eq!(fault.what, "a byte here is not UTF-8");
    assert_eq!(fault.mend, "save the file as UTF-8, or write the character anew");
    assert_eq!(fault.file, path);
}

#[test]
fn a_lookup_that_is_described_twice() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    for name in ["lrn.toml", "Lrn.toml", "old/lrn.toml", "old/cnam.toml", "x y.toml", ".hidden.toml", "notes.txt"] {
        fs::write(dir.path().join(name), GOOD).unwrap();
    }
    let off = GOOD.replacen("kind", "enabled = false\nkind", 1);
    fs::write(dir.path().join("off.toml"), off).unwrap();
    let (policies, faults) = read_dir(dir.path());
    let names: Vec<_> = policies.iter().map(|policy| &*policy.name).collect();
    assert_eq!(names, ["lrn"]);
    let folder = dir.path().display().to_string();
    let lines: Vec<_> = shown(faults).into_iter().map(|line| line.replace(&folder, "D")).collect();
    assert_eq!(
        lines,
        [
            "D/Lrn.toml:1:1: the lookup `lrn` is described twice, here and in D/lrn.toml; keep one of the two files, or rename one",
            "D/x y.toml:1:1: the file's name makes `x y` the lookup's name, which does not do; rename the file: small letters, digits, `-` and `_`, at most 64",
            "D/old/cnam.toml:1:1: a policy in a folder below D is not read; move it up, or give it another ending than .toml",
            "D/old/lrn.toml:1:1: the lookup `lrn` is described twice, here and in D/lrn.toml; keep one of the two files, or rename one"
        ]
    );
}

#[test]
fn a_bad_listen_address() {
    let text = "[listen]\nhttp = \"localhost:8090\"\nmemcached = [\"127.0.0.1:11311\", \"unix:run/x.sock\"]\ndns = \"127.0.0.1\"\nadmin = \"127.0.0.1:11311\"\n";
    assert_eq!(
        config(text, &[]),
        [
            r#"d.toml:2:8: `localhost:8090` is not an address to listen at; write "127.0.0.1:8090""#,
            r#"d.toml:3:33: the socket's path `run/x.sock` does not start at the root; write the whole path, such as "unix:/run/dipcache/memcached.sock""#,
            r#"d.toml:4:7: `127.0.0.1` is not an address to listen at; add the port, as in "127.0.0.1:5300""#,
            "d.toml:5:9: `memcached` listens at this address already; give one of the two another port"
        ]
    );
}

#[test]
fn a_misspelt_section_and_a_sink_without_a_type() {
    let text = "[polices]\ndir = \"p\"\n[events]\n[[events.sink]]\nname = \"k1\"\ntype = \"kafak\"\n[[events.sink]]\nname = \"k1\"\ntype = \"kafka\"\nbrokers = \"localhost\"\n[shared]\nservers = []\n[log]\nlevel = \"lowd\"\n[admin]\ntoken = \"hunter2\"\n";
    assert_eq!(
        config(text, &[]),
        [
            "d.toml:1:2: unknown key `polices` at the top of the file; did you mean `policies`? known there are",
            "d.toml:6:8: `kafak` is not a type of sink; did you mean `kafka`? there are kafka, file",
            "d.toml:8:8: two sinks are called `k1`; rename one of them",
            r#"d.toml:10:11: `localhost` is not a host and a port; write `brokers = "127.0.0.1:9092"`, or a list of such"#,
            r#"d.toml:12:11: there is no server in the list; write `servers = ["127.0.0.1:11211"]`; for no shared cache take [shared] out"#,
            r#"d.toml:14:9: `lowd` is no level; write error, warn, info, debug or trace, or a filter such as "info,dipcache::health=debug""#,
            r#"d.toml:16:9: a secret is given by reference: `env:NAME`, `file:PATH` or `cred:NAME`; put it into the environment or into a file, and name that here; "off" lets everybody in who reaches the listener"#
        ]
    );
}

/// A value may be a password, so none is repeated.
#[cfg(feature = "kafka")]
#[test]
fn properties_that_librdkafka_does_not_take() {
    let text = "[events]\n[[events.sink]]\nname = \"k1\"\ntype = \"kafka\"\nbrokers = \"localhost:9092\"\n\
        [events.sink.properties]\n\"compresion.type\" = \"zstd\"\nacks = \"hunter2\"\nssl = { ca = \"x\" }\n\
        \"sasl.password\" = \"env:DIPCACHE_NO_SUCH_VARIABLE\"\n[control]\nbrokers = \"localhost:9092\"\n\
        properties = { sasl_password = \"hunter2\" }\n";
    assert_eq!(
        config(text, &[]),
        [
            "d.toml:7:1: librdkafka knows no property `compresion.type`; the names and values are in librdkafka's CONFIGURATION.md",
            "d.toml:8:1: librdkafka does not take this value for `acks`; the names and values are in librdkafka's CONFIGURATION.md",
            "d.toml:9:7: a property is text, a number, true or false; write it as text; a name with dots needs quotes: \"ssl.…\" = …",
            "d.toml:10:19: the environment has no variable `DIPCACHE_NO_SUCH_VARIABLE`; set `DIPCACHE_NO_SUCH_VARIABLE` where dipcache is started, or correct the name",
            "d.toml:13:16: librdkafka knows no property `sasl_password`; the names and values are in librdkafka's CONFIGURATION.md",
        ]
    );
}

#[test]
fn unknown_and_bad_environment_overrides() {
    let variables = [
        ("DIPCACHE_LISTN__HTTP", "127.0.0.1:1"),
        ("DIPCACHE_LISTEN__HTTP", "nowhere"),
        ("DIPCACHE_DRAIN__TIME", "10"),
        ("DIPCACHE_VENDOR_TOKEN", "no override"),
        ("PATH", "/bin"),
    ];
    assert_eq!(
        config("", &variables),
        [
            r#"environment:1:1: `DIPCACHE_DRAIN__TIME`: `10` is a duration without its unit; write it in quotes with its unit, such as "80ms", "3s", "5m", "1h", "7d"; none at all is "0""#,
            r#"environment:1:1: `DIPCACHE_LISTEN__HTTP`: `nowhere` is not an address to listen at; write an IP address and a port, as in "127.0.0.1:8090", or "off""#,
            "environment:1:1: `DIPCACHE_LISTN__HTTP`: unknown key `listn` at the top of the file; did you mean `listen`? known there are"
        ]
    );
}

#[test]
fn a_config_that_is_not_there() {
    let faults = check_all(Some(Path::new("nowhere/dipcache.toml")));
    assert_eq!(
        shown(faults),
        [
            "nowhere/dipcache.toml:1:1: the file does not read: No such file or directory (os error 2); check its name and that dipcache may read it"
        ]
    );
}

/// The good policy with lines before its first rule.
fn with_lines(lines: &str) -> Vec<String> {
    broken("[[upstream.rule]]", &format!("{lines}\n[[upstream.rule]]"))
}

#[test]
fn a_format_and_the_keys_that_go_with_it() {
    assert_eq!(
        with_lines("format = \"jsn\""),
        [
            "lrn.toml:11:10: `jsn` is not a format; did you mean `json`? there are json, xml, text, delimited, kv, csv, tsv, binary, none"
        ]
    );
    assert_eq!(
        with_lines("format = \"delimited\""),
        [
            "lrn.toml:11:10: `delimited` needs the names of its values: `columns` is missing; name the values in their order, as in `columns = [\"lrn\", \"spid\"]`"
        ]
    );
    assert_eq!(
        with_lines("separator = \";\""),
        [
            "lrn.toml:11:13: `separator` means nothing for `format = \"json\"`; take it out, or write `format = \"delimited\"`, kv, csv or tsv"
        ]
    );
    assert_eq!(
        with_lines("charset = \"klingon\""),
        [
            "lrn.toml:11:11: `klingon` is not a charset that is known here; write `utf-8`, `latin-1`, `windows-1252` or another name of the WHATWG's list"
        ]
    );
}

#[test]
fn a_value_map_that_is_not_there_or_cannot_be() {
    let field = "lrn = \"body.lrn or key\"";
    assert_eq!(
        broken(field, "lrn = \"body.lrn | map('lien_type')\""),
        ["lrn.toml:16:23: there is no filter and no value map `lien_type`; did you mean `line_type`?"]
    );
    assert_eq!(
        broken(field, &format!("{field}\n[maps.upper]\na = \"b\"\n[maps.own]\n\"/(/\" = \"x\"\nb = [1]")),
        [
            "lrn.toml:17:7: `upper` is a filter already; give the map another name",
            "lrn.toml:20:1: the regular expression does not compile: unclosed group; write it in the syntax of the Rust regex crate, or take the slashes out for a plain word",
            "lrn.toml:21:5: a word means one value; write a text, a number, true or false"
        ]
    );
}

#[test]
fn options_of_a_rule_that_mean_nothing() {
    let rule = "outcome = \"not_found\"";
    assert_eq!(
        broken(
            rule,
            &format!(
                "{rule}\nhold_from = \"headers['retry-after']\"\nbreaker = false\nttl = \"1m\"\ncacheable = false"
            )
        ),
        [
            "lrn.toml:14:13: `hold_from` means nothing for `not_found`: the upstream answered; take it out, or write `ttl` for how long the answer is kept",
            "lrn.toml:15:11: `breaker` means nothing for `not_found`: it is no failure; take it out: only `vendor_error` and `timeout` count against an upstream",
            "lrn.toml:16:7: `ttl` beside `cacheable = false`: the answer is not kept at all; take one of the two out"
        ]
    );
    assert_eq!(
        broken(rule, "outcome = \"vendor_error\"\ndetail = \"body.mesage | uper\""),
        ["lrn.toml:14:25: there is no filter `uper`; did you mean `upper`?"]
    );
}

#[test]
fn wanted_parts_and_words() {
    let key = "key = { type = \"tn\", country = \"US\" }";
    assert_eq!(
        broken(
            key,
            &format!("{key}\nwant = []\ntype = {{ type = \"word\" }}\nmode = {{ type = \"text\", words = [\"a\"] }}")
        ),
        [
            "lrn.toml:5:8: there is no word to choose from; write them out, as in `want = [\"lrn\", \"cnam\"]`",
            "lrn.toml:6:8: `words` is missing; write them out, as in `words = [\"lrn\", \"cnam\"]`",
            "lrn.toml:7:33: `words` belongs to words; take it out, or write `type = \"word\"`"
        ]
    );
}

#[test]
fn a_record_type_by_an_input_of_other_words() {
    let dns = "kind = \"dns\"\n[input]\nkey = { type = \"dns\" }\ntype = { type = \"word\", words = [\"A\", \"MX\"] }\n\
               [[upstream]]\ntype = \"dns\"\nrecord = \"{{ type }}\"\ndomain = \"{{ key }}\"\nservers = \"192.0.2.53\"\n\
               fields = { a = \"answers\" }\n";
    assert_eq!(
        policy(dns),
        [
            "lrn.toml:7:10: the input's word `MX` is not a record type that can be asked for; let the input's `words` be A, AAAA, SRV, NAPTR, TXT, PTR, CNAME or SIP"
        ]
    );
    assert_eq!(
        policy(
            &dns.replace("\"MX\"", "\"SRV\"")
                .replace("record = \"{{ type }}\"", "record = \"A\"\nservices = [\"sip\"]\nhops = 50")
        ),
        [
            "lrn.toml:8:12: `services` means nothing for `record = \"A\"`; take it out, or write `record = \"NAPTR\"`",
            "lrn.toml:8:13: `sip` is not an ENUM service; write `E2U+`, its type and perhaps its subtype, as in \"E2U+pstn:tel\" or \"E2U+sip\"",
            "lrn.toml:9:8: 50 names one after the other take longer than any call waits; write 10 or less; the default is 5",
            "lrn.toml:9:8: `hops` means nothing for `record = \"A\"`; take it out, or write `record = \"NAPTR\"`"
        ]
    );
}

#[test]
fn nothing_kept_and_a_life_beside_it() {
    assert_eq!(
        policy(&format!("{GOOD}\n[cache]\nno_cache = true\nstale = \"1h\"\n")),
        ["lrn.toml:20:9: `stale` beside `no_cache`: nothing is kept; take one of the two out"]
    );
}

/// What is wrong with a table of these lines.
fn table(lines: &str) -> Vec<String> {
    policy(&format!(
        "[input]\nkey = {{ type = \"tn\", country = \"US\" }}\n[[upstream]]\ntype = \"table\"\n{lines}\n[upstream.fields]\nrate = \"row.rate\"\n"
    ))
}

#[test]
fn tables_that_cannot_be_loaded_or_asked() {
    let good = "file = \"r.csv\"\nkey_column = \"prefix\"";
    assert_eq!(table(good), [""; 0]);
    let cases = [
        ("key_column = \"p\"", "lrn.toml:3:1: nothing says where the table's rows are; add `file = "),
        ("file = \"r.csv\"", "lrn.toml:3:1: `key_column` is missing; add `key_column = \"prefix\"`"),
        ("file = \"r.csv\"\nquery = \"select 1\"\nkey_column = \"p\"", "lrn.toml:5:8: the table has two sources"),
        (
            "database = \"sqlite:a.db\"\nquery = \"select a from t where a = :key\"\nkey_column = \"a\"",
            "lrn.toml:6:36: `:key` has no value when a table is loaded",
        ),
        (
            "database = \"sqlite:a.db\"\nquery = \"delete from t\"\nkey_column = \"a\"",
            "lrn.toml:6:9: the statement starts with `delete`",
        ),
        ("file = \"r.csv\"\nmatch = \"prefix\"\nkey_column = \"p\"", "lrn.toml:6:9: `prefix` is not a way to match"),
        (
            "file = \"r.csv\"\nmatch = \"range\"\nkey_column = \"p\"",
            "lrn.toml:7:14: 1 columns cannot be the key of this table; name two columns",
        ),
        (
            "file = \"r.csv\"\nheader = false\nkey_column = \"p\"",
            "lrn.toml:6:10: a file without a header needs the names of its columns",
        ),
        (
            "file = \"r.csv\"\ncolumns = [\"prefix\"]\nkey_column = \"prefxi\"",
            "lrn.toml:7:14: there is no column `prefxi`; did you mean `prefix`?",
        ),
        (
            "file = \"r.csv\"\nkey_column = \"p\"\nkeys = [\"key\"]",
            "lrn.toml:7:9: this key is the same for every question; write `{{ key }}`",
        ),
        (
            "file = \"r.csv\"\nkey_column = \"p\"\nevery = \"10ms\"",
            "lrn.toml:7:9: a table cannot be loaded more often than every second",
        ),
        (
            "file = \"r.csv\"\nkey_column = \"p\"\nurl = \"http://a\"",
            "lrn.toml:7:7: `url` means nothing for `type = \"table\"`",
        ),
        ("file = \"r.csv\"\nkey_column = \"p\"\nseparator = \"::\"", "lrn.toml:7:13: `::` is not one character"),
    ];
    for (lines, expected) in cases {
        let found = table(lines);
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{lines}\n{expected}\n{found:#?}");
    }
    let rule = policy(
        "[input]\nkey = { type = \"text\" }\n[[upstream]]\ntype = \"table\"\nfile = \"r.csv\"\nkey_column = \"p\"\n\
         [upstream.fields]\nrate = \"row.rate or key\"\n[[upstream.rule]]\nwhen = \"row.x\"\noutcome = \"not_found\"\n",
    );
    assert!(rule.iter().any(|fault| fault.starts_with("lrn.toml:9:1: a table has no rules")), "{rule:#?}");
    assert!(rule.iter().any(|fault| fault.starts_with("lrn.toml:8:21: there is no name `key`")), "{rule:#?}");
}

/// What is wrong with the good policy once `more` stands behind its upstream's URL.
fn with(more: &str) -> Vec<String> {
    let url = "url = \"https://lrn.vendor-a.example/v1/{{ key | nanp10 }}\"";
    broken(url, &format!("{url}\n{more}"))
}

#[test]
fn variables_and_secrets_that_are_not_there() {
    assert_eq!(
        broken("{{ key | nanp10 }}", "{{ vars.sapce }}/{{ key | nanp10 }}"),
        [
            "lrn.toml:9:43: there is no name `vars.sapce`; declare `sapce = …` in [vars]; only templates see it, rules and fields do not"
        ]
    );
    let near = policy(
        &format!("[vars]\nspace = \"x\"\n{}", GOOD.replace("kind = \"lrn\"\n", "")).replace("v1/", "{{ vars.spce }}/"),
    );
    assert!(near[0].ends_with("there is no name `vars.spce`; did you mean `vars.space`?"), "{near:?}");
    let literal = policy(&format!("[secrets]\nkey = \"hunter2\"\n{}", GOOD.replace("kind = \"lrn\"\n", "")));
    assert_eq!(literal.len(), 1);
    assert!(literal[0].starts_with("lrn.toml:2:7: a secret is given by reference"), "{literal:?}");
}

#[test]
fn requests_that_cannot_be() {
    for (more, fault) in [
        ("query = \"a=b\"", "10:9: `query` is a table of names and values; write `query = { number = \"{{ key }}\" }`"),
        (
            "json = { a = 1 }\nform = { a = 1 }",
            "11:8: the request has two bodies; keep one of `body`, `json`, `form`, `xml` and `graphql`",
        ),
        (
            "method = \"POST\"\nretry = 1",
            "11:9: a request that is no GET is not sent twice; write `safe = true` if the request changes nothing at the vendor, or take `retry` out",
        ),
        (
            "source_address = \"here\"",
            "10:18: `here` is no IP address; write one of this machine's addresses, such as \"192.0.2.7\"",
        ),
        (
            "proxy = \"socks5://h:1\"",
            "10:9: a proxy's URL starts with http://; write `proxy = \"http://host:port\"`; with a password in it, by reference: \"env:NAME\"",
        ),
        ("redirects = \"all\"", "10:13: `all` is not a way with redirects; there are none, same-host"),
        (
            "graphql = { query = \"{{ key }}\" }",
            "10:21: a GraphQL query has no `{{`, `{%` or `{#`: it is sent as it is; put what varies into `variables`, and a space between braces that stand together",
        ),
        (
            "auth_by = \"tenant\"",
            "10:11: there are no `auths` to choose from; write `auth_by = \"tenant\"` and an [upstream.auths.NAME] for each value of that input",
        ),
        (
            "auth = { type = \"hmac\", secret = \"env:PATH\", string = \"{{ boddy }}\", headers = { X = \"{{ signature }}\" } }",
            "10:59: there is no name `boddy`; did you mean `body`?",
        ),
        (
            "auth = { type = \"hmac\", secret = \"env:PATH\", string = \"{{ body }}\", headers = { X = \"1\" } }",
            "10:79: no header carries the signature; write `headers = { X-Sign = \"{{ signature }}\", X-Time = \"{{ timestamp }}\" }`",
        ),
        (
            "auth = { type = \"bearer\", token = \"env:PATH\", scope = \"x\" }",
            "10:55: `scope` means nothing for `type = \"bearer\"`; write `auth = { type = \"bearer\", token = \"env:NAME\" }`",
        ),
        (
            "tls = { cert = \"/nowhere/c.pem\" }",
            "10:7: `key` is missing: a certificate needs its key; write `tls = { cert = \"our.pem\", key = \"file:/path/our.key\" }`",
        ),
    ] {
        let told = with(more);
        assert!(told.contains(&format!("lrn.toml:{fault}")), "{more}\n{told:#?}");
    }
    let urls = broken(
        "url = \"https://lrn.vendor-a.example/v1/{{ key | nanp10 }}\"",
        "urls = [\"https://a/?x=1\"]\nurl = \"v1\"",
    );
    assert_eq!(urls.len(), 2, "{urls:?}");
}

#[test]
fn chains_that_cannot_be() {
    for (more, fault) in [
        (
            "[merge]\nlrn = [\"vendor-a\"]",
            "17:1: [merge] means nothing where the first answer is the answer; write `answer = \"merge\"` under [budget], or take [merge] out",
        ),
        ("[budget]\nanswer = \"merge\"\n[merge]\nlrn = [\"b\"]", "20:8: there is no upstream `b`; there are vendor-a"),
        (
            "[[then]]\nlookup = \"lrn\"\nkey = \"{{ record.lrn }}\"\nfields = { a = \"a\" }",
            "18:10: a lookup cannot depend on itself; name another one",
        ),
        (
            "[cost]\nper = { fuond = 1 }",
            "18:9: `fuond` is no outcome of a dip; did you mean `found`? there are found, partial, not_found, invalid_number, vendor_error, timeout and more",
        ),
        (
            "[budget]\norder = \"hedge\"\n[cost]\nper = { found = 1 }",
            "18:9: dips that cost money are not hedged without a word on it; say how many extra dips may be paid for, such as `hedge_max = 0.05`, or take `order` out",
        ),
    ] {
        let told = policy(&format!("{GOOD}{more}\n"));
        assert!(told.contains(&format!("lrn.toml:{fault}")), "{more}\n{told:#?}");
    }
    let told = policy(&format!("class = \"emergency\"\n{GOOD}[cache]\nstale = \"1h\"\n"));
    assert_eq!(
        told,
        [
            "lrn.toml:19:9: `stale` means nothing for `class = \"emergency\"`: nothing old and no \"no\" is served; take it out, or write \"0\""
        ]
    );
}

#[test]
fn dependent_steps_lead_somewhere_and_not_in_a_circle() {
    let dir = tempfile::tempdir().unwrap();
    let then = |lookup: &str| {
        format!("{GOOD}[[then]]\nlookup = \"{lookup}\"\nkey = \"{{{{ record.lrn }}}}\"\nfields = {{ a = \"a\" }}\n")
    };
    let write = |name: &str, text: &str| fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
    write("a", &then("b"));
    write("b", &then("c"));
    write("c", &format!("enabled = false\n{GOOD}"));
    assert_eq!(shown(read_dir(dir.path()).1), [""; 0], "what is not served may be named");
    write("c", &then("a"));
    let faults = shown(read_dir(dir.path()).1);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(
        faults[0].ends_with("a.toml:1:1: its dependent steps lead back to `a`; take one [[then]] of the circle out"),
        "{faults:?}"
    );
    write("c", &then("nowhere"));
    let faults = shown(read_dir(dir.path()).1);
    assert!(faults.len() == 1 && faults[0].contains("it names the lookup `nowhere`"), "{faults:?}");
}
