//! Many runs: every fault at every step of a story, and random plans by seed.
//!
//! Runs are independent of each other. They are judged on several threads, each of which drives its runs alone; what comes
//! out does not depend on how many there are.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ironkeel_invariants::Violation;
use parking_lot::Mutex;

use crate::dice::Dice;
use crate::fault::{self, Extent, Fault, FaultPlan, Point, What};
use crate::run::{Outcome, RunConfig, run};
use crate::scenario::{Scenario, Story};

/// The seed whose run without faults tells how long a scenario is: random plans are drawn for that.
const MEASURED: u64 = 0;

/// One run to be made.
#[derive(Clone, Debug)]
pub struct Case {
    /// What happens.
    pub scenario: &'static Scenario,
    /// The seed of the story and of the run.
    pub seed: u64,
    /// What goes wrong.
    pub plan: FaultPlan,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            seed,
            plan,
        } = self;
        write!(
            f,
            "scenario {}, seed {seed}, faults {:?}",
            scenario.name,
            plan.to_string()
        )
    }
}

impl Case {
    /// The run without faults.
    pub fn calm(scenario: &'static Scenario, seed: u64) -> Self {
        Self {
            scenario,
            seed,
            plan: FaultPlan::default(),
        }
    }

    /// What the run is made with.
    pub fn config(&self) -> RunConfig {
        RunConfig::new(self.seed, self.plan.clone())
    }

    /// What happens. In one of four runs two replicas of the manager do, whatever the scenario says, so that every scenario
    /// sees leaders change.
    pub fn story(&self) -> Story {
        let mut story = self.scenario.story(self.seed);
        if Dice::new(self.seed, "managers").chance(25) {
            story.managers = 2;
        }
        story
    }

    /// Makes the run.
    pub fn run(&self) -> Outcome {
        run(&self.story(), &self.config())
    }
}

/// A run that broke a rule.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The run.
    pub case: Case,
    /// What it broke.
    pub violations: Vec<Violation>,
}

/// How long a scenario is, measured on one run without faults; that run's findings if it has any.
pub fn measure(scenario: &'static Scenario) -> Result<Extent, Finding> {
    extent(Case::calm(scenario, MEASURED))
}

fn extent(case: Case) -> Result<Extent, Finding> {
    let managers = case.story().managers as usize;
    let Outcome {
        violations, counts, ..
    } = case.run();
    if violations.is_empty() {
        Ok(counts.extent(managers))
    } else {
        Err(Finding { case, violations })
    }
}

/// The case of `seed` with a random plan; `extent` is the scenario's, as [`measure`]d.
pub fn random(scenario: &'static Scenario, seed: u64, extent: Extent) -> Case {
    let mut case = Case::calm(scenario, seed);
    let extent = Extent {
        replicas: case.story().managers as usize,
        ..extent
    };
    case.plan = fault::draw(&mut Dice::new(seed, "faults"), extent);
    case
}

/// Every fault at every write and at every watch event of one seed's run, one at a time; the findings of the run without
/// faults if it has any.
pub fn every_step(scenario: &'static Scenario, seed: u64) -> Result<Vec<Case>, Finding> {
    let extent = extent(Case::calm(scenario, seed))?;
    let managers = extent.replicas;
    let writes = (1..=extent.writes).flat_map(|number| {
        at_writes(managers)
            .into_iter()
            .map(move |what| (Point::Write(number), what))
    });
    let events = (1..=extent.events).flat_map(|number| {
        at_events()
            .into_iter()
            .map(move |what| (Point::Event(number), what))
    });
    let cases = writes.chain(events).map(|(at, what)| Case {
        scenario,
        seed,
        plan: FaultPlan {
            faults: vec![Fault { at, what }],
            heal: None,
        },
    });
    Ok(cases.collect())
}

/// Faults of the enumeration at a write.
///
/// 404 and 429 are never told of a write that was committed: no API server does that, and nothing on the way does. For 409
/// [`What::Repeat`] is how it happens.
fn at_writes(managers: usize) -> Vec<What> {
    let answer = |code, applied| What::Answer { code, applied };
    let mut all = vec![What::Crash, What::CrashAfter, What::Repeat];
    all.extend([404, 409, 429, 500, 503, 504].map(|code| answer(code, false)));
    all.extend([500, 503, 504].map(|code| answer(code, true)));
    for applied in [false, true] {
        all.extend([What::Silence { applied }, What::Cut { applied }]);
    }
    // Shorter than a lease alone; longer, so that another replica takes over meanwhile, where there is one.
    let pause = Duration::from_secs(if managers > 1 { 40 } else { 12 });
    all.extend([false, true].map(|late| What::Freeze { pause, late }));
    all
}

/// Faults of the enumeration at a watch event.
fn at_events() -> Vec<What> {
    let mut all = vec![
        What::Crash,
        What::Close,
        What::Cut { applied: false },
        What::Gone,
    ];
    all.extend([false, true].map(|bookmarks| What::Hold { bookmarks }));
    all.extend([1, 30].map(|seconds| What::Delay(Duration::from_secs(seconds))));
    all
}

/// Makes the runs on `threads` threads and returns the findings in the order of the cases. `tell` is called after every run,
/// from any of the threads; once `stop` is set, no further run starts.
pub fn judge(
    cases: &[Case],
    threads: usize,
    stop: &AtomicBool,
    tell: impl Fn(&Case, &Outcome) + Sync,
) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(index) else {
                return;
            };
            let outcome = case.run();
            tell(case, &outcome);
            if !outcome.violations.is_empty() {
                let finding = Finding {
                    case: case.clone(),
                    violations: outcome.violations,
                };
                found.lock().push((index, finding));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found.into_inner();
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, finding)| finding).collect()
}
