//! The live picture: a table that is drawn over itself on a terminal, one line a second into a pipe.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::tally::{ASKED, Ending, Recent};
use super::vendors::Mode;

/// All that the picture shows, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the start.
    pub uptime: Duration,
    /// One row a lookup, in the order of [`ASKED`].
    pub rows: Vec<Row>,
    /// What is going on, in one sentence.
    pub narration: String,
}

/// A lookup at one moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its flag; `None` while it is not known.
    pub flag: Option<bool>,
    /// What its callers saw within the last second.
    pub recent: Recent,
    /// Its simulated upstreams and how they behave.
    pub upstreams: Vec<(&'static str, Mode)>,
}

/// Where the picture goes.
#[derive(Debug)]
pub struct Picture {
    terminal: bool,
    paint: Paint,
    /// Lines of the table that is on the terminal now.
    drawn: usize,
    /// The sentence that was last written into the pipe.
    told: String,
}

impl Picture {
    /// On standard output, whatever it is.
    pub fn on_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let color = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal, paint: Paint(color), drawn: 0, told: String::new() }
    }

    /// How often it is worth showing.
    pub fn interval(&self) -> Duration {
        if self.terminal { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    /// Shows a moment.
    ///
    /// # Errors
    /// When standard output is gone, as behind `| head`.
    pub fn show(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let text = if self.terminal { self.redrawn(snapshot) } else { self.told(snapshot) };
        write_out(&text)
    }

    /// Writes plain lines below whatever is there.
    ///
    /// # Errors
    /// As [`Picture::show`].
    pub fn print(&mut self, lines: &str) -> io::Result<()> {
        self.drawn = 0;
        write_out(&format!("{lines}\n"))
    }

    /// The table over the one before, and nothing of that below it. Wrapping is off while it is drawn: a wrapped line would be two, and the
    /// next table would start too low.
    fn redrawn(&mut self, snapshot: &Snapshot) -> String {
        let lines = table(snapshot, self.paint);
        let mut text = String::from("\x1b[?7l");
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn);
        }
        for line in &lines {
            let _ = write!(text, "\r\x1b[K{line}\r\n");
        }
        text.push_str("\x1b[J\x1b[?7h");
        self.drawn = lines.len();
        text
    }

    fn told(&mut self, snapshot: &Snapshot) -> String {
        let mut text = String::new();
        if self.told != snapshot.narration {
            self.told.clone_from(&snapshot.narration);
            let _ = writeln!(text, "-- {}", snapshot.narration);
        }
        let _ = writeln!(text, "{}", line(snapshot));
        text
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    fn second_rank(self, text: &str) -> String {
        self.with("33", text)
    }

    fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn heading(self, text: &str) -> String {
        self.with("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

fn table(snapshot: &Snapshot, paint: Paint) -> Vec<String> {
    let heading = format!(
        "{:<11} {:>4} {:>6} {:>6} {:>6} {:>6} {:>6}  {:>4} {:>7} {:>5} {:>8} {:>4}  {}",
        "lookup",
        "flag",
        "asks/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "budget",
        "hit",
        "fetched",
        "stale",
        "fallback",
        "none",
        "upstreams"
    );
    let mut lines = vec![String::new(), paint.heading(&heading)];
    lines.extend(ASKED.iter().zip(&snapshot.rows).map(|(asked, row)| {
        let late = row.recent.max > asked.budget + super::tally::GRACE;
        let max = format!("{:>6}", millis(row.recent.max));
        format!(
            "{:<11} {} {:>6} {:>6} {:>6} {} {:>6}  {}  {}",
            asked.lookup,
            flag(row.flag, paint),
            row.recent.counts.all(),
            millis(row.recent.p50),
            millis(row.recent.p99),
            if late { paint.bad(&max) } else { max },
            asked.budget.as_millis(),
            shares(&row.recent, paint),
            upstreams(row, paint),
        )
    }));
    for line in LEGEND {
        lines.push(paint.faint(line));
    }
    lines.push(String::new());
    // A sentence a line: two of them would be wider than most terminals.
    for (index, sentence) in snapshot.narration.split(". ").enumerate() {
        let clock = if index == 0 { format!("{} s", snapshot.uptime.as_secs()) } else { String::new() };
        lines.push(format!("{clock:>7}  {sentence}"));
    }
    lines
}

/// What a newcomer needs to read the table; no line longer than the table is wide.
const LEGEND: [&str; 2] = [
    "flag 1: a routing script asks. hit: from the cache. stale: an old answer while the upstreams are ill.",
    "fallback: the policy's own record. none: the call goes on without, in time.",
];

fn flag(flag: Option<bool>, paint: Paint) -> String {
    match flag {
        Some(true) => paint.good("   1"),
        Some(false) => paint.bad("   0"),
        None => "   ?".to_owned(),
    }
}

fn shares(recent: &Recent, paint: Paint) -> String {
    let counts = &recent.counts;
    let cell = |ending, width: usize| format!("{:>width$}", format!("{:.0}%", counts.percent(counts.of(ending))));
    let second_rank = |ending, width| {
        let cell = cell(ending, width);
        if counts.of(ending) > 0 { paint.second_rank(&cell) } else { cell }
    };
    let lacking = counts.of(Ending::Without) + counts.of(Ending::Lost);
    let none = format!("{:>4}", format!("{:.0}%", counts.percent(lacking)));
    [
        cell(Ending::Hit, 4),
        cell(Ending::Fetched, 7),
        second_rank(Ending::Stale, 5),
        second_rank(Ending::Fallback, 8),
        if lacking > 0 { paint.bad(&none) } else { none },
    ]
    .join(" ")
}

fn upstreams(row: &Row, paint: Paint) -> String {
    if row.upstreams.is_empty() {
        return "SQLite".to_owned();
    }
    let words = row.upstreams.iter().map(|(name, mode)| {
        let name = name.strip_prefix("vendor-").unwrap_or(name);
        match mode {
            Mode::Ok => format!("{name} ok"),
            ill => paint.bad(&format!("{name} {}", ill.as_str().to_uppercase())),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The whole picture in one line.
fn line(snapshot: &Snapshot) -> String {
    let mut text = format!("{:>4} s ", snapshot.uptime.as_secs());
    for (asked, row) in ASKED.iter().zip(&snapshot.rows) {
        let counts = &row.recent.counts;
        let flag = row.flag.map_or('?', |up| if up { '1' } else { '0' });
        let _ = write!(text, " {}={flag} {}/s p99 {} ms", asked.lookup, counts.all(), millis(row.recent.p99));
        for (word, ending) in [
            ("hit", Ending::Hit),
            ("stale", Ending::Stale),
            ("fallback", Ending::Fallback),
            ("without", Ending::Without),
            ("lost", Ending::Lost),
        ] {
            if counts.of(ending) > 0 {
                let _ = write!(text, " {word} {:.0}%", counts.percent(counts.of(ending)));
            }
        }
        text.push(';');
    }
    text.pop();
    text
}

/// Milliseconds, with as many digits as mean something.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1_000.0;
    if millis < 10.0 { format!("{millis:.2}") } else { format!("{millis:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::now;
    use crate::demo::tally::Tally;

    fn snapshot() -> Snapshot {
        let tally = Tally::default();
        let at = now();
        for _ in 0..3 {
            tally.enter(at, 2, Duration::from_micros(210), Ending::Stale);
        }
        tally.enter(at, 2, Duration::from_millis(120), Ending::Without);
        let rows = tally.recent(at).into_iter().enumerate().map(|(index, recent)| Row {
            flag: Some(index != 2),
            recent,
            upstreams: if index == 2 { vec![("vendor-a", Mode::Hang), ("vendor-b", Mode::Ok)] } else { Vec::new() },
        });
        Snapshot {
            uptime: Duration::from_secs(12),
            rows: rows.collect(),
            narration: "cnam is ill. Calls go on".to_owned(),
        }
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let lines = table(&snapshot(), Paint(false));
        let cnam = lines.iter().find(|line| line.starts_with("cnam")).unwrap();
        for (heading, value) in
            [("flag", "0"), ("asks/s", "4"), ("max ms", "120.0"), ("budget", "80"), ("stale", "75%"), ("none", "25%")]
        {
            let end = lines[1].find(heading).unwrap() + heading.len();
            assert!(cnam[..end].ends_with(&format!(" {value}")), "{heading}: {cnam}");
        }
        assert!(cnam.ends_with("a HANG, b ok"), "{cnam}");
        assert!(lines.iter().all(|line| line.len() <= 104), "{lines:#?}");
        assert!(lines.ends_with(&["   12 s  cnam is ill".to_owned(), "         Calls go on".to_owned()]), "{lines:#?}");
    }

    #[test]
    fn colour_changes_no_column() {
        let strip = |line: &str| {
            let mut plain = String::new();
            let mut rest = line;
            while let Some((before, after)) = rest.split_once('\x1b') {
                plain.push_str(before);
                rest = after.split_once('m').unwrap().1;
            }
            plain + rest
        };
        let coloured: Vec<_> = table(&snapshot(), Paint(true)).iter().map(|line| strip(line)).collect();
        assert_eq!(coloured, table(&snapshot(), Paint(false)));
    }

    #[test]
    fn a_pipe_gets_plain_lines_and_each_sentence_once() {
        let mut picture = Picture { terminal: false, paint: Paint(false), drawn: 0, told: String::new() };
        let first = picture.told(&snapshot());
        assert!(first.starts_with("-- cnam is ill. Calls go on\n  12 s  account=1 0/s"), "{first}");
        assert!(first.contains("cnam=0 4/s p99 120.0 ms stale 75% without 25%;"), "{first}");
        let second = picture.told(&snapshot());
        assert_eq!(second.lines().count(), 1);
        assert!(!second.contains('\x1b'));
    }

    #[test]
    fn a_terminal_is_drawn_over() {
        let mut picture = Picture { terminal: true, paint: Paint(true), drawn: 0, told: String::new() };
        let lines = table(&snapshot(), Paint(true)).len();
        assert!(!picture.redrawn(&snapshot()).contains("A\r"));
        assert!(picture.redrawn(&snapshot()).starts_with(&format!("\x1b[?7l\x1b[{lines}A\r\x1b[K")));
    }
}
