//! The shipped schemas against the shipped files, and against what hands slip into.

#![allow(clippy::unwrap_used, reason = "clippy knows tests, and not their helpers beside them")]

use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value as Json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn schema(file: &str) -> Validator {
    let text = std::fs::read_to_string(root().join("config").join(file)).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn policy() -> Validator {
    schema("policy.schema.json")
}

fn config() -> Validator {
    schema("dipcache.schema.json")
}

/// What the schema says against a text, a line each.
fn told(schema: &Validator, text: &str) -> Vec<String> {
    let table: Json = toml::from_str(text).unwrap();
    schema.iter_errors(&table).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

/// Every shipped file and the schema that is meant for it.
fn shipped() -> Vec<(PathBuf, &'static str)> {
    let of = |folder, schema| toml_files(folder).into_iter().map(move |file| (file, schema));
    of("policies", "policy.schema.json")
        .chain(of("config/demo-policies", "policy.schema.json"))
        .chain(of("config", "dipcache.schema.json"))
        .collect()
}

#[test]
fn everything_that_ships_is_valid() {
    let all = shipped();
    assert!(all.len() > 40, "only {} files", all.len());
    for (file, name) in all {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(told(&schema(name), &text), [""; 0], "{}", file.display());
    }
}

/// The policy in which every key stands once.
#[test]
fn every_key_of_a_policy_is_known() {
    let text = std::fs::read_to_string(root().join("src/policy/check/everything.toml")).unwrap();
    assert_eq!(told(&policy(), &text), [""; 0]);
}

/// The default config with its comments taken away: every key there is.
#[test]
fn every_key_that_the_default_config_explains_is_known() {
    let text = std::fs::read_to_string(root().join("config/dipcache.toml")).unwrap();
    let is_toml = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).filter(is_toml);
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(text.contains("[shared]") && text.contains("[[events.sink]]"), "{text}");
    assert_eq!(told(&config(), &text), [""; 0], "{text}");
}

#[test]
fn an_editor_finds_the_schema_from_every_shipped_file() {
    for (file, name) in shipped() {
        let text = std::fs::read_to_string(&file).unwrap();
        let hint = text.lines().next().unwrap().strip_prefix("#:schema ");
        let Some(hint) = hint else { panic!("{}: its first line does not name the schema", file.display()) };
        let found = file.parent().unwrap().join(hint).canonicalize().unwrap();
        assert_eq!(found, root().join("config").join(name).canonicalize().unwrap(), "{}", file.display());
    }
}

const GOOD: &str = r#"kind = "lrn"
[input]
key = { type = "tn", country = "US" }
[cache]
found = "1h"
[[upstream]]
type = "http"
url = "https://lrn.vendor.example/v1/{{ key | nanp10 }}"
auth = { type = "bearer", token = "env:KEY" }
[[upstream.rule]]
when = "status == 404"
outcome = "not_found"
[upstream.fields]
lrn = "body.lrn or key"
"#;

#[test]
fn slips_in_a_policy_are_refused() {
    let schema = policy();
    assert_eq!(told(&schema, GOOD), [""; 0]);
    let slips = [
        (r#"kind = "lrn""#, r#"kind = "lnr""#),
        (r#"kind = "lrn""#, r#"knid = "lrn""#),
        (r#"kind = "lrn""#, r#"enabled = "yes""#),
        (r#"kind = "lrn""#, r#"describe = 5"#),
        (r#"type = "tn""#, r#"type = "number""#),
        (r#"country = "US""#, r#"country = "usa""#),
        ("key = {", "key = \"tn\"\nani = {"),
        (r#"found = "1h""#, "found = 60"),
        (r#"found = "1h""#, r#"found = "1 hour""#),
        (r#"found = "1h""#, "jitter = 10"),
        (r#"found = "1h""#, r#"max_entries = "many""#),
        (r#"found = "1h""#, r#"max_bytes = "64 megabytes""#),
        (r#"found = "1h""#, r#"no_cache = "true""#),
        (r#"type = "http""#, r#"type = "https""#),
        (r#"type = "http""#, r#"name = "a""#),
        (r#"type = "http""#, r#"type = "dns""#),
        ("url = ", "servers = \"192.0.2.53\"\nurl = "),
        ("url = ", "retry = \"once\"\nurl = "),
        ("url = ", "timeout = \"60ms\"\nurl = "),
        ("url = ", "rate = { per_second = \"5\" }\nurl = "),
        ("url = ", "urls = [1]\nurl = "),
        (r#"type = "bearer""#, r#"type = "token""#),
        (r#"type = "bearer""#, r#"type = "basic""#),
        (r#"token = "env:KEY""#, r#"tokn = "env:KEY""#),
        ("when = ", "if = "),
        (r#""not_found""#, r#""missing""#),
        (r#""not_found""#, "\"not_found\"\nhold = true"),
        ("[upstream.fields]", "[upstream.field]"),
        (r#"lrn = "body.lrn or key""#, "ported = true"),
        ("[[upstream]]", "[upstream]"),
    ];
    for (good, bad) in slips {
        assert!(GOOD.contains(good), "the test replaces what is not there: {good}");
        // A rule behind a table that is no list is no TOML: only that slip has none.
        let text = GOOD.replacen(good, bad, 1);
        let text = if bad == "[upstream]" { text.replace("[[upstream.rule]]", "[upstream.rule]") } else { text };
        assert!(!told(&schema, &text).is_empty(), "{bad} is not refused");
    }
}

#[test]
fn slips_in_the_config_are_refused() {
    let schema = config();
    assert_eq!(told(&schema, "[listen]\nhttp = [\"127.0.0.1:8090\", \"[::1]:8090\"]"), [""; 0]);
    assert_eq!(told(&schema, "[bundle.inbound]\nbudget = \"80ms\"\nlrn.key = \"called\""), [""; 0]);
    let slips = [
        "[listen]\nhtpp = \"off\"",
        "[listen]\nhttp = 8090",
        "[lisen]",
        "[listen]\nmemcached_format = \"xml\"",
        "[shared]\nprefix = \"dip:\"",
        "[shared]\nservers = [\"127.0.0.1:11211\"]\ntimeout = 5",
        "[events]\nmode = \"any\"",
        "[events]\nspool_max = \"1 gig\"",
        "[[events.sink]]\ntype = \"kafka\"",
        "[[events.sink]]\nname = \"a\"\ntype = \"redis\"",
        "[log]\nformat = \"logfmt\"",
        "[log]\nmask_numbers = \"yes\"",
        "[drain]\ntime = 10",
        "[limits]\nmax_dips = -1",
        "[vars]\nregion = [\"eu\"]",
        "[bundle.inbound]\nlrn = \"called\"",
        "[bundle.inbound.lrn]\nlookup = \"lrn\"",
    ];
    for slip in slips {
        assert!(!told(&schema, slip).is_empty(), "{slip} is not refused");
    }
}

#[test]
fn the_program_prints_what_ships() {
    for (of, file) in [("policy", "policy.schema.json"), ("config", "dipcache.schema.json")] {
        let printed = Command::new(env!("CARGO_BIN_EXE_dipcache")).args(["schema", of]).output().unwrap();
        assert!(printed.status.success());
        assert_eq!(
            String::from_utf8(printed.stdout).unwrap(),
            std::fs::read_to_string(root().join("config").join(file)).unwrap()
        );
    }
}
