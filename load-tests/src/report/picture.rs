//! One picture of a run: how long callers took over time, what broke when, and what they got.
//!
//! Plain SVG with its colours in variables, so that it reads on white and on black alike.

use std::fmt::Write;
use std::time::Duration;

use super::slices::{Slice, slices, width};
use crate::load::sample::{Kind, Sample};
use crate::run::Run;
use crate::scenario::Front;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
/// Of the line of a fault's words.
const ROW: f64 = 16.0;
const LATENCY: f64 = 220.0;
const SHARES: f64 = 90.0;
const GAP: f64 = 34.0;

/// Milliseconds at the bottom and the top of the scale of latency.
const LEAST_MS: f64 = 0.05;
const MOST_MS: f64 = 2000.0;

/// Pixels that a character of a fault's words takes.
const CHARACTER: f64 = 6.4;

const STYLE: &str = "\
svg{--paper:#fff;--ink:#1f2937;--soft:#6b7280;--grid:#e5e7eb;--fault:#b91c1c;\
--l0:#1d4ed8;--l1:#c2410c;--l2:#047857;--l3:#7e22ce;\
--hit:#10b981;--fresh:#3b82f6;--stale:#fbbf24;--fallback:#f97316;--empty:#9ca3af;--shed:#a855f7;--failed:#dc2626;--wrong:#7f1d1d}\
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e5e7eb;--soft:#9ca3af;--grid:#30363d;--fault:#f87171;\
--l0:#60a5fa;--l1:#fb923c;--l2:#34d399;--l3:#c084fc;\
--hit:#059669;--fresh:#2563eb;--stale:#d97706;--fallback:#c2410c;--empty:#6b7280;--shed:#7e22ce;--failed:#ef4444;--wrong:#fca5a5}}\
text{font:12px system-ui,sans-serif;fill:var(--ink)}.soft{fill:var(--soft)}.title{font-size:15px;font-weight:600}\
.fault{fill:var(--fault)}line.fault{stroke:var(--fault);stroke-dasharray:3 3}.grid{stroke:var(--grid)}\
path{fill:none;stroke-width:1.8;stroke-linejoin:round}.p50{stroke-width:1.2;stroke-dasharray:1 2}";

/// The picture, as an SVG file.
pub fn picture(run: &Run) -> String {
    let frame = Frame::of(run);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{name}: {tells}\">\n\
         <style>{STYLE}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" style=\"fill:var(--paper)\"/>\n",
        height = frame.height(),
        name = escaped(&run.scenario.name),
        tells = escaped(&run.scenario.tells),
    );
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>", escaped(&run.scenario.tells));
    frame.axes(&mut svg);
    frame.shares(&mut svg, run);
    for (n, (name, samples)) in run.loads.iter().enumerate() {
        frame.latency(&mut svg, n, name, samples);
    }
    frame.faults(&mut svg);
    svg.push_str("</svg>\n");
    svg
}

/// Where things are.
struct Frame {
    time: Duration,
    /// Each fault: when, its words, and the row they stand in.
    faults: Vec<(f64, String, usize)>,
    top: f64,
}

impl Frame {
    fn of(run: &Run) -> Self {
        let time = run.scenario.time;
        let mut frame = Self { time, faults: Vec::new(), top: 0.0 };
        // Each into the first row where it does not run into the one before.
        let mut ends: Vec<f64> = Vec::new();
        let mut events: Vec<_> = run.scenario.timeline.iter().collect();
        events.sort_by_key(|event| event.at);
        for event in events {
            let x = frame.x(event.at.as_secs_f64());
            let length = event.told.chars().count() as f64 * CHARACTER + 10.0;
            let row = ends.iter().position(|end| *end <= x).unwrap_or(ends.len());
            ends.resize(ends.len().max(row + 1), 0.0);
            ends[row] = x + length;
            frame.faults.push((event.at.as_secs_f64(), event.told.clone(), row));
        }
        frame.top = 60.0 + ends.len() as f64 * ROW;
        frame
    }

    fn height(&self) -> f64 {
        self.top + LATENCY + GAP + SHARES + 30.0
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * second / self.time.as_secs_f64()
    }

    fn y(&self, ms: f64) -> f64 {
        let share = (ms.clamp(LEAST_MS, MOST_MS) / LEAST_MS).ln() / (MOST_MS / LEAST_MS).ln();
        self.top + LATENCY * (1.0 - share)
    }

    fn bottom(&self) -> f64 {
        self.top + LATENCY + GAP + SHARES
    }

    fn axes(&self, svg: &mut String) {
        let right = WIDTH - RIGHT;
        for (ms, label) in [(0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1000.0, "1 s")] {
            let y = self.y(ms);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        let seconds = self.time.as_secs_f64();
        let step =
            [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0].into_iter().find(|step| seconds / step <= 14.0).unwrap_or(300.0);
        for n in 0..=(seconds / step) as u32 {
            let second = f64::from(n) * step;
            let _ = writeln!(
                svg,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
                self.x(second),
                self.bottom() + 18.0
            );
        }
    }

    /// The p99 of a load, and dotted its median; its name stands above.
    fn latency(&self, svg: &mut String, n: usize, name: &str, samples: &[Sample]) {
        let slices = slices(samples.iter(), self.time);
        let colour = format!("var(--l{})", n % 4);
        for (class, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let path = self.path(&slices, quantile);
            let _ = writeln!(svg, "<path class=\"{class}\" style=\"stroke:{colour}\" d=\"{path}\"/>");
        }
        let x = LEFT + n as f64 * 210.0;
        let _ = writeln!(
            svg,
            "<path style=\"stroke:{colour}\" d=\"M{x} 40h18\"/><text x=\"{}\" y=\"44\">{} <tspan class=\"soft\">p99, dotted p50</tspan></text>",
            x + 24.0,
            escaped(name)
        );
    }

    fn path(&self, slices: &[Slice], quantile: f64) -> String {
        let mut path = String::new();
        let mut drawn = false;
        for slice in slices {
            match slice.quantile(quantile) {
                Some(ms) => {
                    let middle = slice.at + width(self.time).as_secs_f64() / 2.0;
                    let _ = write!(path, "{}{:.1} {:.1}", if drawn { 'L' } else { 'M' }, self.x(middle), self.y(ms));
                    drawn = true;
                }
                // Bursts leave most slices empty: their line goes on; a load that has ended has no more points.
                None => continue,
            }
        }
        path
    }

    /// What all callers of the proxy got, as shares of each slice.
    fn shares(&self, svg: &mut String, run: &Run) {
        let of_proxy = |name: &str| {
            run.scenario.loads.iter().any(|load| load.name == name && !matches!(load.front, Front::Vendor(_)))
        };
        let asked = run.loads.iter().filter(|(name, _)| of_proxy(name)).flat_map(|(_, samples)| samples);
        let slices = slices(asked, self.time);
        let (top, across) = (self.top + LATENCY + GAP, width(self.time).as_secs_f64());
        let mut seen = [0_u64; Kind::ALL.len()];
        for slice in &slices {
            let mut done = 0_u64;
            for (kind, count) in Kind::ALL.into_iter().zip(slice.kinds).filter(|(_, count)| *count > 0) {
                seen[kind as usize] += count;
                let y = top + SHARES * done as f64 / slice.asked() as f64;
                done += count;
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" style=\"fill:var(--{})\"/>",
                    self.x(slice.at),
                    self.x(across) - LEFT + 0.3,
                    SHARES * count as f64 / slice.asked() as f64,
                    kind.as_str()
                );
            }
        }
        let mut x = LEFT;
        for kind in Kind::ALL.into_iter().filter(|kind| seen[*kind as usize] > 0) {
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{:.1}\" width=\"10\" height=\"10\" style=\"fill:var(--{word})\"/><text x=\"{}\" y=\"{:.1}\">{word}</text>",
                top - 16.0,
                x + 15.0,
                top - 7.0,
                word = kind.as_str()
            );
            x += 80.0;
        }
    }

    fn faults(&self, svg: &mut String) {
        for (second, words, row) in &self.faults {
            let (x, y) = (self.x(*second), 62.0 + *row as f64 * ROW);
            let _ = writeln!(
                svg,
                "<line class=\"fault\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/><text class=\"fault\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 10.0,
                self.bottom(),
                x + 4.0,
                escaped(words)
            );
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
