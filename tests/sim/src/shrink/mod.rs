//! From a run that failed to the smallest one that still breaks the same rule.
//!
//! Greedy: what can be left out is left out, largest first, until nothing more can or the tries are used up. Each try is a
//! whole run, judged anew: expectations follow from what is left of the story.

mod moves;

use crate::run::{Outcome, RunConfig};
use crate::scenario::Story;

/// Everything that decides a run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What happens.
    pub story: Story,
    /// How, and what goes wrong.
    pub config: RunConfig,
}

/// What shrinking came to.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest case that was found.
    pub case: Case,
    /// Runs that it took.
    pub tries: usize,
}

/// Makes `case` smaller while a run of it breaks `rule`.
pub fn shrink(
    case: Case,
    rule: &str,
    most_tries: usize,
    run: &mut dyn FnMut(&Case) -> Outcome,
) -> Shrunk {
    let mut shrunk = Shrunk { case, tries: 0 };
    loop {
        let smaller = moves::smaller(&shrunk.case);
        let mut found = None;
        for candidate in smaller {
            if shrunk.tries == most_tries {
                return shrunk;
            }
            shrunk.tries += 1;
            let outcome = run(&candidate);
            if outcome.violations.iter().any(|found| found.rule == rule) {
                found = Some(candidate);
                break;
            }
        }
        match found {
            Some(candidate) => shrunk.case = candidate,
            None => return shrunk,
        }
    }
}

#[cfg(test)]
mod tests;
