//! The value maps that ship: canonical word, then what vendors say for it.

use std::sync::LazyLock;

use ahash::AHashMap;
use minijinja::Value;

use super::ValueMap;

type Words = &'static [(&'static str, &'static [&'static str])];

const LINE_TYPE: Words = &[
    ("landline", &["landline", "fixed", "fixed line", "wireline", "land", "pots"]),
    ("mobile", &["mobile", "wireless", "cell", "cellular", "cell phone", "mobile phone", "pcs"]),
    ("voip", &["voip", "voip fixed", "fixed voip", "non fixed voip", "voip non fixed", "virtual", "internet"]),
    ("toll_free", &["toll free", "freephone", "landline toll free", "free call"]),
    ("premium", &["premium", "premium rate", "landline premium"]),
    ("pager", &["pager", "paging", "beeper"]),
    ("other", &["other", "special", "payphone", "voicemail", "uan", "personal", "shared cost", "satellite"]),
];

const JURISDICTION: Words = &[
    ("interstate", &["interstate", "inter"]),
    ("intrastate", &["intrastate", "intra"]),
    ("local", &["local"]),
    ("international", &["international", "intl"]),
    ("indeterminate", &["indeterminate", "undetermined"]),
];

const CALLER_TYPE: Words = &[
    ("business", &["business", "biz", "b", "commercial", "company", "organization", "enterprise"]),
    ("consumer", &["consumer", "c", "residential", "residence", "r", "person", "personal", "individual"]),
    ("unknown", &["unknown", "u", "undetermined"]),
];

const PRESENTATION: Words = &[
    ("allowed", &["allowed", "available", "public", "presentation allowed"]),
    ("restricted", &["restricted", "private", "blocked", "anonymous", "withheld", "p", "presentation restricted"]),
];

const NAME_STATUS: Words = &[
    ("available", &["available", "ok", "found", "a"]),
    ("unavailable", &["unavailable", "not available", "not found", "none", "o", "out of area"]),
];

const LEC_TYPE: Words = &[
    ("RBOC", &["rboc"]),
    ("ILEC", &["ilec", "incumbent"]),
    ("CLEC", &["clec", "competitive"]),
    ("WIRELESS", &["wireless", "mobile", "wsp"]),
    ("PCS", &["pcs"]),
    ("CABLE", &["cable"]),
    ("RESELLER", &["reseller", "resale", "wresl", "clec reseller"]),
    ("IPES", &["ipes", "voip"]),
];

const REACHABLE: Words = &[
    ("reachable", &["reachable", "active", "connected", "delivered", "ok", "alive", "live", "valid"]),
    ("absent", &["absent", "absent subscriber", "undelivered", "not reachable", "unreachable", "off", "inactive"]),
    ("invalid", &["invalid", "dead", "bad number", "unallocated", "not assigned", "rejected", "unknown subscriber"]),
    ("unknown", &["unknown", "undetermined", "blacklisted"]),
];

const LEVEL: Words = &[
    ("clean", &["clean", "none", "safe", "good", "green", "no risk", "trusted", "very low", "positive"]),
    ("low", &["low", "neutral", "low risk", "moderately low"]),
    ("medium", &["medium", "moderate", "yellow", "suspicious", "medium risk", "warn", "warning"]),
    ("high", &["high", "bad", "red", "high risk", "very high", "risky", "negative", "spam"]),
    ("block", &["block", "blocked", "critical", "severe", "blacklist", "blacklisted", "extreme", "malicious"]),
];

const CATEGORY: Words = &[
    ("fraud", &["fraud", "fraudulent", "phishing", "vishing", "irs scam", "impersonation"]),
    ("scam", &["scam", "scammer", "likely scam"]),
    ("telemarketing", &["telemarketing", "telemarketer", "sales", "marketing", "telesales"]),
    ("robocall", &["robocall", "robocaller", "robo", "auto dialer"]),
    ("survey", &["survey", "poll", "polling", "market research"]),
    ("debt", &["debt", "debt collector", "debt collection", "collections", "collection agency"]),
    ("political", &["political", "politics", "campaign"]),
    ("other", &["other", "nuisance", "spam", "unwanted", "prank", "harassment", "charity"]),
];

const ACTION: Words = &[
    ("allow", &["allow", "allowed", "pass", "permit", "accept", "continue"]),
    ("flag", &["flag", "warn", "label", "tag", "mark", "alert"]),
    ("challenge", &["challenge", "captcha", "screen", "screening", "review"]),
    ("block", &["block", "reject", "deny", "drop", "decline", "hangup"]),
];

const PORTED: Words = &[
    ("true", &["ported", "y", "yes", "true", "1", "p"]),
    ("false", &["not ported", "n", "no", "false", "0", "assumed not ported", "native"]),
];

const BOOL: Words = &[
    ("true", &["true", "t", "yes", "y", "on", "1", "enabled", "active"]),
    ("false", &["false", "f", "no", "n", "off", "0", "disabled", "inactive"]),
];

/// The scores that stand for words: the middle of what each means.
const LEVEL_SCORE: &[(&str, i64)] = &[("clean", 0), ("low", 25), ("medium", 50), ("high", 75), ("block", 100)];

/// States, districts and provinces of the North American plan's two largest countries.
#[rustfmt::skip]
pub(in crate::policy) const STATES: [(&str, &str); 64] = [
    ("AL", "alabama"), ("AK", "alaska"), ("AZ", "arizona"), ("AR", "arkansas"), ("CA", "california"),
    ("CO", "colorado"), ("CT", "connecticut"), ("DE", "delaware"), ("DC", "district of columbia"), ("FL", "florida"),
    ("GA", "georgia"), ("HI", "hawaii"), ("ID", "idaho"), ("IL", "illinois"), ("IN", "indiana"), ("IA", "iowa"),
    ("KS", "kansas"), ("KY", "kentucky"), ("LA", "louisiana"), ("ME", "maine"), ("MD", "maryland"),
    ("MA", "massachusetts"), ("MI", "michigan"), ("MN", "minnesota"), ("MS", "mississippi"), ("MO", "missouri"),
    ("MT", "montana"), ("NE", "nebraska"), ("NV", "nevada"), ("NH", "new hampshire"), ("NJ", "new jersey"),
    ("NM", "new mexico"), ("NY", "new york"), ("NC", "north carolina"), ("ND", "north dakota"), ("OH", "ohio"),
    ("OK", "oklahoma"), ("OR", "oregon"), ("PA", "pennsylvania"), ("RI", "rhode island"), ("SC", "south carolina"),
    ("SD", "south dakota"), ("TN", "tennessee"), ("TX", "texas"), ("UT", "utah"), ("VT", "vermont"),
    ("VA", "virginia"), ("WA", "washington"), ("WV", "west virginia"), ("WI", "wisconsin"), ("WY", "wyoming"),
    ("AB", "alberta"), ("BC", "british columbia"), ("MB", "manitoba"), ("NB", "new brunswick"),
    ("NL", "newfoundland and labrador"), ("NS", "nova scotia"), ("NT", "northwest territories"), ("NU", "nunavut"),
    ("ON", "ontario"), ("PE", "prince edward island"), ("QC", "quebec"), ("SK", "saskatchewan"), ("YT", "yukon"),
];

static SHIPPED: LazyLock<AHashMap<&'static str, ValueMap>> = LazyLock::new(|| {
    let words: [(&str, Words); 11] = [
        ("line_type", LINE_TYPE),
        ("jurisdiction", JURISDICTION),
        ("caller_type", CALLER_TYPE),
        ("presentation", PRESENTATION),
        ("name_status", NAME_STATUS),
        ("lec_type", LEC_TYPE),
        ("reachable", REACHABLE),
        ("level", LEVEL),
        ("category", CATEGORY),
        ("action", ACTION),
        ("state", &[]),
    ];
    let mut maps: AHashMap<&str, ValueMap> = words.into_iter().map(|(name, words)| (name, of_words(words))).collect();
    maps.insert("ported", of_booleans(PORTED));
    maps.insert("bool", of_booleans(BOOL));
    let scores = maps.entry("level_score").or_default();
    for (level, words) in LEVEL {
        let score = LEVEL_SCORE.iter().find(|(known, _)| known == level).map_or(0, |(_, score)| *score);
        words.iter().for_each(|word| scores.add_word(word, score.into()));
    }
    let states = maps.entry("state").or_default();
    for (code, name) in STATES {
        states.add_word(name, code.into());
        states.add_word(code, code.into());
    }
    maps
});

fn of_words(words: Words) -> ValueMap {
    let mut map = ValueMap::default();
    for (value, words) in words {
        words.iter().for_each(|word| map.add_word(word, Value::from(*value)));
    }
    map
}

fn of_booleans(words: Words) -> ValueMap {
    let mut map = ValueMap::default();
    for (value, words) in words {
        words.iter().for_each(|word| map.add_word(word, Value::from(*value == "true")));
    }
    map
}

/// The shipped map of this name.
pub(super) fn find(name: &str) -> Option<&'static ValueMap> {
    SHIPPED.get(name)
}

/// The names of the shipped maps, in order.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = SHIPPED.keys().copied().collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::super::{Maps, folded};
    use super::*;

    #[test]
    fn no_word_means_two_things_and_every_canonical_word_means_itself() {
        let all = [
            LINE_TYPE,
            JURISDICTION,
            CALLER_TYPE,
            PRESENTATION,
            NAME_STATUS,
            LEC_TYPE,
            REACHABLE,
            LEVEL,
            CATEGORY,
            ACTION,
        ];
        for words in all {
            let mut seen: Vec<String> =
                words.iter().flat_map(|(_, words)| words.iter().map(|word| folded(word))).collect();
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count, "{words:?}");
            for (canonical, _) in words {
                assert!(seen.contains(&folded(canonical)), "{canonical}");
            }
        }
    }

    #[test]
    fn states_scores_and_booleans() {
        let value = |map: &str, word: &str| Maps::default().value(map, word).unwrap();
        assert_eq!(value("state", "New York").as_str(), Some("NY"));
        assert_eq!(value("state", "co").as_str(), Some("CO"));
        assert_eq!(value("level_score", "Moderate").as_i64(), Some(50));
        assert!(value("bool", "Y").is_true() && !value("ported", "assumed_not_ported").is_true());
        assert!(names().contains(&"jurisdiction"));
    }
}
