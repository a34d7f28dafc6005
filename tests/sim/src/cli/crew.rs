//! Makes the runs of one line of the summary, on all threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ironkeel_sim::campaign::{self, Case, Finding};

use super::plan::{Faults, Work};

/// Beside its run with faults, every so many-th seed has one without.
const CALM: u64 = 5;
/// After so many findings no further run of the same work starts: they tell what there is to tell.
const ENOUGH: u64 = 20;

/// What a piece of work came to.
#[derive(Debug)]
pub(super) struct Row {
    /// Name of the work.
    pub(super) name: String,
    /// Runs that were made.
    pub(super) runs: u64,
    /// Writes that controllers sent in them.
    pub(super) writes: u64,
    /// Faults that struck.
    pub(super) faults: u64,
    /// Runs that broke a rule, in the order of seeds and plans.
    pub(super) findings: Vec<Finding>,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// Makes all runs of `work`; `progress` is told how many of how many are done.
pub(super) fn work(work: &Work, threads: usize, progress: &(dyn Fn(u64, u64) + Sync)) -> Row {
    let started = Instant::now();
    let mut row = Row {
        name: work.name(),
        runs: 0,
        writes: 0,
        faults: 0,
        findings: Vec::new(),
        elapsed: Duration::ZERO,
    };
    let cases = match cases(work) {
        Ok(cases) => cases,
        Err(finding) => {
            // Without faults it fails already.
            row.runs = 1;
            row.findings.push(finding);
            row.elapsed = started.elapsed();
            return row;
        }
    };
    let [runs, writes, faults, found] = [const { AtomicU64::new(0) }; 4];
    let stop = AtomicBool::new(false);
    row.findings = campaign::judge(&cases, threads, &stop, |_, outcome| {
        let done = runs.fetch_add(1, Ordering::Relaxed) + 1;
        writes.fetch_add(outcome.counts.writes.into(), Ordering::Relaxed);
        let struck = outcome.struck.iter().filter(|struck| **struck).count();
        faults.fetch_add(struck as u64, Ordering::Relaxed);
        if !outcome.violations.is_empty() && found.fetch_add(1, Ordering::Relaxed) + 1 >= ENOUGH {
            stop.store(true, Ordering::Relaxed);
        }
        progress(done, cases.len() as u64);
    });
    row.runs = runs.into_inner();
    row.writes = writes.into_inner();
    row.faults = faults.into_inner();
    row.elapsed = started.elapsed();
    row
}

fn cases(work: &Work) -> Result<Vec<Case>, Finding> {
    let scenario = work.scenario;
    match &work.faults {
        Faults::Given(plan) => Ok(work
            .seeds
            .iter()
            .map(|seed| Case {
                scenario,
                seed: *seed,
                plan: plan.clone(),
            })
            .collect()),
        Faults::EveryStep => {
            let mut all = Vec::new();
            for seed in &work.seeds {
                all.extend(campaign::every_step(scenario, *seed)?);
            }
            Ok(all)
        }
        Faults::Random => {
            let extent = campaign::measure(scenario)?;
            let with_faults = work
                .seeds
                .iter()
                .map(|seed| campaign::random(scenario, *seed, extent));
            let calm = work
                .seeds
                .iter()
                .filter(|seed| **seed % CALM == 0)
                .map(|seed| Case::calm(scenario, *seed));
            Ok(calm.chain(with_faults).collect())
        }
    }
}
