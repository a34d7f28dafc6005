//! All runs: every scenario without a fault first, then with every fault at every moment.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use ironkeel_testbed::Progress;
use serde_json::Value;

use crate::end_state::difference;
use crate::fault::{Counts, Fault};
use crate::run::{Case, Outcome, World, forget_logs};
use crate::scenario::Scenario;
use crate::screen::Screen;
use crate::subject::Program;

/// Runs without a fault: how many writes there are differs a little from run to run.
const BASELINES: usize = 2;
/// How far beyond the last moment of the baselines a fault may go on being tried, as long as there is such a moment.
const BEYOND: u64 = 10;
/// After so many runs that could not be carried out, the machine or this program is at fault.
const MOST_ERRORS: usize = 10;

/// What is to be tried.
#[derive(Debug)]
pub struct Choice {
    /// The scenarios.
    pub scenarios: Vec<&'static Scenario>,
    /// The faults.
    pub faults: Vec<Fault>,
    /// Every which moment.
    pub step: u64,
    /// Only this moment.
    pub at: Option<u64>,
    /// How many runs with faults, drawn with this seed.
    pub sample: Option<(usize, u64)>,
    /// Runs at the same time.
    pub jobs: usize,
    /// Whether to keep the logs of runs that showed nothing.
    pub keep: bool,
}

/// What runs of a scenario are measured against.
struct Baseline {
    writes: u64,
    events: u64,
    created: u64,
    end: Value,
}

/// What a campaign found.
#[derive(Debug, Default)]
pub struct Results {
    /// The runs.
    pub outcomes: Vec<Outcome>,
    /// Runs that could not be carried out.
    pub errors: Vec<String>,
    /// Pods that a run without faults makes, by scenario as [`Outcome`] names it.
    pub created: BTreeMap<String, u64>,
}

/// Carries out the campaign for one program. `results` holds what was found so far also where it is ended before its time.
pub async fn run(
    world: &World,
    program: &Program,
    choice: &Choice,
    screen: &Screen,
    results: &mut Results,
) -> Result<()> {
    let campaign = Campaign {
        world,
        program,
        choice,
        screen,
        next: AtomicU32::new(1),
    };
    let baselines = campaign.baselines(results).await?;
    let mut cases = campaign.cases(&baselines);
    if let Some((count, seed)) = choice.sample {
        cases = draw(cases, count, seed);
    }
    let name = format!("{} {}", program.subject.as_str(), program.mode.as_str());
    while !cases.is_empty() {
        screen.begin(&name, cases.len() as u64);
        campaign.run_all(&cases, &baselines, results).await?;
        cases = if choice.sample.is_some() || choice.at.is_some() {
            Vec::new()
        } else {
            further(&cases, &results.outcomes, &baselines, choice.step)
        };
    }
    Ok(())
}

struct Campaign<'a> {
    world: &'a World,
    program: &'a Program,
    choice: &'a Choice,
    screen: &'a Screen,
    next: AtomicU32,
}

type Baselines = BTreeMap<&'static str, Baseline>;

impl Campaign<'_> {
    async fn baselines(&self, results: &mut Results) -> Result<Baselines> {
        let mut baselines = Baselines::new();
        let cases: Vec<Case> = self
            .choice
            .scenarios
            .iter()
            .flat_map(|scenario| std::iter::repeat_n(*scenario, BASELINES))
            .map(|scenario| Case {
                scenario,
                fault: None,
            })
            .collect();
        let name = format!("{}, no fault", self.program.subject.as_str());
        self.screen.begin(&name, cases.len() as u64);
        self.run_all(&cases, &baselines, results).await?;
        if let [error, ..] = results.errors.as_slice() {
            bail!("without any fault: {error}");
        }
        for outcome in &mut results.outcomes {
            let (writes, events, created) = (outcome.writes, outcome.events, outcome.created);
            if let Some(baseline) = baselines.get_mut(outcome.scenario) {
                baseline.writes = baseline.writes.max(writes);
                baseline.events = baseline.events.max(events);
                baseline.created = baseline.created.min(created);
                outcome.differs = difference(&baseline.end, &outcome.end);
            } else {
                let end = outcome.end.clone();
                baselines.insert(
                    outcome.scenario,
                    Baseline {
                        writes,
                        events,
                        created,
                        end,
                    },
                );
            }
        }
        for (scenario, baseline) in &baselines {
            results
                .created
                .insert((*scenario).to_owned(), baseline.created);
        }
        Ok(baselines)
    }

    fn cases(&self, baselines: &Baselines) -> Vec<Case> {
        let mut cases = Vec::new();
        for &scenario in &self.choice.scenarios {
            let Some(baseline) = baselines.get(scenario.name) else {
                continue;
            };
            for &fault in self
                .choice
                .faults
                .iter()
                .filter(|fault| (scenario.takes)(**fault))
            {
                let moments: Vec<u64> = match self.choice.at {
                    Some(at) => vec![at],
                    None => (1..=baseline.moments(fault))
                        .step_by(self.choice.step as usize)
                        .collect(),
                };
                cases.extend(moments.into_iter().map(|k| Case {
                    scenario,
                    fault: Some((fault, k)),
                }));
            }
        }
        cases
    }

    async fn run_all(
        &self,
        cases: &[Case],
        baselines: &Baselines,
        results: &mut Results,
    ) -> Result<()> {
        let mut runs = futures::stream::iter(cases.iter().copied())
            .map(|case| self.one(case, baselines))
            .buffer_unordered(self.choice.jobs);
        while let Some((case, ended)) = runs.next().await {
            match ended {
                Ok(outcome) => results.outcomes.push(outcome),
                Err(error) => {
                    let text = format!("{}: {error:#}", told(case));
                    self.screen
                        .note(&format!("FOUND could not be carried out: {text}"));
                    results.errors.push(text);
                    if results.errors.len() >= MOST_ERRORS {
                        bail!("{} runs could not be carried out", results.errors.len());
                    }
                }
            }
        }
        Ok(())
    }

    async fn one(&self, case: Case, baselines: &Baselines) -> (Case, Result<Outcome>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let program = self.program;
        let namespace = format!(
            "{}-{}-{number}",
            program.subject.as_str(),
            program.mode.as_str()
        );
        let ended = self
            .world
            .run(program, case, &namespace)
            .await
            .and_then(|mut outcome| {
                if let Some(baseline) = baselines.get(case.scenario.name)
                    && outcome.not_converged.is_none()
                {
                    outcome.differs = difference(&baseline.end, &outcome.end);
                    if let Some(differs) = &outcome.differs {
                        let file = self.world.folder.join(&namespace).join("difference.txt");
                        fs::write(&file, differs)
                            .with_context(|| format!("writing {}", file.display()))?;
                    }
                }
                let usual = baselines
                    .get(case.scenario.name)
                    .map_or(u64::MAX, |baseline| baseline.created);
                let keep = self.choice.keep
                    || !outcome.is_clean()
                    || !outcome.unknown_writers.is_empty()
                    || outcome.created > usual;
                if !keep {
                    forget_logs(&self.world.folder, &outcome)?;
                }
                Ok(outcome)
            });
        let good = ended.as_ref().is_ok_and(Outcome::is_clean);
        self.screen.advance(&told(case), good);
        if let Ok(outcome) = &ended
            && !good
        {
            self.screen.note(&finding(outcome, case));
        }
        (case, ended)
    }
}

impl Baseline {
    const fn moments(&self, fault: Fault) -> u64 {
        match fault.counts() {
            Counts::Writes => self.writes,
            Counts::Events => self.events,
        }
    }
}

fn told(case: Case) -> String {
    match case.fault {
        Some((fault, k)) => format!("{}, {fault} at {k}", case.scenario.name),
        None => case.scenario.name.to_owned(),
    }
}

/// A finding in one line.
fn finding(outcome: &Outcome, case: Case) -> String {
    let mut parts: Vec<String> = outcome
        .violations
        .values()
        .filter_map(|all| all.first().cloned())
        .collect();
    parts.extend(outcome.not_converged.clone());
    parts.extend(
        outcome
            .ended_alone
            .first()
            .map(|text| text.lines().next().unwrap_or_default().to_owned()),
    );
    if outcome.differs.is_some() {
        parts.push("the end differs".to_owned());
    }
    format!(
        "FOUND {} ({}): {}",
        told(case),
        outcome.namespace,
        parts.join("; ")
    )
}

/// The next moment of each fault whose last moment there was: a run with a fault may have more of them than one without.
fn further(cases: &[Case], outcomes: &[Outcome], baselines: &Baselines, step: u64) -> Vec<Case> {
    let mut last: BTreeMap<(&str, Fault), Case> = BTreeMap::new();
    for case in cases {
        if let Some((fault, k)) = case.fault {
            let entry = last.entry((case.scenario.name, fault)).or_insert(*case);
            if entry.fault.is_none_or(|(_, highest)| highest < k) {
                *entry = *case;
            }
        }
    }
    let struck = |scenario: &str, fault: Fault, k: u64| {
        outcomes.iter().any(|outcome| {
            outcome.scenario == scenario
                && outcome.fault == Some(fault)
                && outcome.k == k
                && outcome.struck
        })
    };
    last.into_iter()
        .filter_map(|((scenario, fault), case)| {
            let (_, k) = case.fault?;
            let most = baselines.get(scenario)?.moments(fault) + BEYOND;
            (struck(scenario, fault, k) && k + step <= most).then_some(Case {
                fault: Some((fault, k + step)),
                ..case
            })
        })
        .collect()
}

/// `count` of the cases, drawn by `seed`, in their old order.
fn draw(cases: Vec<Case>, count: usize, seed: u64) -> Vec<Case> {
    let mut ranked: Vec<(u64, usize, Case)> = cases
        .into_iter()
        .enumerate()
        .map(|(index, case)| (mix(seed, index as u64), index, case))
        .collect();
    ranked.sort_by_key(|(rank, index, _)| (*rank, *index));
    ranked.truncate(count);
    ranked.sort_by_key(|(_, index, _)| *index);
    ranked.into_iter().map(|(_, _, case)| case).collect()
}

/// Splitmix64: a good mix of seed and index.
const fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(index.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Applied;
    use crate::scenario;

    fn cases(count: u64) -> Vec<Case> {
        (1..=count)
            .map(|k| Case {
                scenario: scenario::ALL[0],
                fault: Some((Fault::Kill(Applied::No), k)),
            })
            .collect()
    }

    fn moments(cases: &[Case]) -> Vec<u64> {
        cases
            .iter()
            .filter_map(|case| case.fault.map(|(_, k)| k))
            .collect()
    }

    #[test]
    fn a_seed_draws_the_same_runs_again_and_another_seed_others() {
        let draws = |seed: u64| moments(&draw(cases(100), 10, seed));
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
        assert_eq!(draws(1).len(), 10);
        assert!(draws(1).is_sorted());
        assert_eq!(moments(&draw(cases(3), 10, 1)), [1, 2, 3]);
    }

    #[test]
    fn a_fault_is_tried_on_as_long_as_there_is_a_moment_for_it() {
        let name = scenario::ALL[0].name;
        let baselines: Baselines = [(
            name,
            Baseline {
                writes: 3,
                events: 0,
                created: 0,
                end: Value::Null,
            },
        )]
        .into();
        let outcome = |k: u64, struck: bool| Outcome {
            k,
            struck,
            ..Outcome::sample(name, Some(Fault::Kill(Applied::No)))
        };
        let tried = cases(3);
        let on = |last: bool| {
            let outcomes = [outcome(1, true), outcome(3, last)];
            moments(&further(&tried, &outcomes, &baselines, 1))
        };
        assert_eq!(on(true), [4]);
        assert_eq!(on(false), Vec::<u64>::new(), "there were no more writes");
        let far = cases(3 + BEYOND);
        let outcomes = [outcome(3 + BEYOND, true)];
        assert_eq!(
            further(&far, &outcomes, &baselines, 1).len(),
            0,
            "it has to end"
        );
    }
}
