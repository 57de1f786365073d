//! From what is typed to what is run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dipcache::demo::vendors::{Mode, Order};
use indexmap::IndexMap;
use serde_spanned::Spanned;
use toml::{Table, Value};

use super::file::{BudgetFile, KeysFile, LoadFile, ScenarioFile};
use super::place::{Fault, Faults, of_file};
use super::promise::{Promise, When, duration};
use super::{Act, Event, Front, Plan, Scenario, Turn};
use crate::load::keys::Keys;
use crate::load::pace::Pace;
use crate::load::turns::Turns;
use crate::report::metric;
use crate::stage::{Needed, merge};
use crate::vendor::{Conduct, Protocol};

/// The first of the keys that are new, by load: far from those that are asked for again.
const NEW_KEYS: u64 = 5_000_000;

/// Keys that are asked for again, at most.
const MOST_KEYS: u64 = 5_000_000;

/// Loads, at most: there are so many keys.
const MOST_LOADS: usize = 14;

/// How long a caller waits at most, where nothing is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connections of a load, where nothing is said.
const CONNECTIONS: usize = 64;

/// Connections of a load, at most: the proxy opens as many, and a process has 20,000 files on a usual system.
const MOST_CONNECTIONS: usize = 12_000;

/// A turn is at least so long.
const SHORTEST_TURN: Duration = Duration::from_millis(100);

/// Callers in a run, at most, over a load.
const MOST_CALLERS: u64 = 5_000_000;

pub(super) fn read(path: &Path) -> Result<Scenario, Vec<Fault>> {
    let text = fs::read_to_string(path).map_err(|error| vec![of_file(path, error)])?;
    let mut faults = Faults { file: path, text: &text, found: Vec::new() };
    let file: ScenarioFile = match toml::from_str(&text) {
        Ok(file) => file,
        Err(error) => {
            faults.toml(&error);
            return Err(faults.found);
        }
    };
    let scenario = checked(file, &mut faults);
    if faults.found.is_empty() { Ok(scenario) } else { Err(faults.found) }
}

fn checked(file: ScenarioFile, faults: &mut Faults<'_>) -> Scenario {
    let time = span(&file.time, faults);
    let mut policies = IndexMap::new();
    for (lookup, over) in file.policy {
        let name = lookup.get_ref();
        match policy(faults.file, name) {
            Ok(mut policy) => {
                merge(&mut policy, over);
                policies.insert(name.clone(), policy);
            }
            Err(why) => faults.at(lookup.span(), why),
        }
    }
    let mut vendors = cast(&policies);
    for (name, order) in file.vendor {
        match (vendors.get_mut(name.get_ref()), self::order(&order)) {
            (Some((_, conduct)), Ok(order)) => *conduct = conduct.after(order),
            (None, _) => faults.at(name.span(), no_vendor(name.get_ref(), &vendors)),
            (_, Err(why)) => faults.at(order.span(), why),
        }
    }
    let loads: Vec<Plan> =
        file.load.iter().enumerate().map(|(n, load)| plan(n, load, time, &vendors, &policies, faults)).collect();
    if let Some(more) = file.load.get(MOST_LOADS) {
        faults.at(more.span(), format!("there are at most {MOST_LOADS} loads"));
    }
    let timeline =
        file.fault.iter().flat_map(|fault| events(fault, &vendors, &policies, &file.needs, faults)).collect();
    let promises = file.promises.iter().filter_map(|text| promise(text, &loads, &vendors, faults)).collect();
    let name = faults.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Scenario {
        name,
        tells: file.tells,
        time,
        needs: file.needs,
        config: file.proxy,
        policies,
        vendors,
        loads,
        timeline,
        promises,
    }
}

/// The policy of this name beside the scenario.
fn policy(scenario: &Path, lookup: &str) -> Result<Table, String> {
    let path = scenario.parent().unwrap_or(Path::new(".")).join("policies").join(format!("{lookup}.toml"));
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The vendors that these policies name.
fn cast(policies: &IndexMap<String, Table>) -> IndexMap<String, (Protocol, Conduct)> {
    let mut vendors = IndexMap::new();
    for (lookup, policy) in policies {
        for upstream in policy.get("upstream").and_then(Value::as_array).into_iter().flatten() {
            let word = |key| upstream.get(key).and_then(Value::as_str);
            let protocol = match word("type") {
                Some("http") => Protocol::Http,
                Some("dns") => Protocol::Dns,
                _ => continue,
            };
            let conduct = Conduct { mode: Mode::Ok, latency: Duration::ZERO };
            vendors.insert(format!("{lookup}/{}", word("name").unwrap_or_default()), (protocol, conduct));
        }
    }
    vendors
}

fn plan(
    n: usize,
    load: &Spanned<LoadFile>,
    time: Duration,
    vendors: &IndexMap<String, (Protocol, Conduct)>,
    policies: &IndexMap<String, Table>,
    faults: &mut Faults<'_>,
) -> Plan {
    let (place, load) = (load.span(), load.get_ref());
    let front = match load.front.get_ref().as_str() {
        "http" => Front::Http,
        "memcached" => Front::Memcached,
        "dns" => Front::Dns,
        vendor if vendors.contains_key(vendor) => Front::Vendor(vendor.to_owned()),
        other => {
            faults.at(
                load.front.span(),
                format!("`{other}` is neither http, memcached, dns nor a vendor such as lrn/vendor-a"),
            );
            Front::Http
        }
    };
    let lookup = load.lookup.as_ref().map(|lookup| {
        if !policies.contains_key(lookup.get_ref()) {
            faults.at(
                lookup.span(),
                format!("there is no [policy.{0}]; an empty one takes policies/{0}.toml as it is", lookup.get_ref()),
            );
        }
        lookup.get_ref().clone()
    });
    if lookup.is_none() && matches!(front, Front::Http | Front::Memcached) {
        faults.at(place.clone(), "it asks for no lookup: `lookup = \"lrn\"`");
    }
    let or = |text: &Option<Spanned<String>>, usual, faults: &mut Faults<'_>| {
        text.as_ref().map_or(usual, |text| span(text, faults))
    };
    let (from, to) = (or(&load.from, Duration::ZERO, faults), or(&load.to, time, faults));
    if from >= to || to > time {
        faults.at(place.clone(), "it must begin before it ends, and end within the scenario's `time`");
    }
    let pace = pace(load, &place, faults);
    if pace.callers_in(to.saturating_sub(from)) > MOST_CALLERS {
        faults.at(place, format!("these are more than {MOST_CALLERS} callers"));
    }
    let turns = load.turns.as_ref().map(|turns| Turns(span(turns, faults).max(SHORTEST_TURN)));
    let keys = keys(n, load, pace, faults);
    let fill = match keys {
        Keys::Zipf { of, .. } if load.fill => Some(of),
        _ => None,
    };
    let connections = load.connections.as_ref().map_or(CONNECTIONS, |wanted| {
        if !(1..=MOST_CONNECTIONS).contains(wanted.get_ref()) {
            faults.at(wanted.span(), format!("connections are from 1 to {MOST_CONNECTIONS}"));
        }
        *wanted.get_ref()
    });
    Plan {
        name: load.name.clone(),
        front,
        lookup: lookup.unwrap_or_default(),
        pace,
        turns,
        keys,
        fill,
        budget_ms: budget(load.budget_ms.as_ref(), faults),
        connections,
        from,
        to,
        patience: or(&load.patience, PATIENCE, faults),
    }
}

fn pace(load: &LoadFile, place: &std::ops::Range<usize>, faults: &mut Faults<'_>) -> Pace {
    match (&load.rate, &load.burst, &load.every) {
        (Some(rate), None, None) if (0.1..=1e6).contains(rate.get_ref()) => Pace::Steady { a_second: *rate.get_ref() },
        (None, Some(of), Some(every)) if (1..=1_000_000).contains(of.get_ref()) => {
            Pace::Bursts { of: *of.get_ref(), every: span(every, faults).max(Duration::from_millis(1)) }
        }
        _ => {
            faults.at(place.clone(), "when do they come? `rate = 1000` a second, or `burst = 30` and `every = \"1s\"`");
            Pace::Steady { a_second: 1.0 }
        }
    }
}

fn keys(n: usize, load: &LoadFile, pace: Pace, faults: &mut Faults<'_>) -> Keys {
    let from = NEW_KEYS * (n as u64 + 1);
    match (load.keys.get_ref(), pace) {
        (KeysFile::Of(of), _) if *of > 0 && *of <= MOST_KEYS && load.zipf.is_none_or(|s| (0.0..=3.0).contains(&s)) => {
            Keys::Zipf { of: *of, exponent: load.zipf.unwrap_or(0.0) }
        }
        (KeysFile::Word(word), _) if word == "new" => Keys::InTurn { from },
        (KeysFile::Word(word), Pace::Bursts { of, .. }) if word == "new each burst" => Keys::EachBurst { from, of },
        _ => {
            let what = "keys are a number up to 5,000,000 (with `zipf` from 0 to 3), \"new\", or with `burst` \"new each burst\"";
            faults.at(load.keys.span(), what);
            Keys::InTurn { from }
        }
    }
}

fn budget(typed: Option<&Spanned<BudgetFile>>, faults: &mut Faults<'_>) -> (u16, u16) {
    let Some(typed) = typed else { return (0, 0) };
    match *typed.get_ref() {
        BudgetFile::One(one) => (one, one),
        BudgetFile::Between(least, most) if least <= most => (least, most),
        BudgetFile::Between(..) => {
            faults.at(typed.span(), "the least comes first: [5, 100]");
            (0, 0)
        }
    }
}

fn events(
    fault: &Spanned<IndexMap<Spanned<String>, Spanned<Value>>>,
    vendors: &IndexMap<String, (Protocol, Conduct)>,
    policies: &IndexMap<String, Table>,
    needs: &[Needed],
    faults: &mut Faults<'_>,
) -> Vec<Event> {
    let at = fault.get_ref().iter().find(|(key, _)| key.get_ref() == "at").and_then(|(_, at)| at.get_ref().as_str());
    let at = match at.map(duration) {
        Some(Ok(at)) => at,
        Some(Err(why)) => {
            faults.at(fault.span(), why);
            return Vec::new();
        }
        None => {
            faults.at(fault.span(), "when? `at = \"10s\"`");
            return Vec::new();
        }
    };
    let happens = fault.get_ref().iter().filter(|(key, _)| key.get_ref() != "at");
    let events = happens.filter_map(|(target, value)| match act(target.get_ref(), value, vendors, policies, needs) {
        Ok(act) => Some(Event { at, told: told(target.get_ref(), value.get_ref()), act }),
        Err(why) => {
            faults.at(target.span(), why);
            None
        }
    });
    events.collect()
}

fn act(
    target: &str,
    value: &Spanned<Value>,
    vendors: &IndexMap<String, (Protocol, Conduct)>,
    policies: &IndexMap<String, Table>,
    needs: &[Needed],
) -> Result<Act, String> {
    let server = match target {
        "memcached" => Some(Needed::Memcached),
        "kafka" => Some(Needed::Kafka),
        _ => None,
    };
    if let Some(server) = server {
        if !needs.contains(&server) {
            return Err(format!("{target} does not take part: `needs = [\"{target}\"]`"));
        }
        return match value.get_ref().as_str() {
            Some("stop") => Ok(Act::Server(server, Turn::Stop)),
            Some("pause") => Ok(Act::Server(server, Turn::Pause)),
            Some("start") => Ok(Act::Server(server, Turn::Start)),
            _ => Err("a server can stop, pause and start".to_owned()),
        };
    }
    if let Some(lookup) = target.strip_prefix("cache/") {
        return match value.get_ref().as_str() {
            Some("flush") if policies.contains_key(lookup) => Ok(Act::Flush(lookup.to_owned())),
            Some("flush") => Err(format!("there is no lookup {lookup}")),
            _ => Err("a cache can flush".to_owned()),
        };
    }
    if !vendors.contains_key(target) {
        return Err(no_vendor(target, vendors));
    }
    Ok(Act::Vendor(target.to_owned(), order(value)?))
}

/// An order in the demo's words: `"hang"`, or `{ mode = "ok", latency_ms = 5 }`.
fn order(value: &Spanned<Value>) -> Result<Order, String> {
    let json = match value.get_ref() {
        Value::String(mode) => serde_json::json!({ "mode": mode }),
        value => serde_json::to_value(value).map_err(|error| error.to_string())?,
    };
    Order::parse(json.to_string().as_bytes()).map_err(|error| error.to_string())
}

fn told(target: &str, value: &Value) -> String {
    let short = |table: &Table| {
        let parts = table.iter().map(|(key, value)| match (key.as_str(), value) {
            ("latency_ms", Value::Integer(ms)) => format!("{ms} ms"),
            (_, Value::String(word)) => word.clone(),
            (key, value) => format!("{key} {value}"),
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::String(word) => format!("{target} {word}"),
        Value::Table(table) => format!("{target} {}", short(table)),
        other => format!("{target} {other}"),
    }
}

fn promise(
    text: &Spanned<String>,
    loads: &[Plan],
    vendors: &IndexMap<String, (Protocol, Conduct)>,
    faults: &mut Faults<'_>,
) -> Option<Promise> {
    let promise = match Promise::parse(text.get_ref()) {
        Ok(promise) => promise,
        Err(why) => {
            faults.at(text.span(), why);
            return None;
        }
    };
    for measure in promise.measures() {
        let known = match measure.of.as_str() {
            "proxy" => metric::PROXY,
            of if vendors.contains_key(of) => metric::VENDOR,
            of if loads.iter().any(|load| load.name == of) => metric::LOAD,
            of => {
                faults.at(text.span(), format!("`{of}` is neither a load, a vendor nor `proxy`"));
                return None;
            }
        };
        if let When::Turns { of, .. } = &measure.when
            && !loads.iter().any(|load| load.name == *of && load.turns.is_some())
        {
            faults.at(text.span(), format!("`{of}` is no load that comes in turns: `turns = \"2s\"`"));
            return None;
        }
        if !known.contains(&measure.metric.as_str()) {
            let known = known.join(", ");
            faults.at(text.span(), format!("`{}` has no `{}`; it has {known}", measure.of, measure.metric));
            return None;
        }
    }
    Some(promise)
}

fn span(text: &Spanned<String>, faults: &mut Faults<'_>) -> Duration {
    duration(text.get_ref()).unwrap_or_else(|why| {
        faults.at(text.span(), why);
        Duration::from_secs(1)
    })
}

fn no_vendor(name: &str, vendors: &IndexMap<String, (Protocol, Conduct)>) -> String {
    let known: Vec<&str> = vendors.keys().map(String::as_str).collect();
    format!("there is no vendor {name}; there are {}. Others: cache/<lookup>, memcached, kafka", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scenario of this text beside the shipped policies.
    fn read_text(text: &str) -> Result<Scenario, String> {
        let folder = tempfile::tempdir().unwrap();
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/policies");
        std::os::unix::fs::symlink(policies, folder.path().join("policies")).unwrap();
        let file = folder.path().join("s.toml");
        fs::write(&file, text).unwrap();
        read(&file).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            lines.join("\n").replace(&format!("{}/", folder.path().display()), "")
        })
    }

    const WELL: &str = r#"tells = "t"
time = "10s"
promises = ["callers.p99_ms <= 55"]
[policy.lrn]
[[load]]
name = "callers"
front = "http"
lookup = "lrn"
rate = 100
keys = 10
[[fault]]
at = "5s"
"lrn/vendor-a" = { mode = "ok", latency_ms = 5 }
"#;

    #[test]
    fn the_shipped_scenarios_are_without_fault() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let scenarios: Vec<_> = files.iter().filter(|file| file.extension().is_some_and(|e| e == "toml")).collect();
        assert!(scenarios.len() >= 9);
        for file in scenarios {
            let scenario = read(file).unwrap_or_else(|faults| panic!("{}", faults[0]));
            assert!(!scenario.promises.is_empty(), "{} promises nothing", scenario.name);
        }
    }

    #[test]
    fn a_scenario_is_read_whole() {
        let scenario = read_text(WELL).unwrap();
        assert_eq!(scenario.vendors.keys().collect::<Vec<_>>(), ["lrn/vendor-a", "lrn/vendor-b"]);
        assert_eq!(scenario.timeline[0].told, "lrn/vendor-a ok, 5 ms");
        assert_eq!(scenario.loads[0].pace, Pace::Steady { a_second: 100.0 });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (from, to, told) in [
            ("rate = 100\n", "", "s.toml:5:1: when do they come?"),
            ("time = \"10s\"", "time = \"ten\"", "s.toml:2:8: `ten` is no time"),
            ("callers.p99_ms", "caller.p99_ms", "s.toml:3:13: `caller` is neither a load"),
            ("p99_ms <= 55", "p98_ms <= 55", "s.toml:3:13: `callers` has no `p98_ms`; it has asked, p50_ms"),
            ("policy.lrn", "policy.lnr", "s.toml:4:9: cannot read"),
            ("front = \"http\"", "front = \"sip\"", "s.toml:7:9: `sip` is neither http"),
            ("lookup = \"lrn\"", "lookup = \"cnam\"", "s.toml:8:10: there is no [policy.cnam]"),
            ("keys = 10", "keys = \"old\"", "s.toml:10:8: keys are a number"),
            (
                "vendor-a\"",
                "vendor-c\"",
                "s.toml:13:1: there is no vendor lrn/vendor-c; there are lrn/vendor-a, lrn/vendor-b",
            ),
            ("mode = \"ok\"", "mode = \"dead\"", "s.toml:13:1: there is no mode `dead`"),
            ("\"lrn/vendor-a\"", "kafka", "s.toml:13:1: kafka does not take part: `needs = [\"kafka\"]`"),
            ("at = \"5s\"", "", "s.toml:11:1: when? `at = \"10s\"`"),
            ("p99_ms <=", "p99_ms beside callers <=", "s.toml:3:13: `callers` is no load that comes in turns"),
            ("rate = 100", "rat = 100", "s.toml:9:1: unknown field `rat`"),
        ] {
            let text = WELL.replacen(from, to, 1);
            assert_ne!(text, WELL, "{from}");
            let said = read_text(&text).unwrap_err();
            assert!(said.contains(told), "{told}\n  was told as\n{said}");
        }
    }
}
