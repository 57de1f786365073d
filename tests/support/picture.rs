//! Curves of how long calls took, as an SVG that a page can show in light and in dark.

use std::fmt::Write;
use std::time::Duration;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
/// Room for the axes: left, top, right, bottom.
const ROOM: [f64; 4] = [70.0, 30.0, 20.0, 55.0];
/// The times that the scale reaches from and to, in milliseconds.
const LEAST: f64 = 0.1;
const MOST: f64 = 100_000.0;

/// One run.
pub struct Curve {
    pub name: &'static str,
    pub colour: &'static str,
    /// When each call was sent, and how long it took; `None` for one that was lost.
    pub calls: Vec<(Duration, Option<Duration>)>,
}

/// The picture; the vendor hangs `from` here `to` there.
pub fn draw(curves: &[Curve], from: Duration, to: Duration) -> String {
    let end =
        curves.iter().flat_map(|curve| &curve.calls).map(|(sent, _)| sent.as_secs_f64()).fold(1.0, f64::max).ceil();
    let x = |seconds: f64| ROOM[0] + seconds / end * (WIDTH - ROOM[0] - ROOM[2]);
    let y = |ms: f64| {
        let share = (ms.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
        HEIGHT - ROOM[3] - share * (HEIGHT - ROOM[1] - ROOM[3])
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#777\">\n\
         <title>How long each call waited for its reply while the CNAM vendor hung</title>\n"
    );
    let (left, right) = (x(from.as_secs_f64()), x(to.as_secs_f64()));
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#999\" opacity=\"0.15\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">the vendor hangs</text>",
        ROOM[1],
        right - left,
        HEIGHT - ROOM[1] - ROOM[3],
        (left + right) / 2.0,
        ROOM[1] - 8.0
    );
    for (ms, label) in
        [(0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1e3, "1 s"), (1e4, "10 s"), (1e5, "lost")]
    {
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"#999\" stroke-width=\"0.5\" opacity=\"0.5\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            ROOM[0],
            WIDTH - ROOM[2],
            ROOM[0] - 8.0,
            y(ms) + 4.0,
            y = y(ms)
        );
    }
    for second in (0..=end as u32).step_by(5) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
            x(second.into()),
            HEIGHT - ROOM[3] + 18.0
        );
    }
    for (place, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        for (sent, took) in &curve.calls {
            let ms = took.map_or(MOST, |took| took.as_secs_f64() * 1000.0);
            // A dot is a line of no length with round ends.
            let _ = write!(path, "M{:.1} {:.1}h0", x(sent.as_secs_f64()), y(ms));
        }
        let lost = curve.calls.iter().filter(|(_, took)| took.is_none()).count();
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" stroke=\"{0}\" stroke-width=\"2.5\" stroke-linecap=\"round\" fill=\"none\"/>\n\
             <text x=\"{1:.1}\" y=\"{2:.1}\" fill=\"{0}\">{3}: {4} calls, {lost} lost</text>",
            curve.colour,
            ROOM[0] + 330.0 * place as f64,
            HEIGHT - 12.0,
            curve.name,
            curve.calls.len()
        );
    }
    svg + "</svg>\n"
}
