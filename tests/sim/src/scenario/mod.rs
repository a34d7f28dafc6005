//! What happens in a run, as data: a scenario makes a [`Story`] from a seed.
//!
//! A story says what is there at first, what the user does and when, and how the kubelets behave. It does not say what has
//! to come of it: that follows from what the user asked for (see `expect`), so that a story that was cut down while a
//! failure is shrunk has the right expectations by itself.
//!
//! One file holds the scenarios of one kind; the next controller brings one file and a line in [`ALL`].

mod story;

pub use story::{Deed, Gate, Kinds, Propagation, Step, Story, Target};

use crate::dice::Dice;

/// A kind of story.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub about: &'static str,
    /// Whether the every-step campaign is part of the gate.
    pub every_step: bool,
    /// The story of a seed.
    pub story: fn(&mut Dice) -> Story,
}

/// The namespace of every story.
pub const NAMESPACE: &str = "sim";

/// Every scenario.
pub const ALL: &[Scenario] = &[];

/// The scenario `name`.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The story of `seed`.
    pub fn story(&self, seed: u64) -> Story {
        (self.story)(&mut Dice::new(seed, self.name))
    }
}
