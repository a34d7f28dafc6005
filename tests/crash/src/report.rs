//! Both results in one report: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::campaign::Results;
use crate::family::Mode;
use crate::fault::Fault;
use crate::run::Outcome;
use crate::subject::Subject;

/// One line of the table: all moments of one fault in one scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Runs.
    pub runs: usize,
    /// Runs in which there was such a moment.
    pub struck: usize,
    /// Runs that broke a rule, by rule.
    pub violations: BTreeMap<String, usize>,
    /// Runs that did not end complete and silent.
    pub not_converged: usize,
    /// Runs whose end differs from that without a fault.
    pub differs: usize,
    /// Runs in which a process ended though nobody killed it.
    pub ended_alone: usize,
    /// Pods created beyond those that a run without a fault creates, over all runs.
    pub extra_pods: u64,
    /// Half of the runs converged within this time.
    pub p50_millis: Option<u64>,
    /// 19 of 20 runs did.
    pub p95_millis: Option<u64>,
}

/// In so many runs a fault strikes somewhere.
const MANY: usize = 10;

/// What a row is about. No fault comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Heading {
    /// Whose controllers.
    pub subject: Subject,
    /// The kinds.
    pub mode: Mode,
    /// The scenario.
    pub scenario: &'static str,
    /// The fault.
    pub fault: Option<Fault>,
}

/// Everything in one file.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The command line.
    pub command: String,
    /// The table.
    pub rows: Vec<(Heading, Row)>,
    /// Runs with something to be held against the subject.
    pub findings: Vec<&'a Outcome>,
    /// Every run.
    pub runs: Vec<&'a Outcome>,
    /// Commits whose writer nobody knows.
    pub unknown_writers: usize,
    /// Runs that could not be carried out.
    pub errors: Vec<String>,
}

impl<'a> Report<'a> {
    /// Sums up what the subjects' campaigns found.
    pub fn new(command: String, results: &'a [Results]) -> Self {
        let outcomes = || results.iter().flat_map(|results| &results.outcomes);
        Self {
            command,
            rows: results.iter().flat_map(rows).collect(),
            findings: outcomes().filter(|outcome| !outcome.is_clean()).collect(),
            runs: outcomes().collect(),
            unknown_writers: outcomes()
                .map(|outcome| outcome.unknown_writers.len())
                .sum(),
            errors: results
                .iter()
                .flat_map(|results| results.errors.clone())
                .collect(),
        }
    }

    /// Whether nothing is to be held against Ironkeel, and the campaign was one: every run could be carried out, every
    /// commit has a writer that it can be judged by, and faults struck.
    pub fn is_good(&self) -> bool {
        let mut ours = self
            .runs
            .iter()
            .filter(|outcome| outcome.subject == Subject::Ironkeel);
        self.errors.is_empty()
            && !self.is_harmless()
            && ours.all(|outcome| outcome.is_clean() && outcome.unknown_writers.is_empty())
    }

    /// Whether Ironkeel was to meet many faults, and none struck. One at a moment that a run does not have is no news: a
    /// whole campaign tries each fault once beyond the last.
    pub fn is_harmless(&self) -> bool {
        let faults = self
            .rows
            .iter()
            .filter(|(heading, _)| heading.fault.is_some() && heading.subject == Subject::Ironkeel)
            .map(|(_, row)| row);
        let (runs, struck) = faults.fold((0, 0), |(runs, struck), row| {
            (runs + row.runs, struck + row.struck)
        });
        runs >= MANY && struck == 0
    }

    /// The table.
    pub fn table(&self) -> String {
        let head = [
            "subject",
            "mode",
            "scenario",
            "fault",
            "runs",
            "struck",
            "violations",
            "not converged",
            "end differs",
            "ended alone",
            "extra pods",
            "p50 ms",
            "p95 ms",
        ];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|(heading, row)| cells(heading, row)));
        let widths: Vec<usize> = (0..head.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].len())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        text
    }

    /// The last line, in the form of every check of this repository: Ironkeel's runs.
    pub fn counts(&self) -> String {
        let ours = |subject: Subject| subject == Subject::Ironkeel;
        let runs: usize = self
            .rows
            .iter()
            .filter(|(heading, _)| ours(heading.subject))
            .map(|(_, row)| row.runs)
            .sum();
        let found = self
            .findings
            .iter()
            .filter(|outcome| ours(outcome.subject))
            .count();
        format!(
            "{} passed, {} failed, 0 skipped",
            runs - found,
            found + self.errors.len()
        )
    }

    /// How many runs, and how many with findings, for each subject.
    pub fn sum(&self) -> String {
        let mut parts = Vec::new();
        for subject in [Subject::Ironkeel, Subject::Upstream] {
            let runs: usize = self
                .rows
                .iter()
                .filter(|(heading, _)| heading.subject == subject)
                .map(|(_, row)| row.runs)
                .sum();
            let found = self
                .findings
                .iter()
                .filter(|outcome| outcome.subject == subject)
                .count();
            if runs > 0 {
                parts.push(format!(
                    "{}: {runs} runs, {found} with findings",
                    subject.as_str()
                ));
            }
        }
        if !self.errors.is_empty() {
            parts.push(format!(
                "{} runs could not be carried out",
                self.errors.len()
            ));
        }
        parts.join("; ")
    }
}

fn rows(results: &Results) -> Vec<(Heading, Row)> {
    let mut groups: BTreeMap<Heading, Vec<&Outcome>> = BTreeMap::new();
    for outcome in &results.outcomes {
        let heading = Heading {
            subject: outcome.subject,
            mode: outcome.mode,
            scenario: outcome.scenario,
            fault: outcome.fault,
        };
        groups.entry(heading).or_default().push(outcome);
    }
    groups
        .into_iter()
        .map(|(heading, outcomes)| {
            let usual = results.created.get(heading.scenario).copied().unwrap_or(0);
            let row = row(&outcomes, usual);
            (heading, row)
        })
        .collect()
}

fn row(outcomes: &[&Outcome], usual: u64) -> Row {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let mut violations = BTreeMap::new();
    for rule in outcomes
        .iter()
        .flat_map(|outcome| outcome.violations.keys())
    {
        *violations.entry(rule.clone()).or_default() += 1;
    }
    let mut times: Vec<u64> = outcomes
        .iter()
        .filter_map(|outcome| outcome.converged_millis)
        .collect();
    times.sort_unstable();
    Row {
        runs: outcomes.len(),
        struck: count(|outcome| outcome.struck),
        violations,
        not_converged: count(|outcome| outcome.not_converged.is_some()),
        differs: count(|outcome| outcome.differs.is_some()),
        ended_alone: count(|outcome| !outcome.ended_alone.is_empty()),
        extra_pods: outcomes
            .iter()
            .map(|outcome| outcome.created.saturating_sub(usual))
            .sum(),
        p50_millis: percentile(&times, 50),
        p95_millis: percentile(&times, 95),
    }
}

/// The value that `percent` of the sorted `values` do not exceed.
fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let place = (values.len() * percent).div_ceil(100);
    values.get(place.saturating_sub(1)).copied()
}

fn cells(heading: &Heading, row: &Row) -> [String; 13] {
    let count = |count: usize| {
        if count == 0 {
            "-".to_owned()
        } else {
            count.to_string()
        }
    };
    let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let violations: Vec<String> = row
        .violations
        .iter()
        .map(|(rule, runs)| format!("{rule}: {runs}"))
        .collect();
    [
        heading.subject.as_str().to_owned(),
        heading.mode.as_str().to_owned(),
        heading.scenario.to_owned(),
        heading
            .fault
            .map_or_else(|| "none".to_owned(), |fault| fault.to_string()),
        row.runs.to_string(),
        row.struck.to_string(),
        if violations.is_empty() {
            "-".to_owned()
        } else {
            violations.join(", ")
        },
        count(row.not_converged),
        count(row.differs),
        count(row.ended_alone),
        count(row.extra_pods as usize),
        time(row.p50_millis),
        time(row.p95_millis),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Applied;
    use expect_test::expect;

    fn outcome(subject: Subject, k: u64, fault: Option<Fault>) -> Outcome {
        Outcome {
            subject,
            k,
            converged_millis: Some(100 * k),
            ..Outcome::sample("create", fault)
        }
    }

    fn results(subject: Subject, broken: bool) -> Results {
        let fault = Some(Fault::Kill(Applied::Yes));
        let mut outcomes = vec![outcome(subject, 1, None)];
        outcomes.extend((1..=20).map(|k| outcome(subject, k, fault)));
        if broken {
            let bad = &mut outcomes[3];
            bad.created = 5;
            bad.violations
                .insert("RS-replicas".to_owned(), vec!["4 pods of 3".to_owned()]);
        }
        Results {
            outcomes,
            errors: Vec::new(),
            created: [("create".to_owned(), 3)].into(),
        }
    }

    #[test]
    fn both_subjects_stand_in_one_table() {
        let all = [
            results(Subject::Ironkeel, false),
            results(Subject::Upstream, true),
        ];
        let report = Report::new("crash".to_owned(), &all);
        expect![[r"
            subject   mode    scenario  fault       runs  struck  violations      not converged  end differs  ended alone  extra pods  p50 ms  p95 ms
            ironkeel  native  create    none        1     0       -               -              -            -            -           100     100
            ironkeel  native  create    kill-after  20    20      -               -              -            -            -           1000    1900
            upstream  native  create    none        1     0       -               -              -            -            -           100     100
            upstream  native  create    kill-after  20    20      RS-replicas: 1  -              -            -            2           1000    1900
        "]].assert_eq(&report.table());
        assert_eq!(
            report.sum(),
            "ironkeel: 21 runs, 0 with findings; upstream: 21 runs, 1 with findings"
        );
        assert!(report.is_good(), "the control's findings are not ours");
    }

    #[test]
    fn a_finding_of_ours_or_a_run_that_failed_is_not_good() {
        let all = [results(Subject::Ironkeel, true)];
        assert!(!Report::new(String::new(), &all).is_good());
        let mut all = [results(Subject::Ironkeel, false)];
        all[0].errors.push("no API server".to_owned());
        assert!(!Report::new(String::new(), &all).is_good());
    }

    #[test]
    fn a_campaign_that_could_find_nothing_is_not_good() {
        let mut all = [results(Subject::Ironkeel, false)];
        for outcome in &mut all[0].outcomes {
            outcome.struck = false;
        }
        let report = Report::new(String::new(), &all);
        assert!(report.is_harmless() && !report.is_good());
        all[0].outcomes.truncate(1);
        assert!(
            Report::new(String::new(), &all).is_good(),
            "no fault was asked for"
        );

        let mut all = [results(Subject::Ironkeel, false)];
        all[0].outcomes[2].unknown_writers = vec!["pods x at 7".to_owned()];
        assert!(!Report::new(String::new(), &all).is_good());
        all[0].outcomes[2].subject = Subject::Upstream;
        assert!(Report::new(String::new(), &all).is_good(), "the control's");
    }
}
