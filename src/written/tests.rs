//! Places and words, each on its own.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::near::nearest;
use super::quoting::raw_offset;
use super::{Bytes, Document, Faults, Field, Leaf, Lines, Overlay, Ratio, Source};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Top {
    time: Field<Duration>,
    names: Lines<String>,
    part: Option<Part>,
    #[serde(default)]
    list: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Part {
    share: Field<Ratio>,
}

/// Reads a text as [`Top`], and gives what is wrong as `line:column: what`.
fn read(text: &str) -> (Option<Top>, Vec<String>) {
    let mut faults = Faults::new(Source::new(Path::new("t.toml"), text));
    let top =
        Document::parse(text, &mut faults).and_then(|document| document.read::<Top>(&mut faults)).map(|mut top| {
            faults.value(top.time.take());
            top.part.iter_mut().chain(&mut top.list).for_each(|part| {
                faults.value(part.share.take());
            });
            top
        });
    let shown = faults.into_vec().into_iter().map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.what));
    (top, shown.collect())
}

#[test]
fn every_fault_is_told_at_once() {
    let (top, faults) =
        read("tiem = 1\ntime = 80\nz = 1\n[part]\nshare = 2\nshaer = 1\n[[list]]\nx = 1\n[[list]]\nshare = 'a'\n");
    assert!(top.is_some());
    assert_eq!(
        faults,
        [
            "1:1: unknown key `tiem` at the top of the file",
            "2:8: `80` is a duration without its unit",
            "3:1: unknown key `z` at the top of the file",
            "5:9: `2` is no share: it must lie between 0 and 1",
            "6:1: unknown key `shaer` in [part]",
            "8:1: unknown key `x` in [[list]]",
            "10:9: expected a share from 0 to 1, without quotes, found the text \"a\"",
        ]
    );
}

#[test]
fn a_slip_does_not_hide_the_faults_of_other_lines() {
    let (_, faults) = read("time = \"80ms\nnames = [\"a\"]\n[part]\nshare = half\nshaer = 1\n");
    assert_eq!(
        faults,
        ["1:13: the text has no closing quote", "4:9: `half` is no value", "5:1: unknown key `shaer` in [part]",]
    );
}

#[test]
fn behind_an_open_bracket_nothing_is_guessed() {
    let (top, faults) = read("names = [\"a\"\ntime = \"80ms\"\nz = 1\n");
    assert!(top.is_none());
    assert!(!faults.iter().any(|fault| fault.contains("unknown key")), "{faults:?}");
}

#[test]
fn a_table_where_a_value_belongs_and_the_other_way_round() {
    let (_, faults) = read("part = 5\nlist = 'x'\n[time]\na = 1\n");
    assert_eq!(
        faults,
        [
            "1:8: expected a table, found the number `5`",
            "2:8: expected a list in brackets, found the text \"x\"",
            "3:1: expected a duration with its unit, found a table or a date",
        ]
    );
}

#[test]
fn an_offset_in_a_text_is_found_past_quotes_and_escapes() {
    let place = |raw: &str, offset| raw_offset(raw, offset);
    assert_eq!(place("\"ab\"", 1), 2);
    assert_eq!(place("'a\\nb'", 3), 4);
    assert_eq!(place("\"a\\\"b\"", 2), 4);
    assert_eq!(place("\"\\u00e9x\"", 2), 7);
    assert_eq!(place("\"éx\"", 2), 3);
    assert_eq!(place("\"\"\"\nab\"\"\"", 1), 5);
    assert_eq!(place("\"\"\"a\\\n   b\"\"\"", 1), 4);
    assert_eq!(place("\"\"\"a\\\n   b\"\"\"", 2), 10);
    assert_eq!(place("bare", 2), 2);
    assert_eq!(place("\"\\u€€\"", 9), 7, "a broken escape ends within a character");
    assert_eq!(place("\"a\"", 99), 3);
}

#[test]
fn durations_and_sizes_need_their_unit() {
    let duration = |text| Duration::from_text(text).map_err(|wrong| wrong.what);
    assert_eq!(duration("80ms"), Ok(Duration::from_millis(80)));
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(duration("0"), Ok(Duration::ZERO));
    assert_eq!(duration("80"), Err("`80` is no duration".to_owned()));
    assert_eq!(duration("-1s"), Err("`-1s` is no duration".to_owned()));
    assert_eq!(duration(""), Err("`` is no duration".to_owned()));
    assert_eq!(duration("99999999999999999999d"), Err("`99999999999999999999d` is no duration".to_owned()));
    assert_eq!(duration("20000d"), Err("`20000d` is longer than ten years".to_owned()));
    assert_eq!(Bytes::from_text("64MiB"), Ok(Bytes(64 << 20)));
    assert_eq!(Bytes::from_text("2 kB"), Ok(Bytes(2000)));
    assert!(Bytes::from_text("64 miles").is_err());
    assert!(Bytes::from_integer(-1).is_err());
}

#[test]
fn the_nearest_word_is_near_or_none() {
    assert_eq!(nearest("fund", ["found", "partial"]), Some("found"));
    assert_eq!(nearest("not_fuond", ["found", "not_found"]), Some("not_found"));
    assert_eq!(nearest("xyz", ["found", "partial"]), None);
}

#[test]
fn an_overlay_keeps_its_own_place() {
    let text = "time = \"1s\"\n";
    let mut source = Source::new(Path::new("t.toml"), text);
    let share = Overlay::new(&mut source, "D_PART__SHARE", vec!["part".into(), "share".into()], "1.5");
    let time = Overlay::new(&mut source, "D_TIME", vec!["time".into()], "5 parsecs");
    let odd = Overlay::new(&mut source, "D_NAMES", vec!["names".into()], "a\nb = 1");
    let mut faults = Faults::new(source);
    let mut document = Document::parse(text, &mut faults).unwrap();
    [&share, &time, &odd].into_iter().for_each(|overlay| document.lay(overlay));
    let top = document.read::<Top>(&mut faults).unwrap();
    faults.value(top.time);
    faults.value(top.part.unwrap().share);
    assert_eq!(faults.list(top.names).unwrap()[0].get_ref(), "a\nb = 1");
    let shown: Vec<_> = faults.into_vec().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "environment:1:1: `D_PART__SHARE`: `1.5` is no share: it must lie between 0 and 1; write 0.015 for 1.5 %",
            "environment:1:1: `D_TIME`: `5 parsecs` is no duration; write it in quotes with its unit, such as \"80ms\", \"3s\", \"5m\", \"1h\", \"7d\"; none at all is \"0\"",
        ]
    );
}
