//! Judges a history, commit by commit.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::replicaset::Order;
use crate::world::{Change, Step, World};
use crate::{Commit, deployment, general, lease, replicaset};

/// What the checker has to know beside the history: how old the knowledge may be that a controller acts on.
///
/// The defaults are right for every history and let the most pass. Whoever knows how long requests and watch events
/// take in this history says so, and the rules bite harder.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How old the state may be that a write rests on when the write is committed; `None` where a watch may lag without
    /// limit. A process never goes back behind the state that it listed when it started.
    pub view_age: Option<SignedDuration>,
    /// The longest time from a read of the API server itself to the commit of the writes that rest on it.
    pub in_flight: SignedDuration,
    /// The longest time from a live read of an owner to the last of the adoptions that rest on it, which come one after the
    /// other.
    pub adopting: SignedDuration,
    /// How long a process may write after its last renewal of the lease.
    pub renew_deadline: SignedDuration,
    /// Whether a process may end, or a request of it fail, so that a part of a decision is never carried out.
    pub requests_fail: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            view_age: None,
            in_flight: SignedDuration::from_secs(60),
            adopting: SignedDuration::from_secs(60),
            renew_deadline: SignedDuration::from_secs(10),
            requests_fail: true,
        }
    }
}

/// A rule that a commit broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Short name of the rule, as in [`catalogue`](crate::catalogue), for example `RS-replicas`.
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

/// Violations of one commit, as the rules find them.
#[derive(Debug)]
pub(crate) struct Findings {
    version: u64,
    found: Vec<Violation>,
}

impl Findings {
    pub(crate) fn new(version: u64) -> Self {
        Self {
            version,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, rule: &'static str, text: String) {
        self.found.push(Violation {
            rule,
            version: self.version,
            text,
        });
    }

    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.found
    }
}

/// Judges a history, commit by commit.
#[derive(Debug, Default)]
pub struct Checker {
    rules: Rules,
    world: World,
    order: Order,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Says that a process of the controllers starts: all that it ever knows is at least as new as the commit `version`.
    ///
    /// Without it the process may act on any state that ever was, which lets more pass.
    pub fn started(&mut self, process: u32, version: u64) {
        self.world.start(process, version);
    }

    /// Takes the next commit; answers with what it broke.
    pub fn committed(&mut self, commit: &Commit) -> Vec<Violation> {
        let step = self.world.apply(commit);
        let mut findings = Findings::new(commit.version);
        self.judge(&step, &mut findings);
        findings.into_violations()
    }

    fn judge(&mut self, step: &Step<'_>, findings: &mut Findings) {
        let (rules, world) = (&self.rules, &self.world);
        general::judge(rules, world, step, findings);
        lease::judge(rules, world, step, findings);
        match &step.change {
            Change::Pod(before, after) => {
                replicaset::judge_pod(
                    rules,
                    world,
                    step,
                    (before.as_ref(), after.as_ref()),
                    findings,
                );
                self.order.note(rules, world, step, before.as_ref());
            }
            Change::Set(before, after) => {
                replicaset::judge_set(
                    rules,
                    world,
                    step,
                    (before.as_ref(), after.as_ref()),
                    findings,
                );
                deployment::judge_set(
                    rules,
                    world,
                    step,
                    (before.as_ref(), after.as_ref()),
                    findings,
                );
            }
            Change::Deployment(before, after) => {
                deployment::judge(
                    rules,
                    world,
                    step,
                    (before.as_ref(), after.as_ref()),
                    findings,
                );
            }
            Change::Other => {}
        }
        self.order.judge(world, step.moment.at, findings);
    }

    /// Judges the end at the time of the last commit: nothing of what was asked for may be missing once the controllers
    /// are silent.
    pub fn settled(&self) -> Vec<Violation> {
        self.settled_at(self.world.now.map_or(Timestamp::UNIX_EPOCH, |now| now.at))
    }

    /// As [`Self::settled`], the controllers having been silent until `now`.
    pub fn settled_at(&self, now: Timestamp) -> Vec<Violation> {
        let mut findings = Findings::new(0);
        self.order.judge_all(&self.world, &mut findings);
        general::judge_end(&self.world, &mut findings);
        replicaset::judge_end(&self.world, &mut findings);
        deployment::judge_end(&self.world, now, &mut findings);
        findings.into_violations()
    }
}
