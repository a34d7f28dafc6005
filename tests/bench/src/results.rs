//! What was measured, as it goes into `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::controllers::subject::Subject;
use crate::counters::Counts;
use crate::proc::Machine;
use crate::stats::Spread;

/// A measured stretch of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Phase {
    /// Seconds until what was asked for was there.
    pub wall_s: f64,
    /// Processor seconds of the controllers.
    pub controller_cpu_s: f64,
    /// Processor seconds of kube-apiserver.
    pub apiserver_cpu_s: f64,
    /// Processor seconds of etcd.
    pub etcd_cpu_s: f64,
    /// Requests of the controllers.
    pub counts: Counts,
}

/// Something that has to hold in a run, whatever the times are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// Whether it held.
    pub passed: bool,
    /// What was found instead, or besides.
    pub found: String,
}

/// One subject in one scenario, once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// `P1`, `P2` …
    pub scenario: String,
    /// Who ran.
    pub subject: Subject,
    /// How many pods the scenario had.
    pub pods: u64,
    /// Number of the pair, from 0.
    pub pair: usize,
    /// `false` if the machine changed its speed during the pair, which was then repeated.
    pub kept: bool,
    /// Load average before.
    pub load: f64,
    /// Its phases by name.
    pub phases: BTreeMap<String, Phase>,
    /// Single figures by name; the unit is the end of the name.
    pub figures: BTreeMap<String, f64>,
    /// What had to hold.
    pub checks: Vec<Check>,
}

impl Run {
    /// A figure by name: one of [`Run::figures`], or `phase.field` of a phase, or `field` summed over all phases. Fields:
    /// `wall_s`, `controller_cpu_s`, `apiserver_cpu_s`, `etcd_cpu_s`, `writes` (refused ones and events among them),
    /// `events`, `conflicts`, `throttled`, `reads`, and each of the counts with `_per_pod`.
    pub fn figure(&self, name: &str) -> Option<f64> {
        if let Some(figure) = self.figures.get(name) {
            return Some(*figure);
        }
        if let Some((phase, field)) = name.split_once('.') {
            return self.field(self.phases.get(phase)?, field);
        }
        let parts: Option<Vec<f64>> = self
            .phases
            .values()
            .map(|phase| self.field(phase, name))
            .collect();
        parts
            .filter(|parts| !parts.is_empty())
            .map(|parts| parts.iter().sum())
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn field(&self, phase: &Phase, field: &str) -> Option<f64> {
        let counts = &phase.counts;
        let (field, per_pod) = match field.strip_suffix("_per_pod") {
            Some(field) => (field, true),
            None => (field, false),
        };
        let value = match field {
            "wall_s" => phase.wall_s,
            "controller_cpu_s" => phase.controller_cpu_s,
            "apiserver_cpu_s" => phase.apiserver_cpu_s,
            "etcd_cpu_s" => phase.etcd_cpu_s,
            "writes" => counts.all_writes() as f64,
            "events" => counts.events as f64,
            "conflicts" => counts.refused_with(409) as f64,
            "throttled" => counts.refused_with(429) as f64,
            "reads" => counts.all_reads() as f64,
            _ => return None,
        };
        Some(if per_pod {
            value / (self.pods.max(1) as f64)
        } else {
            value
        })
    }
}

/// The raw client's speed at one moment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// How many pods it made; 0 in results of before this was written down.
    #[serde(default)]
    pub pods: u64,
    /// Pods a second.
    pub pods_per_s: f64,
    /// Processor seconds of kube-apiserver for each thousand pods.
    pub apiserver_cpu_s: f64,
}

/// What the race was run with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// The command line.
    pub command: String,
    /// When it began.
    pub began: String,
    /// How long it took, in minutes.
    pub minutes: f64,
    /// The commit of this repository, with `+` if files were changed.
    pub commit: String,
    /// The machine.
    pub machine: Machine,
    /// Pairs per scenario.
    pub pairs: usize,
    /// What the sizes were multiplied with.
    pub size_factor: f64,
    /// Size of our image in bytes; 0 if it was not given.
    pub image_bytes: u64,
}

/// Everything that a race brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// What it was run with.
    pub about: About,
    /// The raw client's speed over time.
    pub probes: Vec<Probe>,
    /// Every run, those of repeated pairs among them.
    pub runs: Vec<Run>,
    /// What went wrong: a scenario that could not be finished.
    pub failures: Vec<String>,
}

impl Results {
    /// The runs of a subject in a scenario that count.
    pub fn runs_of<'a>(
        &'a self,
        scenario: &'a str,
        subject: Subject,
    ) -> impl Iterator<Item = &'a Run> {
        self.runs
            .iter()
            .filter(move |run| run.kept && run.scenario == scenario && run.subject == subject)
    }

    /// A figure of a subject over its runs in a scenario.
    pub fn spread(&self, scenario: &str, subject: Subject, figure: &str) -> Option<Spread> {
        let values: Vec<f64> = self
            .runs_of(scenario, subject)
            .filter_map(|run| run.figure(figure))
            .collect();
        Spread::of(&values)
    }

    /// A figure of `subject` divided by that of `other` in the same pair, over all pairs that have both.
    pub fn ratio(
        &self,
        scenario: &str,
        subject: Subject,
        other: Subject,
        figure: &str,
    ) -> Option<Spread> {
        let ratios: Vec<f64> = self
            .runs_of(scenario, subject)
            .filter_map(|run| {
                let twin = self
                    .runs_of(scenario, other)
                    .find(|twin| twin.pair == run.pair && twin.pods == run.pods)?;
                let below = twin.figure(figure)?;
                (below > 0.0).then(|| run.figure(figure).map(|above| above / below))?
            })
            .collect();
        Spread::of(&ratios)
    }

    /// Scenarios in the order in which they ran.
    pub fn scenarios(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !names.contains(&run.scenario.as_str()) {
                names.push(&run.scenario);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(subject: Subject, pair: usize, wall: f64) -> Run {
        let mut counts = Counts::default();
        counts.writes.insert("POST pods".to_owned(), 10);
        counts.refused.insert("409 POST pods".to_owned(), 1);
        counts.events = 2;
        let phase = Phase {
            wall_s: wall,
            controller_cpu_s: 1.0,
            apiserver_cpu_s: 2.0,
            etcd_cpu_s: 0.5,
            counts,
        };
        Run {
            scenario: "P1".to_owned(),
            subject,
            pods: 10,
            pair,
            kept: true,
            load: 0.0,
            phases: [("up".to_owned(), phase.clone()), ("down".to_owned(), phase)].into(),
            figures: [("rss_mb".to_owned(), 20.0)].into(),
            checks: Vec::new(),
        }
    }

    #[test]
    fn figures_are_summed_over_phases_or_taken_from_one() {
        let run = run(Subject::Native, 0, 3.0);
        assert_eq!(run.figure("wall_s"), Some(6.0));
        assert_eq!(run.figure("up.wall_s"), Some(3.0));
        assert_eq!(run.figure("up.writes_per_pod"), Some(1.2));
        assert_eq!(run.figure("conflicts"), Some(2.0));
        assert_eq!(run.figure("rss_mb"), Some(20.0));
        assert_eq!(run.figure("nonsense"), None);
        assert_eq!(run.figure("sideways.wall_s"), None);
    }

    #[test]
    fn ratios_are_taken_within_a_pair() {
        let mut results = Results {
            about: About {
                command: String::new(),
                began: String::new(),
                minutes: 0.0,
                commit: String::new(),
                machine: Machine::here(),
                pairs: 2,
                size_factor: 1.0,
                image_bytes: 0,
            },
            probes: Vec::new(),
            runs: vec![
                run(Subject::Native, 0, 1.0),
                run(Subject::Upstream, 0, 2.0),
                run(Subject::Upstream, 1, 4.0),
                run(Subject::Native, 1, 4.0),
                run(Subject::Native, 2, 9.0),
            ],
            failures: Vec::new(),
        };
        results.runs[4].kept = false;
        let ratio = results
            .ratio("P1", Subject::Native, Subject::Upstream, "up.wall_s")
            .unwrap();
        assert_eq!((ratio.median, ratio.count), (0.75, 2));
        assert_eq!(results.scenarios(), ["P1"]);
    }
}
