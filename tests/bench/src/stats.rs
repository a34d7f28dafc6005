//! Medians, spreads and exponents.

use serde::{Deserialize, Serialize};

/// The middle of several values and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The first quartile.
    pub low: f64,
    /// The third quartile.
    pub high: f64,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// Of these values, in any order; `None` where there are none. Quartiles lie between values where they must (linear
    /// interpolation).
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            low: quantile(&sorted, 0.25)?,
            high: quantile(&sorted, 0.75)?,
            count: sorted.len(),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a handful of values has small indices"
)]
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = part * last as f64;
    let below = place.floor();
    let first = *sorted.get(below as usize)?;
    let second = *sorted.get(place.ceil() as usize)?;
    Some(first + (second - first) * (place - below))
}

/// The exponent `e` for which `y = c · x^e` fits the points best: the slope of a least-squares line through their
/// logarithms. Points that have no logarithm are left out; `None` where fewer than two sizes are left.
pub fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of points")]
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let over: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (under > 0.0).then(|| over / under)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_five_and_of_four() {
        let five = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!((five.low, five.median, five.high), (2.0, 3.0, 4.0));
        let four = Spread::of(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((four.low, four.median, four.high), (1.75, 2.5, 3.25));
        assert_eq!(Spread::of(&[]), None);
        let one = Spread::of(&[7.0]).unwrap();
        assert_eq!((one.low, one.high, one.count), (7.0, 7.0, 1));
    }

    #[test]
    fn a_power_law_shows_its_exponent() {
        let square: Vec<(f64, f64)> = [1.0, 4.0, 20.0]
            .map(|x: f64| (x * 1000.0, 3.0 * x * x))
            .to_vec();
        assert!((exponent(&square).unwrap() - 2.0).abs() < 1e-9);
        let linear = [(1000.0, 0.5), (50_000.0, 25.0)];
        assert!((exponent(&linear).unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(exponent(&[(1000.0, 0.5), (1000.0, 0.7)]), None);
        assert_eq!(exponent(&[(1000.0, 0.0), (5000.0, 1.0)]), None);
    }
}
