//! The report: a table on the terminal, `docs/benchmarks.md` and its plots.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bars::{Bar, bars, points};
use crate::controllers::subject::{Subject, UPSTREAM_CONTROLLERS, UPSTREAM_LIMIT};
use crate::plot::{self, Quantity, Series, short};
use crate::results::Results;
use crate::stats::Spread;

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
        title: "P12: kill -9 of the leader while pods are made",
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

/// Writes `benchmarks.md` and its plots into `docs`.
pub fn write(results: &Results, docs: &Path) -> Result<()> {
    let folder = docs.join("benchmarks");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let save = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    };
    for section in present(results) {
        let path = folder.join(format!("{}.svg", section.scenario.to_lowercase()));
        save(&path, &bar_plot(results, section))?;
    }
    if !points(results, Subject::Native, "writes").is_empty() {
        for (figure, file, name) in GROWTH {
            save(
                &folder.join(format!("{file}.svg")),
                &growth_plot(results, figure, name),
            )?;
        }
    }
    save(&docs.join("benchmarks.md"), &markdown(results))
}

/// P11's plots: figure, file, name.
const GROWTH: [(&str, &str, &str); 2] = [
    ("controller_cpu_s", "p11-cpu", "controller CPU, s"),
    ("writes", "p11-writes", "write requests"),
];

fn bar_plot(results: &Results, section: &Section) -> String {
    let subjects: Vec<Subject> = subjects(results, section)
        .into_iter()
        .filter(|subject| *subject != Subject::UpstreamDefault)
        .collect();
    let quantities: Vec<Quantity> = section.figures[..section.plotted]
        .iter()
        .map(|(figure, name)| Quantity {
            name: (*name).to_owned(),
            values: subjects
                .iter()
                .map(|subject| results.spread(section.scenario, *subject, figure))
                .collect(),
        })
        .collect();
    let names: Vec<&str> = subjects.iter().map(|subject| subject.title()).collect();
    plot::bars(section.title, &names, &quantities)
}

fn growth_plot(results: &Results, figure: &str, name: &str) -> String {
    let series: Vec<Series> = [Subject::Native, Subject::Crd, Subject::Upstream]
        .into_iter()
        .map(|subject| Series {
            name: subject.title().to_owned(),
            points: points(results, subject, figure),
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    plot::log_log("P11: how the cost grows", "pods", name, &series)
}

/// `benchmarks.md`.
pub fn markdown(results: &Results) -> String {
    let about = &results.about;
    let machine = &about.machine;
    let mut out =
        String::from("# Benchmarks\n\n<!-- Written by `cargo xtask bench`; do not edit. -->\n\n");
    let _ = writeln!(
        out,
        "Our manager against kube-controller-manager 1.37.1, which runs the same three loops and nothing else\n\
         (`--controllers={UPSTREAM_CONTROLLERS}`)\n\
         with its client limit raised (`{}`); its default limit of 20 requests a second has a column of its own where it\n\
         was measured. Both act with one ServiceAccount per controller. etcd (waiting for the disk) and kube-apiserver are the\n\
         same processes for all; pods are never scheduled; a stand-in for kubelets makes them ready in P3. Runs alternate\n\
         (A B B A), each with a fresh process. Values are medians with the first and third quartile; ratios are the median of the\n\
         ratios within a pair. Write requests count whatever the answer was, events and dry runs among them. Compare ratios, not\n\
         seconds: the whole cluster shares one small machine.\n",
        UPSTREAM_LIMIT.join(" ")
    );
    let _ = writeln!(
        out,
        "| | |\n|---|---|\n| command | `{}` |\n| began | {} |\n| took | {:.0} min |\n| commit | {} |\n\
         | machine | {}, {} cores, {} GiB, Linux {} |\n| pairs | {} |",
        about.command,
        about.began,
        about.minutes,
        about.commit,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        about.pairs
    );
    if let Some(raw) = Spread::of(
        &results
            .probes
            .iter()
            .map(|probe| probe.pods_per_s)
            .collect::<Vec<_>>(),
    ) {
        let _ = writeln!(
            out,
            "| raw client | {} pods a second, {} probes |",
            with_range(raw),
            raw.count
        );
    }
    let unsteady = pairs_where(results, |run| {
        run.figures.get("steady") == Some(&0.0) && run.kept
    });
    let repeated = pairs_where(results, |run| !run.kept);
    let _ = writeln!(
        out,
        "| steadiness | {repeated} pairs were discarded and repeated because the raw client's speed moved by more than 15 %; {unsteady} more were kept although it did |"
    );
    out.push_str("\n## Bars\n\n| | | measured | bar | |\n|---|---|---|---|---|\n");
    for bar in bars(results) {
        let verdict = match bar.passed() {
            Some(true) => "passed",
            Some(false) => "**missed**",
            None => "",
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {verdict} |",
            bar.id,
            bar.what,
            bar.shown(),
            bar.wanted()
        );
    }
    let missed = missed(results);
    if missed.is_empty() {
        out.push_str("\nNo bar that was measured was missed.\n");
    } else {
        out.push_str("\nMissed:\n\n");
        for line in missed {
            let _ = writeln!(out, "- {line}");
        }
    }
    for section in present(results) {
        section_markdown(&mut out, results, section);
    }
    if !points(results, Subject::Native, "writes").is_empty() {
        out.push_str("\n## P11: how the cost grows\n\nOne ReplicaSet, from 0 to so many pods and back, once per size.\n\n");
        for (_, file, name) in GROWTH {
            let _ = writeln!(out, "![{name}](benchmarks/{file}.svg)\n");
        }
        for (pods, rows) in growth_rows(results) {
            let _ = writeln!(out, "- {pods} pods");
            for row in rows {
                let _ = writeln!(
                    out,
                    "  - {}",
                    row.split_whitespace().collect::<Vec<_>>().join(" ")
                );
            }
        }
    }
    if !results.failures.is_empty() {
        out.push_str("\n## What could not be measured\n\n");
        for failure in &results.failures {
            let first = failure.lines().next().unwrap_or_default();
            let _ = writeln!(out, "- {first}");
        }
    }
    out
}

fn pairs_where(results: &Results, wanted: impl Fn(&crate::results::Run) -> bool) -> usize {
    let pairs: BTreeSet<(&str, usize)> = results
        .runs
        .iter()
        .filter(|run| wanted(run))
        .map(|run| (run.scenario.as_str(), run.pair))
        .collect();
    pairs.len()
}

fn section_markdown(out: &mut String, results: &Results, section: &Section) {
    let subjects = subjects(results, section);
    let _ = writeln!(out, "\n## {}\n", section.title);
    let _ = writeln!(
        out,
        "![{}](benchmarks/{}.svg)\n",
        section.title,
        section.scenario.to_lowercase()
    );
    for subject in &subjects {
        let runs: Vec<_> = results.runs_of(section.scenario, *subject).collect();
        if let Some(first) = runs.first()
            && first.pods > 0
        {
            let _ = write!(
                out,
                "{}: {} runs, {} pods. ",
                subject.title(),
                runs.len(),
                first.pods
            );
        }
    }
    out.push_str("\n\n| |");
    for subject in &subjects {
        let _ = write!(out, " {} |", subject.title());
    }
    out.push_str(" native ÷ upstream | CRD ÷ native |\n|---|");
    out.push_str(&"---|".repeat(subjects.len() + 2));
    out.push('\n');
    for (figure, name) in section.figures {
        let _ = write!(out, "| {name} |");
        for subject in &subjects {
            let value = results.spread(section.scenario, *subject, figure);
            let _ = write!(out, " {} |", value.map_or_else(String::new, with_range));
        }
        let [ours, twin] = ratios(results, section.scenario, figure);
        let _ = writeln!(out, " {ours} | {twin} |");
    }
    if section.writes {
        out.push_str(&writes_table(results, section.scenario, &subjects));
    }
}

/// Write requests by verb and resource, all phases together, median over the runs.
pub fn writes_table(results: &Results, scenario: &str, subjects: &[Subject]) -> String {
    let names: BTreeSet<&str> = results
        .runs
        .iter()
        .filter(|run| run.kept && run.scenario == scenario)
        .flat_map(|run| run.phases.values())
        .flat_map(|phase| {
            phase
                .counts
                .writes
                .keys()
                .chain(phase.counts.refused.keys())
        })
        .map(String::as_str)
        .collect();
    let mut out = String::from("\n| write requests |");
    for subject in subjects {
        let _ = write!(out, " {} |", subject.title());
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(subjects.len()));
    out.push('\n');
    let mut row = |name: &str, of: &dyn Fn(&crate::counters::Counts) -> u64| {
        let _ = write!(out, "| {name} |");
        for subject in subjects {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let values: Vec<f64> = results
                .runs_of(scenario, *subject)
                .map(|run| {
                    run.phases
                        .values()
                        .map(|phase| of(&phase.counts))
                        .sum::<u64>() as f64
                })
                .collect();
            let shown = Spread::of(&values).map_or_else(String::new, |spread| short(spread.median));
            let _ = write!(out, " {shown} |");
        }
        out.push('\n');
    };
    for name in names {
        let refused = name.starts_with(|first: char| first.is_ascii_digit());
        if refused {
            row(&format!("of these refused: {name}"), &|counts| {
                counts.refused.get(name).copied().unwrap_or(0)
            });
        } else {
            row(name, &|counts| counts.write(name));
        }
    }
    row("events", &|counts| counts.events);
    out
}
