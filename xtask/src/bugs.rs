//! `cargo xtask bugs`: deliberate bugs in the product, one after the other, and whether the simulator finds each.
//!
//! The product's code carries no switch for them: each is a patch under tests/sim/bugs that is applied to a copy of the
//! repository below target/.

mod patch;
mod report;
mod scratch;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use ironkeel_testbed::{Outcome, Progress};

use crate::progress::Screen;
use crate::shell;

use patch::Bug;
use report::{Found, Row};
use scratch::Scratch;

pub(crate) use patch::stale;

/// Seeds of each scenario within which a bug has to be found.
const SEEDS: u64 = 1_000;
/// Seeds whose every step is tried when random faults found nothing.
const SEEDS_OF_STEPS: u64 = 1;

/// Which bugs, and how hard to look for them.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Only these bugs, by name, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Seeds of each scenario
    #[arg(long, value_name = "N", default_value_t = SEEDS)]
    seeds: u64,
    /// Names the bugs and what is to find them
    #[arg(long)]
    list: bool,
}

/// Looks for every bug; whether each was found.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    let bugs = wanted(patch::all()?, &flags.only)?;
    if flags.list {
        for bug in &bugs {
            let finders = bug.finders.join(", ");
            screen.say(&format!("{:28}{} ({finders})", bug.name, bug.broken));
        }
        return Ok(true);
    }
    let log = shell::fresh_log("bugs")?;
    let scratch = Scratch::fresh()?;
    let control = screen.step("build the product as it is", || scratch.build_control(&log))?;
    let step = "look for bugs";
    screen.start(step, Some(bugs.len() as u64));
    let mut rows = Vec::new();
    for (done, bug) in (0_u64..).zip(&bugs) {
        screen.advance(step, done, &bug.name);
        let row = look_for(bug, &scratch, &control, flags.seeds, &log);
        let row = row.with_context(|| format!("looking for {}", bug.name));
        if row.is_err() {
            screen.finish(step, Outcome::Failed);
        }
        let row = row?;
        screen.say(&row.line());
        rows.push(row);
    }
    let all_found = rows.iter().all(|row| row.found.is_some());
    screen.finish(
        step,
        if all_found {
            Outcome::Done
        } else {
            Outcome::Failed
        },
    );
    screen.say(&report::table(&rows));
    let found = rows.iter().filter(|row| row.found.is_some()).count();
    screen.say(&format!("{found} of {} bugs found", rows.len()));
    Ok(all_found)
}

fn wanted(mut bugs: Vec<Bug>, only: &[String]) -> Result<Vec<Bug>> {
    if only.is_empty() {
        return Ok(bugs);
    }
    if let Some(unknown) = only
        .iter()
        .find(|name| bugs.iter().all(|bug| bug.name != **name))
    {
        let known: Vec<&str> = bugs.iter().map(|bug| bug.name.as_str()).collect();
        bail!("--only {unknown:?} is none of: {}", known.join(", "));
    }
    bugs.retain(|bug| only.contains(&bug.name));
    Ok(bugs)
}

/// Builds the simulator with the bug and runs it until a rule that is to find it does, in a run in which the product itself
/// breaks none.
fn look_for(bug: &Bug, scratch: &Scratch, control: &Path, seeds: u64, log: &Path) -> Result<Row> {
    let program = scratch.with(bug, |scratch| scratch.build(log))?;
    let started = Instant::now();
    let mut found = None;
    for round in rounds(&bug.likely, seeds) {
        let mut sim = shell::command(&program);
        sim.args(["--no-shrink"]).args(&round);
        let mut output = Vec::new();
        let ended = shell::run_logged(sim, log, &mut |line| output.push(line.to_owned()))?;
        let all = Found::all(&output, &bug.finders);
        let is_silent = !output.iter().any(|line| line.starts_with("FOUND "));
        if is_silent && !ended.status.success() {
            bail!(
                "the simulator failed without a finding:\n{}",
                ended.last_words
            );
        }
        for candidate in all {
            if is_clean(control, &candidate, log)? {
                found = Some(candidate);
                break;
            }
        }
        if found.is_some() {
            break;
        }
    }
    Ok(Row {
        name: bug.name.clone(),
        broken: bug.broken.clone(),
        found,
        seconds: rounded(started.elapsed()),
    })
}

/// Whether the product as it is keeps every rule in the run of a finding.
fn is_clean(control: &Path, found: &Found, log: &Path) -> Result<bool> {
    let mut sim = shell::command(control);
    sim.args(["--no-shrink", "--scenario", &found.scenario, "--seed"])
        .arg(found.seed.to_string())
        .args(["--faults", &found.faults]);
    Ok(shell::run_logged(sim, log, &mut |_| {})?.status.success())
}

/// Arguments of the runs: first the scenarios in which the bug is likely to show, a few seeds before many; then everything.
fn rounds(likely: &str, seeds: u64) -> Vec<Vec<String>> {
    let mut rounds = Vec::new();
    for scenarios in [likely, "all"] {
        let mut from = 1;
        let mut upto = 1;
        while from <= seeds {
            upto = (upto * 10).min(seeds);
            let count = upto + 1 - from;
            rounds.push(format!(
                "--scenario {scenarios} --from {from} --seeds {count}"
            ));
            from = upto + 1;
        }
    }
    rounds.push(format!("--every-step --seeds {SEEDS_OF_STEPS}"));
    let words = |round: &String| round.split(' ').map(str::to_owned).collect();
    rounds.iter().map(words).collect()
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_of_likely_scenarios_come_first() {
        let shown: Vec<String> = rounds("create,scale", 50)
            .iter()
            .map(|round| round.join(" "))
            .collect();
        assert_eq!(
            shown,
            [
                "--scenario create,scale --from 1 --seeds 10",
                "--scenario create,scale --from 11 --seeds 40",
                "--scenario all --from 1 --seeds 10",
                "--scenario all --from 11 --seeds 40",
                "--every-step --seeds 1"
            ]
        );
    }

    #[test]
    fn a_bug_that_is_asked_for_must_exist() {
        let bugs = || {
            vec![Bug {
                name: "a".into(),
                broken: String::new(),
                finders: Vec::new(),
                likely: String::new(),
                path: "a.patch".into(),
            }]
        };
        assert_eq!(wanted(bugs(), &[]).unwrap().len(), 1);
        assert_eq!(wanted(bugs(), &["a".into()]).unwrap().len(), 1);
        let error = wanted(bugs(), &["b".into()]).unwrap_err();
        assert_eq!(error.to_string(), "--only \"b\" is none of: a");
    }
}
