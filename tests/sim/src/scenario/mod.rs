//! What happens in a run, as data: a scenario makes a [`Story`] from a seed.
//!
//! A story says what is there at first, what the user does and when, and how the kubelets behave. It does not say what has
//! to come of it: that follows from what the user asked for (see `expect`), so that a story that was cut down while a
//! failure is shrunk has the right expectations by itself.
//!
//! One file holds the scenarios of one kind; the next controller brings one file and a line in [`ALL`].

mod common;
mod deletion;
mod deployment;
pub(crate) mod manifest;
mod ownership;
mod story;
pub mod uid_of;

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
pub const ALL: &[Scenario] = &[
    scenario(
        "create",
        "a Deployment is created",
        true,
        deployment::create,
    ),
    scenario(
        "scale",
        "it is scaled: up, down, to nothing, while pods are being created",
        true,
        deployment::scale,
    ),
    scenario(
        "rolling-update",
        "a new template with different limits, perhaps scaled meanwhile",
        true,
        deployment::rolling_update,
    ),
    scenario(
        "rollover",
        "a second new template comes in the middle of a rollout",
        true,
        deployment::rollover,
    ),
    scenario(
        "rollback",
        "the user returns to the template before",
        true,
        deployment::rollback,
    ),
    scenario(
        "auto-rollback",
        "a rollout that misses its deadline is rolled back (our kinds)",
        false,
        deployment::automatic_rollback,
    ),
    scenario(
        "pause-resume",
        "paused, changed meanwhile, resumed",
        true,
        deployment::pause_and_resume,
    ),
    scenario("recreate", "strategy Recreate", false, deployment::recreate),
    scenario(
        "broken-image",
        "an image that no node can pull, until the deadline passes",
        false,
        deployment::broken_image,
    ),
    scenario(
        "failover",
        "two replicas of the manager",
        false,
        deployment::failover,
    ),
    scenario(
        "delete-background",
        "deleted; dependents go after it",
        true,
        deletion::background,
    ),
    scenario(
        "delete-foreground",
        "deleted; dependents go first",
        true,
        deletion::foreground,
    ),
    scenario(
        "delete-orphan",
        "deleted; dependents stay",
        true,
        deletion::orphan,
    ),
    scenario(
        "delete-recreate",
        "deleted and made again under the same name",
        false,
        deletion::recreate,
    ),
    scenario(
        "delete-namespace",
        "its namespace is deleted",
        false,
        deletion::namespace,
    ),
    scenario(
        "two-deployments",
        "two Deployments come, change and go beside each other",
        false,
        deletion::two_deployments,
    ),
    scenario(
        "adoption",
        "orphans are adopted, strangers stay",
        false,
        ownership::adoption,
    ),
    scenario(
        "release",
        "a pod is taken out of its set by its label",
        false,
        ownership::release,
    ),
    scenario(
        "collision",
        "the name of the next ReplicaSet is taken",
        false,
        ownership::collision,
    ),
    scenario(
        "quota",
        "a quota refuses pods, and is perhaps raised",
        false,
        ownership::quota,
    ),
    scenario(
        "failing-pods",
        "pods fail, restart, are evicted and drained",
        false,
        ownership::failing_pods,
    ),
    scenario(
        "replicaset",
        "a ReplicaSet alone",
        false,
        ownership::replica_set,
    ),
    scenario(
        "replication-controller",
        "a ReplicationController (built-in kinds)",
        false,
        ownership::replication_controller,
    ),
];

const fn scenario(
    name: &'static str,
    about: &'static str,
    every_step: bool,
    story: fn(&mut Dice) -> Story,
) -> Scenario {
    Scenario {
        name,
        about,
        every_step,
        story,
    }
}

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

#[cfg(test)]
mod tests;
