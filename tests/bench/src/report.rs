//! The report: a table on the terminal, `docs/benchmarks.md` and its plots.

mod markdown;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::bars::{Bar, bars};
use crate::controllers::subject::Subject;
use crate::plot::short;
use crate::results::Results;
use crate::stats::Spread;

pub use markdown::write;

/// A scenario as the report shows it.
struct Section {
    scenario: &'static str,
    title: &'static str,
    /// Figures with their names for people; the first ones are plotted.
    figures: &'static [(&'static str, &'static str)],
    /// How many of them are plotted.
    plotted: usize,
    /// Whether writes are listed by verb and resource.
    writes: bool,
}

const SECTIONS: [Section; 7] = [
    Section {
        scenario: "P1",
        title: "P1: one ReplicaSet, from 0 to many pods and back",
        figures: &[
            ("up.wall_s", "up, s"),
            ("down.wall_s", "down, s"),
            ("pods_per_s", "pods a second"),
            ("controller_cpu_s", "controller CPU, s"),
            ("apiserver_cpu_s", "API server CPU, s"),
            ("rss_peak_mb", "peak RSS, MB"),
            ("up.writes_per_pod", "writes per pod, up"),
            ("down.writes_per_pod", "writes per pod, down"),
            ("of_raw", "pods a second, × raw client"),
            ("etcd_cpu_s", "etcd CPU, s"),
            ("rss_mb", "RSS at the end, MB"),
            ("events", "events"),
            ("conflicts", "conflicts (409)"),
            ("throttled", "throttled (429)"),
            ("reads", "reads"),
        ],
        plotted: 7,
        writes: true,
    },
    Section {
        scenario: "P2",
        title: "P2: many Deployments and as many ReplicaSets, 10 pods each, at once",
        figures: &[
            ("create.wall_s", "time, s"),
            ("controller_cpu_s", "controller CPU, s"),
            ("apiserver_cpu_s", "API server CPU, s"),
            ("rss_peak_mb", "peak RSS, MB"),
            ("writes_per_pod", "writes per pod"),
            ("events_per_pod", "of these, events"),
            ("etcd_cpu_s", "etcd CPU, s"),
            ("conflicts", "conflicts (409)"),
            ("throttled", "throttled (429)"),
            ("reads", "reads"),
        ],
        plotted: 6,
        writes: true,
    },
    Section {
        scenario: "P3",
        title: "P3: rolling update of many Deployments, 10 pods each, 25 % above and below",
        figures: &[
            ("create.wall_s", "create to available, s"),
            ("update.wall_s", "update, s"),
            ("controller_cpu_s", "controller CPU, s"),
            ("apiserver_cpu_s", "API server CPU, s"),
            ("rss_peak_mb", "peak RSS, MB"),
            ("writes_per_pod", "writes per pod"),
            ("events_per_pod", "of these, events"),
            ("conflicts", "conflicts (409)"),
            ("etcd_cpu_s", "etcd CPU, s"),
            ("throttled", "throttled (429)"),
            ("reads", "reads"),
        ],
        plotted: 8,
        writes: true,
    },
    Section {
        scenario: "P8",
        title: "P8 and P9: cold start with many pods, and the memory they take",
        figures: &[
            ("start.wall_s", "start to first correct write, s"),
            ("apiserver_cpu_s", "API server CPU, s"),
            ("controller_cpu_s", "controller CPU, s"),
            ("rss_mb", "RSS, MB"),
            ("rss_peak_mb", "peak RSS, MB"),
            ("reads", "reads"),
            ("writes", "writes"),
        ],
        plotted: 5,
        writes: false,
    },
    Section {
        scenario: "P10",
        title: "P10: idle beside changes of status (each window)",
        figures: &[
            ("controller_cpu_s", "controller CPU, s"),
            ("apiserver_cpu_s", "API server CPU, s"),
            ("rss_mb", "RSS, MB"),
            ("rss_growth_mb", "growth of RSS, MB"),
            ("writes", "writes"),
            ("changes_per_s", "changes a second"),
        ],
        plotted: 3,
        writes: false,
    },
    Section {
        scenario: "P12",
        title: "P12: kill -9 of the leader while pods are made, each with its own default lease",
        figures: &[
            ("takeover_s", "to the other's first pod, s"),
            ("finish_s", "to the last pod, s"),
            ("surplus", "surplus pods"),
        ],
        plotted: 2,
        writes: false,
    },
    Section {
        scenario: "start",
        title: "From the start of the process to the lease",
        figures: &[
            ("leading_s", "start to leading, s"),
            ("rss_mb", "RSS then, MB"),
        ],
        plotted: 2,
        writes: false,
    },
];

const SUBJECTS: [Subject; 4] = [
    Subject::Native,
    Subject::Crd,
    Subject::Upstream,
    Subject::UpstreamDefault,
];

/// Plots show these: what is limited to 20 requests a second would make all others invisible.
const SUBJECTS_PLOTTED: [Subject; 3] = [Subject::Native, Subject::Crd, Subject::Upstream];

/// The table for the terminal.
pub fn terminal(results: &Results) -> String {
    let mut out = String::new();
    for section in present(results) {
        let subjects = subjects(results, section);
        let _ = writeln!(out, "\n{}", section.title);
        let _ = write!(out, "  {:<34}", "");
        for subject in &subjects {
            let _ = write!(out, "{:>26}", subject.title());
        }
        let _ = writeln!(out, "{:>10}{:>10}", "ours/up.", "CRD/nat.");
        for (figure, name) in section.figures {
            let _ = write!(out, "  {name:<34}");
            for subject in &subjects {
                let value = results.spread(section.scenario, *subject, figure);
                let _ = write!(out, "{:>26}", value.map_or_else(String::new, with_range));
            }
            for ratio in ratios(results, section.scenario, figure) {
                let _ = write!(out, "{ratio:>10}");
            }
            out.push('\n');
        }
    }
    for (pods, rows) in growth_rows(results) {
        let _ = writeln!(out, "\nP11, {pods} pods");
        for row in rows {
            let _ = writeln!(out, "  {row}");
        }
    }
    out.push_str("\nbars\n");
    for bar in bars(results) {
        let verdict = match bar.passed() {
            Some(true) => "passed",
            Some(false) => "MISSED",
            None => "-",
        };
        let _ = writeln!(
            out,
            "  {:<6} {:<44} {:>14}  {:<22} {verdict}",
            bar.id,
            bar.what,
            bar.shown(),
            bar.wanted()
        );
    }
    out
}

/// Bars that were measured and missed, one line each.
pub fn missed(results: &Results) -> Vec<String> {
    bars(results)
        .iter()
        .filter(|bar| bar.passed() == Some(false))
        .map(line)
        .collect()
}

/// Bars that were not measured.
pub fn unmeasured(results: &Results) -> Vec<String> {
    bars(results)
        .iter()
        .filter(|bar| bar.passed().is_none())
        .map(line)
        .collect()
}

fn line(bar: &Bar) -> String {
    format!(
        "{}: {}: {}, bar {}",
        bar.id,
        bar.what,
        bar.shown(),
        bar.wanted()
    )
}

fn present(results: &Results) -> impl Iterator<Item = &'static Section> {
    let there: BTreeSet<String> = results.scenarios().into_iter().map(str::to_owned).collect();
    SECTIONS
        .iter()
        .filter(move |section| there.contains(section.scenario))
}

fn subjects(results: &Results, section: &Section) -> Vec<Subject> {
    SUBJECTS
        .into_iter()
        .filter(|subject| results.runs_of(section.scenario, *subject).next().is_some())
        .collect()
}

fn with_range(spread: Spread) -> String {
    if spread.count < 2 {
        return short(spread.median);
    }
    format!(
        "{} [{}–{}]",
        short(spread.median),
        short(spread.low),
        short(spread.high)
    )
}

/// Ours to upstream's, and our kinds to the built-in ones.
fn ratios(results: &Results, scenario: &str, figure: &str) -> [String; 2] {
    let shown = |subject, other| {
        results
            .ratio(scenario, subject, other, figure)
            .map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
    };
    [
        shown(Subject::Native, Subject::Upstream),
        shown(Subject::Crd, Subject::Native),
    ]
}

fn growth_rows(results: &Results) -> Vec<(u64, Vec<String>)> {
    let sizes: BTreeSet<u64> = results
        .runs
        .iter()
        .filter(|run| run.scenario == "P11" && run.kept)
        .map(|run| run.pods)
        .collect();
    let row = |subject: Subject, pods: u64| {
        let run = results
            .runs_of("P11", subject)
            .find(|run| run.pods == pods)?;
        let per_thousand = |figure: &str| run.figure(&format!("{figure}_per_pod"));
        Some(format!(
            "{:<14} up {} s, down {} s, {} ms of CPU per pod, {} writes per pod, {} MB at its peak",
            subject.title(),
            short(run.figure("up.wall_s")?),
            short(run.figure("down.wall_s")?),
            short(per_thousand("controller_cpu_s")? * 1000.0),
            short(per_thousand("writes")?),
            short(run.figure("rss_peak_mb")?),
        ))
    };
    sizes
        .into_iter()
        .map(|pods| {
            let rows = SUBJECTS
                .into_iter()
                .filter_map(|subject| row(subject, pods))
                .collect();
            (pods, rows)
        })
        .collect()
}
