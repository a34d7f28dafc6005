//! The command line: which runs, on how many threads, and what is told of them.

mod crew;
mod findings;
mod plan;
mod summary;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use ironkeel_sim::fault::FaultPlan;
use ironkeel_sim::scenario::{self, Scenario};

use plan::Work;
use summary::Summary;

/// Runs the real controllers on a model of the API server, with faults, and checks every commit.
///
/// The same seed gives the same run, to the byte. A finding is printed with the smallest history that still shows it, as a
/// table of who wrote what and who saw it when, and with the command that repeats it.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
pub(crate) struct Flags {
    /// Scenarios, by name, separated by commas; `all` is all of them
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "all"
    )]
    scenario: Vec<String>,
    /// How many seeds of each scenario [default: 1000, with --every-step 2]
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    seeds: Option<u64>,
    /// Exactly this seed
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Every fault at every write, and every fault of a watch at every event, one a run, in place of random faults
    #[arg(long)]
    every_step: bool,
    /// What `cargo xtask test` runs: the seeds, and every step of the scenarios that are marked for it
    #[arg(long, conflicts_with_all = ["every_step", "seed", "faults", "scenario"])]
    gate: bool,
    /// Exactly these faults, as a finding prints them; empty for none
    #[arg(
        long,
        value_name = "LINE",
        requires = "seed",
        conflicts_with = "every_step"
    )]
    faults: Option<FaultPlan>,
    /// Prints the history, also of a run without findings
    #[arg(long, requires = "seed")]
    history: bool,
    /// With leases, events and watches in the history
    #[arg(long)]
    all_details: bool,
    /// Prints the first finding as it is, without looking for a smaller one
    #[arg(long)]
    no_shrink: bool,
    /// Runs at once [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Names the scenarios
    #[arg(long)]
    list: bool,
}

/// Does what the flags ask for; whether nothing was found.
pub(crate) fn run(flags: &Flags) -> Result<bool> {
    if flags.list {
        for scenario in scenario::ALL {
            say(&format!("{:24}{}", scenario.name, scenario.about));
        }
        return Ok(true);
    }
    let scenarios = wanted(&flags.scenario)?;
    if flags.history {
        return findings::show(flags, &scenarios);
    }
    let threads = match flags.threads {
        Some(0) => bail!("--threads is 0, and nothing runs on no thread"),
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let works = plan::works(flags, &scenarios);
    let started = Instant::now();
    let mut summary = Summary::default();
    for work in works {
        let bar = bar(&work);
        let row = crew::work(&work, threads, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        say(&format!(
            "test {} ... {}",
            work.name(),
            if row.findings.is_empty() {
                "ok"
            } else {
                "FAILED"
            }
        ));
        findings::tell(&row, flags);
        summary.add(row);
    }
    say(&summary.table());
    say(&summary.line(started.elapsed()));
    Ok(summary.is_clean())
}

/// The scenarios that are asked for.
fn wanted(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.iter().any(|name| name == "all") {
        return Ok(scenario::ALL.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            scenario::find(name).with_context(|| {
                let known: Vec<&str> = scenario::ALL.iter().map(|scenario| scenario.name).collect();
                format!("--scenario {name:?} is none of: all, {}", known.join(", "))
            })
        })
        .collect()
}

fn bar(work: &Work) -> ProgressBar {
    // Bars are for people: `cargo xtask test` reads lines.
    if !io::stderr().is_terminal() || std::env::var_os("CI").is_some() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template(
        "{spinner} {prefix:28} [{bar:30}] {pos}/{len} {per_sec} {elapsed} left {eta}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("=> ");
    bar.set_style(style);
    bar.set_prefix(work.name());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Writes a line of results. A reader that went away is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes an error.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "error: {error:#}");
}
