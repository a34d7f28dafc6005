//! Plots as SVG text: bars with their spread, and points on logarithmic axes.

use std::fmt::Write as _;

use crate::stats::{Spread, exponent};

/// Colours of the series, in their order.
const COLOURS: [&str; 4] = ["#1b6ca8", "#6bb5e8", "#9a9a9a", "#d0d0d0"];
const WIDTH: f64 = 760.0;
const LABELS: f64 = 190.0;

/// One measured quantity and its value for each series that has one.
#[derive(Clone, Debug)]
pub struct Quantity {
    /// Its name with the unit.
    pub name: String,
    /// A value per series; a series may have none.
    pub values: Vec<Option<Spread>>,
}

/// Horizontal bars: a group for each quantity, on a scale of its own, with a line from the first to the third quartile.
pub fn bars(title: &str, series: &[&str], quantities: &[Quantity]) -> String {
    const ROW: f64 = 16.0;
    const GAP: f64 = 18.0;
    let mut body = String::new();
    let mut y = 64.0;
    for quantity in quantities {
        let largest = quantity
            .values
            .iter()
            .flatten()
            .map(|spread| spread.high.max(spread.median))
            .fold(0.0, f64::max);
        text(
            &mut body,
            LABELS - 10.0,
            y + 12.0,
            "end",
            12,
            &quantity.name,
        );
        for (value, colour) in quantity.values.iter().zip(COLOURS) {
            let Some(spread) = value else { continue };
            let scale = if largest > 0.0 {
                (WIDTH - LABELS - 120.0) / largest
            } else {
                0.0
            };
            let width = (spread.median * scale).max(1.0);
            let _ = writeln!(
                body,
                r#"<rect x="{LABELS}" y="{y:.1}" width="{width:.1}" height="{:.1}" fill="{colour}"/>"#,
                ROW - 3.0
            );
            let middle = y + (ROW - 3.0) / 2.0;
            let (low, high) = (LABELS + spread.low * scale, LABELS + spread.high * scale);
            let _ = writeln!(
                body,
                r##"<path d="M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v6M{high:.1} {:.1}v6" stroke="#222" fill="none"/>"##,
                middle - 3.0,
                middle - 3.0
            );
            text(
                &mut body,
                LABELS + (spread.high.max(spread.median) * scale).max(1.0) + 8.0,
                y + 11.0,
                "start",
                11,
                &short(spread.median),
            );
            y += ROW;
        }
        y += GAP;
    }
    let mut legend = String::new();
    let mut x = LABELS;
    for (name, colour) in series.iter().zip(COLOURS) {
        let _ = writeln!(
            legend,
            r#"<rect x="{x:.1}" y="38" width="12" height="12" fill="{colour}"/>"#
        );
        text(&mut legend, x + 17.0, 48.0, "start", 12, name);
        #[expect(clippy::cast_precision_loss, reason = "a short name")]
        let length = name.chars().count() as f64;
        x += 36.0 + 7.0 * length;
    }
    document(title, y, &(legend + &body))
}

/// A series of points: what it is called, and `(x, y)` for each.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Points on logarithmic axes, joined by lines; the legend tells each series' exponent.
pub fn log_log(title: &str, x_name: &str, y_name: &str, series: &[Series]) -> String {
    const TOP: f64 = 64.0;
    const BOTTOM: f64 = 360.0;
    const LEFT: f64 = 80.0;
    const RIGHT: f64 = WIDTH - 230.0;
    let all: Vec<(f64, f64)> = series
        .iter()
        .flat_map(|series| series.points.iter().copied())
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .collect();
    let range = |values: &dyn Fn(&(f64, f64)) -> f64| {
        let low = all.iter().map(values).fold(f64::INFINITY, f64::min);
        let high = all.iter().map(values).fold(0.0, f64::max);
        (low.log10().floor(), high.log10().ceil())
    };
    let mut body = String::new();
    if all.is_empty() {
        text(&mut body, LEFT, TOP, "start", 12, "nothing was measured");
        return document(title, TOP + 20.0, &body);
    }
    let ((x_low, x_high), (y_low, y_high)) = (range(&|point| point.0), range(&|point| point.1));
    let place = |value: f64, low: f64, high: f64, from: f64, to: f64| {
        from + (value.log10() - low) / (high - low).max(1.0) * (to - from)
    };
    let x_of = |x: f64| place(x, x_low, x_high, LEFT, RIGHT);
    let y_of = |y: f64| place(y, y_low, y_high, BOTTOM, TOP);
    let decades = |low: f64, high: f64| (low as i32)..=(high as i32);
    for decade in decades(x_low, x_high) {
        let x = x_of(10f64.powi(decade));
        let _ = writeln!(
            body,
            r##"<path d="M{x:.1} {TOP}V{BOTTOM}" stroke="#ddd"/>"##
        );
        text(
            &mut body,
            x,
            BOTTOM + 18.0,
            "middle",
            11,
            &short(10f64.powi(decade)),
        );
    }
    for decade in decades(y_low, y_high) {
        let y = y_of(10f64.powi(decade));
        let _ = writeln!(
            body,
            r##"<path d="M{LEFT} {y:.1}H{RIGHT}" stroke="#ddd"/>"##
        );
        text(
            &mut body,
            LEFT - 8.0,
            y + 4.0,
            "end",
            11,
            &short(10f64.powi(decade)),
        );
    }
    text(
        &mut body,
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 40.0,
        "middle",
        12,
        x_name,
    );
    text(&mut body, LEFT, TOP - 14.0, "start", 12, y_name);
    let mut legend_y = TOP + 10.0;
    for (series, colour) in series.iter().zip(COLOURS) {
        let mut path = String::new();
        for (x, y) in series.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0) {
            let (x, y) = (x_of(*x), y_of(*y));
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            let _ = writeln!(
                body,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#
            );
        }
        let _ = writeln!(
            body,
            r#"<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"/>"#
        );
        let name = match exponent(&series.points) {
            Some(exponent) => format!("{}: exponent {exponent:.2}", series.name),
            None => series.name.clone(),
        };
        let _ = writeln!(
            body,
            r#"<rect x="{:.1}" y="{:.1}" width="12" height="12" fill="{colour}"/>"#,
            RIGHT + 20.0,
            legend_y - 10.0
        );
        text(&mut body, RIGHT + 37.0, legend_y, "start", 12, &name);
        legend_y += 20.0;
    }
    document(title, BOTTOM + 54.0, &body)
}

fn document(title: &str, height: f64, body: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" font-family="sans-serif">"#
    );
    let _ = writeln!(out, r#"<rect width="100%" height="100%" fill="white"/>"#);
    text(&mut out, 20.0, 24.0, "start", 15, title);
    out.push_str(body);
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, size: u32, what: &str) {
    let what = what
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        out,
        r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="#222">{what}</text>"##
    );
}

/// A number with about three digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.1 => format!("{value:.3}"),
        size if size < 10.0 => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let shown = [0.0, 0.0123, 1.0, 1.5, 12.34, 1234.5].map(short);
        assert_eq!(shown, ["0", "0.012", "1", "1.5", "12.3", "1234"]);
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let spread = |median: f64| Spread::of(&[median]);
        let svg = bars(
            "P1 <",
            &["ours", "upstream"],
            &[Quantity {
                name: "seconds".to_owned(),
                values: vec![spread(1.0), spread(2.0)],
            }],
        );
        assert!(svg.contains("P1 &lt;"));
        assert!(
            svg.contains(r#"width="225.0""#) && svg.contains(r#"width="450.0""#),
            "{svg}"
        );
    }

    #[test]
    fn a_line_tells_its_exponent() {
        let series = Series {
            name: "ours".to_owned(),
            points: vec![(1_000.0, 0.1), (10_000.0, 1.0)],
        };
        let svg = log_log("P11", "pods", "seconds", &[series]);
        assert!(svg.contains("ours: exponent 1.00"), "{svg}");
        assert!(log_log("P11", "pods", "seconds", &[]).contains("nothing was measured"));
    }
}
