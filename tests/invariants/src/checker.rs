//! The state that the rules look at, and the rules' common form.

use std::fmt;

use crate::Commit;

/// What the checker has to know beside the history.
#[derive(Clone, Debug, Default)]
pub struct Rules {}

/// A rule that a commit broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Short name of the rule, as in ARCHITECTURE.md, for example `RS-replicas`.
    pub rule: &'static str,
    /// The commit that broke it; 0 is the end of the run.
    pub version: u64,
    /// The object, the figures and the bound, in one sentence.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.rule, self.version, self.text)
    }
}

/// Judges a history, commit by commit.
#[derive(Debug, Default)]
pub struct Checker {
    rules: Rules,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    /// Takes the next commit; answers with what it broke.
    pub fn committed(&mut self, _commit: &Commit) -> Vec<Violation> {
        let Rules {} = self.rules;
        Vec::new()
    }

    /// Judges the end: nothing of what was asked for may be missing once the controllers are silent.
    pub fn settled(&self) -> Vec<Violation> {
        Vec::new()
    }
}
