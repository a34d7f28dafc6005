//! `docs/benchmarks.md` and its plots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{
    SUBJECTS_PLOTTED, Section, growth_rows, missed, present, ratios, subjects, with_range,
};
use crate::bars::{bars, points};
use crate::controllers::subject::{Subject, UPSTREAM_CONTROLLERS, UPSTREAM_LIMIT};
use crate::counters::Counts;
use crate::plot::{self, Quantity, Series, short};
use crate::results::{Results, Run};
use crate::stats::Spread;

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
    let mut text = markdown(results);
    // What people found out about the figures, such as profiles, is kept beside them and outlives the next race.
    if let Ok(notes) = fs::read_to_string(folder.join("notes.md")) {
        text.push('\n');
        text.push_str(&notes);
    }
    save(&docs.join("benchmarks.md"), &text)
}

/// P11's plots: figure, file, name.
const GROWTH: [(&str, &str, &str); 2] = [
    ("controller_cpu_s", "p11-cpu", "controller CPU, s"),
    ("writes", "p11-writes", "write requests"),
];

fn bar_plot(results: &Results, section: &Section) -> String {
    let mut subjects = subjects(results, section);
    subjects.retain(|subject| SUBJECTS_PLOTTED.contains(subject));
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
    let series: Vec<Series> = SUBJECTS_PLOTTED
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
fn markdown(results: &Results) -> String {
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
         (A B B A), each with a fresh process, but P10, whose pairs are windows of one process, and P11, which runs once for each\n\
         size. Concurrency and leases are each side's defaults: 5 syncs at once there and 32 here, a lease of 15 s there and of\n\
         6 s here, which P12 is most of. Values are medians with the first and third quartile; ratios are the median of the\n\
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
    let mut speeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for probe in &results.probes {
        speeds.entry(probe.pods).or_default().push(probe.pods_per_s);
    }
    for (pods, speeds) in speeds {
        let Some(raw) = Spread::of(&speeds) else {
            continue;
        };
        let _ = writeln!(
            out,
            "| raw client, {pods} pods | {} pods a second, {} probes |",
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

fn pairs_where(results: &Results, wanted: impl Fn(&Run) -> bool) -> usize {
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
fn writes_table(results: &Results, scenario: &str, subjects: &[Subject]) -> String {
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
    let mut row = |name: &str, of: &dyn Fn(&Counts) -> u64| {
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
