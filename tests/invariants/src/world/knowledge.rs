//! What a process of the controllers may still take for true.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{DeploymentState, Horizon, Limits, SetSpec, SetState, Uid, World};
use crate::Rules;

/// What is known of one process of the controllers.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// It lists after this commit.
    pub(super) started: u64,
    /// Generations that it wrote into a status, by owner and time.
    pub(super) seen: BTreeMap<Uid, Vec<(Timestamp, i64)>>,
    /// When its lease was last renewed.
    pub(super) renewed: Option<Timestamp>,
}

impl World {
    /// A process lists everything from here on.
    pub(crate) fn start(&mut self, process: u32, version: u64) {
        self.processes.entry(process).or_default().started = version;
    }

    /// The oldest state that `process` may act on.
    pub(crate) fn horizon(&self, rules: &Rules, process: u32) -> Horizon {
        let known = self.processes.get(&process);
        let now = self.now.map_or(Timestamp::UNIX_EPOCH, |moment| moment.at);
        Horizon {
            version: known.map_or(0, |process| process.started),
            at: rules.view_age.and_then(|age| now.checked_sub(age).ok()),
        }
    }

    /// As [`Self::horizon`] for what was read from the API server itself, `age` ago at most.
    pub(crate) fn live_horizon(&self, age: SignedDuration) -> Horizon {
        let now = self.now.map_or(Timestamp::UNIX_EPOCH, |moment| moment.at);
        Horizon {
            version: 0,
            at: now.checked_sub(age).ok(),
        }
    }

    /// The generation that `process` has shown to know of an object.
    pub(crate) fn seen_generation(&self, rules: &Rules, process: u32, uid: &str) -> i64 {
        let Some(now) = self.now.map(|moment| moment.at) else {
            return i64::MIN;
        };
        let settled = now.checked_sub(rules.in_flight).unwrap_or(Timestamp::MIN);
        self.processes
            .get(&process)
            .and_then(|known| known.seen.get(uid))
            .into_iter()
            .flatten()
            .filter(|(at, _)| *at <= settled)
            .map(|(_, generation)| *generation)
            .max()
            .unwrap_or(i64::MIN)
    }

    /// Specs of a ReplicaSet that `process` may act on.
    pub(crate) fn specs_of_set<'a>(
        &'a self,
        rules: &Rules,
        process: u32,
        set: &'a SetState,
    ) -> Vec<&'a SetSpec> {
        let seen = self.seen_generation(rules, process, &set.uid);
        set.specs
            .since(self.horizon(rules, process))
            .filter(|spec| spec.generation >= seen)
            .collect()
    }

    /// Specs of a Deployment that `process` may act on; those that nobody can act on are left out.
    pub(crate) fn specs_of_deployment<'a>(
        &'a self,
        rules: &Rules,
        process: u32,
        deployment: &'a DeploymentState,
    ) -> Vec<&'a Limits> {
        let seen = self.seen_generation(rules, process, &deployment.uid);
        deployment
            .specs
            .since(self.horizon(rules, process))
            .flatten()
            .filter(|spec| spec.generation >= seen)
            .collect()
    }

    /// When the lease of `process` was last renewed.
    pub(crate) fn renewed(&self, process: u32) -> Option<Timestamp> {
        self.processes.get(&process)?.renewed
    }
}
