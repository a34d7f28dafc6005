//! Which runs there are to make.

use ironkeel_sim::fault::FaultPlan;
use ironkeel_sim::scenario::Scenario;

use super::Flags;

/// Seeds of a scenario, unless a number is asked for.
const SEEDS: u64 = 1_000;
/// Seeds of a scenario whose every step is tried, which is some thousand runs a seed.
const SEEDS_OF_STEPS: u64 = 2;

/// A scenario and what is done to it: one line of the summary.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// The scenario.
    pub(super) scenario: &'static Scenario,
    /// Its seeds.
    pub(super) seeds: Vec<u64>,
    /// The faults.
    pub(super) faults: Faults,
}

/// Which faults strike.
#[derive(Clone, Debug)]
pub(super) enum Faults {
    /// None in a first run of each seed, those that the seed draws in a second.
    Random,
    /// One a run, each at every step.
    EveryStep,
    /// These.
    Given(FaultPlan),
}

impl Work {
    /// Its name in the list of tests.
    pub(super) fn name(&self) -> String {
        match self.faults {
            Faults::EveryStep => format!("every-step/{}", self.scenario.name),
            _ => self.scenario.name.to_owned(),
        }
    }
}

/// What the flags ask for.
pub(super) fn works(flags: &Flags, scenarios: &[&'static Scenario]) -> Vec<Work> {
    let seeds = |default: u64| match flags.seed {
        Some(seed) => vec![seed],
        None => (flags.from..)
            .take(usize::try_from(flags.seeds.unwrap_or(default)).unwrap_or(usize::MAX))
            .collect(),
    };
    let work = |scenario: &&'static Scenario, seeds: Vec<u64>, faults: Faults| Work {
        scenario,
        seeds,
        faults,
    };
    let random = |faults: &Faults| -> Vec<Work> {
        scenarios
            .iter()
            .map(|scenario| work(scenario, seeds(SEEDS), faults.clone()))
            .collect()
    };
    let steps = |seeds: &[u64], marked: bool| -> Vec<Work> {
        scenarios
            .iter()
            .filter(|scenario| scenario.every_step || !marked)
            .map(|scenario| work(scenario, seeds.to_vec(), Faults::EveryStep))
            .collect()
    };
    if flags.gate {
        // One seed: the second would cost as much as a third of all others together.
        return [random(&Faults::Random), steps(&[flags.from], true)].concat();
    }
    match (&flags.faults, flags.every_step) {
        (Some(plan), _) => random(&Faults::Given(plan.clone())),
        (None, true) => steps(&seeds(SEEDS_OF_STEPS), false),
        (None, false) => random(&Faults::Random),
    }
}
