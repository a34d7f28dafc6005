//! One deterministic run: processes of the manager, the cluster's other actors, faults, checks.
//!
//! Discrete events on one thread. What lies between a process and the API server is a queue of events by time; a process
//! runs on a runtime of its own, whose paused time this moves from event to event. Time is counted in whole milliseconds.
//!
//! ```text
//! set up ─► faults strike ─► no more faults ─► silent, and as it should be ─► a new process looks at everything
//!           every commit and every request is checked                          and must write nothing
//! ```

mod config;
mod knowledge;
mod panics;
mod queue;
mod requests;
mod rules;
mod streams;
mod strikes;
mod world;

use std::time::Duration;

use ironkeel_invariants::{Violation, Writer};
use serde_json::json;

use crate::api::Request;
use crate::expect::{self, End};
use crate::history;
use crate::process::NAMESPACE;
use crate::scenario::Story;
use rules::broken;
use world::{World, millis};

pub use config::{Counts, Outcome, Pace, RunConfig};

/// With nothing written for so long, whatever waits waits for the end of the faults.
const QUIET: u64 = 20_000;
/// Faults that last end at the latest after this, where the plan does not say when.
const FAULTS: Duration = Duration::from_mins(15);
/// The least time in which nothing may be written at the end, in milliseconds.
const SILENCE: u64 = 60_000;
/// How long a new process at the end looks at everything, from when it leads: longer than any window in which changes are
/// collected.
const LOOK: u64 = 5_000;

/// Runs `story`. Everything that happens follows from the story and the configuration.
pub fn run(story: &Story, config: &RunConfig) -> Outcome {
    let mut world = World::new(story, config);
    world.set_up();
    world.suffer();
    if !world.is_over() {
        world.converge();
    }
    world.counts.busy = Duration::from_millis(world.active);
    if !world.is_over() {
        world.look_again();
    }
    world.counts.lasted = Duration::from_millis(world.now);
    let World {
        violations,
        history,
        counts,
        struck,
        ..
    } = world;
    let history = if config.record {
        history.take()
    } else {
        Vec::new()
    };
    Outcome {
        violations,
        history,
        counts,
        struck,
    }
}

impl World<'_> {
    /// The part of the run in which faults strike.
    fn suffer(&mut self) {
        let end = self.config.plan.heal.map(millis);
        let last = end.unwrap_or(millis(FAULTS));
        loop {
            let acts = self.next_act().unwrap_or(0);
            let quiet = (self.active + QUIET).max(self.faults_until).max(acts);
            let target = end.unwrap_or_else(|| quiet.min(last));
            if self.is_over() || self.now >= target {
                break;
            }
            self.run_to(target);
        }
        self.heal();
    }

    /// Runs until nothing is written for a while and everything is as it should be.
    fn converge(&mut self) {
        let silence = millis(self.story.silence).max(SILENCE);
        // A pod that was ready an hour ahead of a controller's clock is available in an hour.
        let last = self.now + millis(self.config.patience) + self.set_back;
        let mut from = self.now;
        loop {
            let acts = self.next_act().unwrap_or(0);
            let target = (self.active.max(from) + silence).max(acts).min(last);
            if self.now < target {
                self.run_to(target);
                if self.is_over() {
                    return;
                }
                continue;
            }
            let wrong = self.wrong();
            if wrong.is_empty() {
                return;
            }
            if self.now >= last {
                self.violations = wrong;
                return;
            }
            // A key may be waiting for its next try; nothing else is expected to happen.
            from = self.now;
        }
    }

    /// What is not as it should be at the end.
    fn wrong(&self) -> Vec<Violation> {
        let patience = self.config.patience;
        if self.active + SILENCE > self.now {
            return vec![broken(
                "silence",
                format!("something is still written {patience:?} after the last fault"),
            )];
        }
        if let Some(why) = self.unfinished() {
            return vec![broken(
                "convergence",
                format!("{patience:?} after the last fault {why}"),
            )];
        }
        let mut wrong = self.judged_by_checker();
        let end = End::of(&self.api);
        wrong.extend(expect::judge(self.story.kinds, self.user.done(), &end));
        wrong
    }

    /// A new process looks at everything, and must find nothing to write.
    fn look_again(&mut self) {
        self.restarts = false;
        for replica in 0..self.links.len() {
            self.lose(replica, "is killed at the end".to_owned());
        }
        // The new one leads at once.
        let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
        let lease = format!("{leases}/{}", ironkeel_controller_manager::run::PROGRAM);
        let simulator = Writer::Other("simulator".into());
        self.api
            .handle(&simulator, &Request::delete(lease, &json!({})));
        self.settle();
        self.restarts = true;
        self.start(0);
        self.restarts = false;
        let process = self.counts.processes;
        let (landed, started) = (self.landed, self.now);
        while !self.is_over()
            && self.conduct.deadline(process) == 0
            && self.now < started + LOOK * 6
        {
            self.run_to(self.now + 100);
        }
        if self.conduct.deadline(process) == 0 && !self.is_over() {
            let text = format!(
                "process {process} alone did not lead within {} ms",
                LOOK * 6
            );
            self.violations.push(broken("resync", text));
            return;
        }
        self.run_to(self.now + LOOK);
        // What a quota refuses is tried again for as long as the quota is there.
        if self.landed > landed && !self.is_over() {
            let more = self.landed - landed;
            let text =
                format!("a new process that found everything as it should be made {more} writes");
            self.violations.push(broken("resync", text));
        }
        self.note(|| history::What::Fault("the end".to_owned()));
    }
}
