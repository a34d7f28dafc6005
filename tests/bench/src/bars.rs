//! The bars that the race has to pass.

use crate::controllers::subject::Subject;
use crate::results::{Results, Run};
use crate::stats::exponent;

/// One bar and what was measured for it.
#[derive(Clone, Debug)]
pub struct Bar {
    /// The scenario: `P1` …
    pub id: &'static str,
    /// What is compared.
    pub what: &'static str,
    /// What was measured; `None` where it was not.
    pub found: Option<f64>,
    /// The bar.
    pub limit: Limit,
    /// What we aim at, where it is less than the bar.
    pub aim: Option<f64>,
}

/// On which side of a bar it is passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bar {
    /// Whether it is passed; `None` where nothing was measured.
    pub fn passed(&self) -> Option<bool> {
        self.found.map(|found| match self.limit {
            Limit::AtMost(most) => found <= most,
            Limit::AtLeast(least) => found >= least,
        })
    }

    /// The bar in words.
    pub fn wanted(&self) -> String {
        let bar = match self.limit {
            Limit::AtMost(most) => format!("≤ {most}"),
            Limit::AtLeast(least) => format!("≥ {least}"),
        };
        match self.aim {
            Some(aim) => format!("{bar} (aim {aim})"),
            None => bar,
        }
    }

    /// What was measured, in words.
    pub fn shown(&self) -> String {
        self.found
            .map_or_else(|| "not measured".to_owned(), |found| format!("{found:.2}"))
    }
}

/// Every bar, with what these results say about it. Ratios are the median over the pairs.
pub fn bars(results: &Results) -> Vec<Bar> {
    let ratio = |scenario, figure| {
        results
            .ratio(scenario, Subject::Native, Subject::Upstream, figure)
            .map(|spread| spread.median)
    };
    let twin = |scenario, figure| {
        results
            .ratio(scenario, Subject::Crd, Subject::Native, figure)
            .map(|spread| spread.median)
    };
    let median = |scenario, figure| {
        results
            .spread(scenario, Subject::Native, figure)
            .map(|spread| spread.median)
    };
    let bar = |id, what, found, most, aim| Bar {
        id,
        what,
        found,
        limit: Limit::AtMost(most),
        aim,
    };
    let image = (results.about.image_bytes > 0).then(|| {
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
        let bytes = results.about.image_bytes as f64;
        bytes / 1e6
    });
    let least = |id, what, found, least| Bar {
        id,
        what,
        found,
        limit: Limit::AtLeast(least),
        aim: None,
    };
    vec![
        bar(
            "P9",
            "RSS with all pods cached, × upstream",
            ratio("P8", "rss_mb"),
            0.30,
            Some(0.15),
        ),
        least(
            "P1",
            "pods a second, × the raw client",
            median("P1", "of_raw"),
            0.95,
        ),
        least(
            "P1",
            "pods a second, × upstream",
            ratio("P1", "pods_per_s"),
            1.0,
        ),
        bar(
            "P1",
            "controller CPU, × upstream",
            ratio("P1", "controller_cpu_s"),
            0.6,
            Some(0.5),
        ),
        bar(
            "P3",
            "writes per pod",
            median("P3", "writes_per_pod"),
            3.2,
            Some(3.0),
        ),
        bar(
            "P3",
            "conflicts of our own making",
            most_of_ours(results, "P3", "conflicts"),
            0.0,
            None,
        ),
        bar(
            "P3",
            "time of the update, × upstream",
            ratio("P3", "update.wall_s"),
            0.8,
            Some(0.6),
        ),
        bar(
            "P2",
            "writes per pod",
            median("P2", "writes_per_pod"),
            1.25,
            Some(1.1),
        ),
        bar(
            "P2",
            "time, × upstream",
            ratio("P2", "create.wall_s"),
            0.9,
            Some(0.8),
        ),
        bar(
            "P8",
            "time to the first correct write, × upstream",
            ratio("P8", "start.wall_s"),
            1.0,
            Some(0.8),
        ),
        bar(
            "P8",
            "API server CPU, × upstream",
            ratio("P8", "apiserver_cpu_s"),
            1.0,
            Some(0.8),
        ),
        bar(
            "P10",
            "writes",
            most_of_ours(results, "P10", "writes"),
            0.0,
            None,
        ),
        bar(
            "P10",
            "controller CPU, × upstream",
            ratio("P10", "controller_cpu_s"),
            0.5,
            None,
        ),
        bar(
            "P10",
            "growth of RSS, part of it",
            growth(results),
            0.02,
            None,
        ),
        bar(
            "P11",
            "exponent of CPU",
            growth_exponent(results, "controller_cpu_s"),
            1.1,
            None,
        ),
        bar(
            "P11",
            "exponent of writes",
            growth_exponent(results, "writes"),
            1.1,
            None,
        ),
        bar(
            "P12",
            "time to take over, × upstream",
            ratio("P12", "takeover_s"),
            0.5,
            Some(0.3),
        ),
        bar(
            "P12",
            "surplus pods",
            most_of_ours(results, "P12", "surplus"),
            0.0,
            None,
        ),
        bar(
            "P13",
            "P1 to the last pod, our kinds × built-in",
            twin("P1", "up.wall_s"),
            1.2,
            Some(1.1),
        ),
        bar(
            "P13",
            "P3 update, our kinds × built-in",
            twin("P3", "update.wall_s"),
            1.2,
            Some(1.1),
        ),
        bar("image", "MB", image, 15.0, None),
        bar(
            "start",
            "seconds to leading",
            median("start", "leading_s"),
            1.0,
            None,
        ),
    ]
}

/// The largest value in any run of ours, native or not.
fn most_of_ours(results: &Results, scenario: &str, figure: &str) -> Option<f64> {
    [Subject::Native, Subject::Crd]
        .into_iter()
        .flat_map(|subject| results.runs_of(scenario, subject))
        .filter_map(|run| run.figure(figure))
        .reduce(f64::max)
}

/// How much RSS grew from the end of P10's first window to that of its last, as a part of it. A shrinking is no growth.
fn growth(results: &Results) -> Option<f64> {
    let last = results
        .runs_of("P10", Subject::Native)
        .filter(|run| run.figures.contains_key("rss_growth_mb"))
        .last()?;
    Some((last.figure("rss_growth_mb")? / last.figure("rss_mb")?).max(0.0))
}

/// The exponent with which a figure of ours grows with the number of pods.
pub fn growth_exponent(results: &Results, figure: &str) -> Option<f64> {
    exponent(&points(results, Subject::Native, figure))
}

/// Pods and a figure, for each run of P11.
pub fn points(results: &Results, subject: Subject, figure: &str) -> Vec<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "thousands of pods")]
    let point = |run: &Run| Some((run.pods as f64, run.figure(figure)?));
    results.runs_of("P11", subject).filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_passed_on_its_own_side() {
        let mut bar = Bar {
            id: "P1",
            what: "pods a second",
            found: Some(1.2),
            limit: Limit::AtLeast(1.0),
            aim: None,
        };
        assert_eq!(bar.passed(), Some(true));
        bar.limit = Limit::AtMost(1.0);
        assert_eq!(bar.passed(), Some(false));
        bar.found = None;
        assert_eq!((bar.passed(), bar.shown().as_str()), (None, "not measured"));
        bar.aim = Some(0.5);
        assert_eq!(bar.wanted(), "≤ 1 (aim 0.5)");
    }
}
