//! Everything that there is in a run, and what a commit sets going.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ironkeel_invariants::{Checker, Commit, Violation};
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::resource::{PODS, Resource};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::config::{Counts, RunConfig};
use super::knowledge;
use super::panics::Panics;
use super::queue::{Next, Queue};
use super::rules::{Conduct, broken};
use super::streams::Stream;
use crate::actor::Actor;
use crate::api::{Api, Settings};
use crate::dice::Dice;
use crate::fault::{Kind, Point};
use crate::history::{History, What};
use crate::kubelet::Kubelet;
use crate::network::Reply;
use crate::process::{Manager, Start};
use crate::scenario::Story;
use crate::user::User;

/// The API server's time at the start of every run.
const ORIGIN: Timestamp = Timestamp::constant(1_795_255_200, 0);
/// Milliseconds until a process that died or ended is started again.
const RESTART: std::ops::RangeInclusive<u64> = 300..=4_000;
/// How far one of several processes may run ahead of the others while nothing is due, in milliseconds.
const AHEAD: u64 = 1_000;

/// A replica of the manager, and the network in front of it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The process, if there is one.
    pub(super) process: Option<Manager>,
    /// Its number, or that of the last one.
    pub(super) number: u32,
    /// Until when it does not run.
    pub(super) frozen: Option<u64>,
    /// What it has sent does not arrive before.
    pub(super) late_until: u64,
    /// Nothing comes through before.
    pub(super) cut_until: u64,
    /// The version that its server's watch cache is stuck at, and until when.
    pub(super) lag: Option<(u64, u64)>,
    /// Kinds whose events come later, and by how many milliseconds.
    pub(super) slow: Vec<(Kind, u64)>,
    /// How far the wall clock is ahead, in milliseconds.
    pub(super) ahead: Arc<AtomicI64>,
}

/// A run.
pub(super) struct World<'a> {
    pub(super) story: &'a Story,
    pub(super) config: &'a RunConfig,
    /// Milliseconds since the start.
    pub(super) now: u64,
    time: Arc<AtomicU64>,
    pub(super) api: Api,
    pub(super) queue: Queue,
    pub(super) dice: Dice,
    pub(super) links: Vec<Link>,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// Watches that were ever opened.
    pub(super) opened_streams: u64,
    commits: Arc<Mutex<Vec<Commit>>>,
    pub(super) history: History,
    checker: Checker,
    pub(super) conduct: Conduct,
    pub(super) user: User,
    kubelet: Kubelet,
    /// When the kubelets and the user want to be called.
    wakes: [Option<u64>; 2],
    pub(super) counts: Counts,
    /// Writes of controllers that the API server took.
    pub(super) landed: u32,
    pub(super) struck: Vec<bool>,
    pub(super) at_writes: BTreeMap<u32, Vec<usize>>,
    pub(super) at_events: BTreeMap<u32, Vec<usize>>,
    pub(super) violations: Vec<Violation>,
    /// Faults strike no more, and those that last are over.
    pub(super) healed: bool,
    /// When the last fault that ends by itself ends.
    pub(super) faults_until: u64,
    /// How far clocks were set back, in milliseconds: what was timed by them may come so much later.
    pub(super) set_back: u64,
    /// Every request is refused with this code until then.
    pub(super) outage: Option<(u16, u64)>,
    /// When something was written last, leases and events apart.
    pub(super) active: u64,
    collecting: bool,
    /// Processes are started again.
    pub(super) restarts: bool,
    /// Connections on which nothing comes any more and which nobody closes.
    pub(super) limbo: Vec<oneshot::Sender<Reply>>,
    panics: Panics,
}

impl<'a> World<'a> {
    /// The cluster of `story` before anything runs.
    pub(super) fn new(story: &'a Story, config: &'a RunConfig) -> Self {
        let time = Arc::new(AtomicU64::new(0));
        let clock = Clock::from_fn({
            let time = Arc::clone(&time);
            move || timestamp(time.load(Ordering::Relaxed))
        });
        let api = Api::new(Settings {
            clock,
            seed: config.seed,
        });
        let commits: Arc<Mutex<Vec<Commit>>> = Arc::default();
        api.observe({
            let commits = Arc::clone(&commits);
            Box::new(move |commit| commits.lock().push(commit.clone()))
        });
        let history = History::new();
        let user = User::new(api.clone(), history.clone(), story);
        let kubelet = Kubelet::new(api.clone(), story.kubelet.clone(), config.seed);
        let mut world = Self {
            story,
            config,
            now: 0,
            time,
            api,
            queue: Queue::default(),
            dice: Dice::new(config.seed, "network"),
            links: (0..story.managers).map(|_| Link::default()).collect(),
            streams: BTreeMap::new(),
            opened_streams: 0,
            commits,
            history,
            checker: Checker::new(knowledge::rules(&config.plan, story.managers)),
            conduct: Conduct::default(),
            user,
            kubelet,
            wakes: [None; 2],
            counts: Counts::default(),
            landed: 0,
            struck: vec![false; config.plan.faults.len()],
            at_writes: BTreeMap::new(),
            at_events: BTreeMap::new(),
            violations: Vec::new(),
            healed: false,
            faults_until: 0,
            set_back: 0,
            outage: None,
            active: 0,
            collecting: false,
            restarts: true,
            limbo: Vec::new(),
            panics: Panics::watch(),
        };
        for (index, fault) in config.plan.faults.iter().enumerate() {
            match fault.at {
                Point::Write(number) => world.at_writes.entry(number).or_default().push(index),
                Point::Event(number) => world.at_events.entry(number).or_default().push(index),
                Point::Time(after, _) => {
                    let at = millis(after);
                    world.faults_until = world.faults_until.max(at);
                    world.queue.push(at, Next::Strike(index));
                }
            }
        }
        world
    }

    /// Makes what the story starts with, and starts the processes.
    pub(super) fn set_up(&mut self) {
        self.user.set_up(self.story, timestamp(self.now));
        self.settle();
        for replica in 0..self.links.len() {
            let at = self.dice.millis(0..=2_000);
            self.queue.push(millis(at), Next::Start(replica));
        }
    }

    /// The API server's time.
    pub(super) fn timestamp(&self) -> Timestamp {
        timestamp(self.now)
    }

    /// Notes something in the history, if there is one.
    pub(super) fn note(&self, what: impl FnOnce() -> What) {
        if self.config.record {
            self.history.add(self.timestamp(), what());
        }
    }

    /// Whether a rule was broken: the rest of the run would only repeat it.
    pub(super) fn is_over(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Runs everything that happens up to and at `limit`, or to the first broken rule.
    pub(super) fn run_to(&mut self, limit: u64) {
        while !self.is_over() {
            let horizon = self.queue.due().map_or(limit, |due| due.min(limit));
            if let Some(replica) = self.hindmost(horizon) {
                self.run_process(replica, horizon);
                continue;
            }
            self.set_now(horizon);
            match self.queue.pop(limit) {
                Some(next) => self.happen(next),
                None => break,
            }
        }
    }

    fn set_now(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.time.store(self.now, Ordering::Relaxed);
    }

    /// The replica whose process is furthest behind `horizon`.
    fn hindmost(&self, horizon: u64) -> Option<usize> {
        let behind = |(replica, link): (usize, &Link)| {
            let process = link.process.as_ref().filter(|_| link.frozen.is_none())?;
            (process.now() < horizon).then_some((process.now(), replica))
        };
        let first = self.links.iter().enumerate().filter_map(behind).min();
        first.map(|(_, replica)| replica)
    }

    fn run_process(&mut self, replica: usize, horizon: u64) {
        let several = self.links.len() > 1;
        let Some(process) = self
            .links
            .get_mut(replica)
            .and_then(|link| link.process.as_mut())
        else {
            return;
        };
        let until = if several {
            horizon.min(process.now() + AHEAD)
        } else {
            horizon
        };
        let sent = process.run_until(until);
        let ended = process.ended();
        for sent in sent {
            self.send(replica, sent);
        }
        for panic in self.panics.take() {
            self.violations.push(broken("panic", panic));
        }
        if let Some(end) = ended {
            let text = match end {
                Ok(()) => "ended".to_owned(),
                Err(why) => format!("ended: {why}"),
            };
            self.lose(replica, text);
        }
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Arrive(travelling) => self.arrive(*travelling),
            Next::Answer(answer) => self.answer(*answer),
            Next::Show { stream, up_to } => self.show(stream, up_to),
            Next::Bookmark(stream) => self.bookmark(stream),
            Next::TimeOver(stream) => {
                self.streams.remove(&stream);
            }
            Next::Actor(actor) => {
                // A wake-up that was put off or off the list in the meantime is none.
                if self.wakes.get(actor).copied().flatten() == Some(self.now) {
                    self.act();
                    self.settle();
                }
            }
            Next::Collect => {
                self.collecting = false;
                if self.api.collect_garbage() {
                    self.collect_soon();
                }
                self.settle();
            }
            Next::Start(replica) => self.start(replica),
            Next::Freeze {
                replica,
                process,
                until,
            } => self.freeze(replica, process, until),
            Next::Thaw(replica) => self.thaw(replica),
            Next::Strike(index) => self.strike_at_time(index),
            Next::CatchUp(replica) => self.catch_up(replica),
        }
    }

    /// Everybody sees what was committed, until nobody has anything to do about it.
    pub(super) fn settle(&mut self) {
        loop {
            let commits = std::mem::take(&mut *self.commits.lock());
            if commits.is_empty() {
                return;
            }
            for commit in &commits {
                self.committed(commit);
            }
            self.act();
        }
    }

    fn committed(&mut self, commit: &Commit) {
        self.counts.commits += 1;
        if self.config.record {
            self.history.commit(commit);
        }
        if !is_idle(commit.resource) {
            self.active = self.now;
        }
        if is_ours(commit) && commit.resource == PODS {
            let is_deleting = |object: &Option<Arc<serde_json::Value>>| {
                object
                    .as_ref()
                    .is_none_or(|object| object.pointer("/metadata/deletionTimestamp").is_some())
            };
            self.counts.pods_created += u32::from(commit.before.is_none());
            self.counts.pods_deleted +=
                u32::from(commit.before.is_some() && is_deleting(&commit.after));
        }
        self.violations.extend(self.checker.committed(commit));
        self.spread(commit.resource, commit.version);
        if concerns_collector(commit) {
            self.collect_soon();
        }
    }

    fn act(&mut self) {
        let now = self.timestamp();
        let kubelet = self.kubelet.act(now);
        let user = self.user.act(now);
        for (actor, wake) in [kubelet, user].into_iter().enumerate() {
            // A time of the past is as soon as time goes on.
            let wake = wake.map(|wake| since_start(wake).max(self.now + 1));
            if let Some(known) = self.wakes.get_mut(actor)
                && *known != wake
            {
                *known = wake;
                if let Some(at) = wake {
                    self.queue.push(at, Next::Actor(actor));
                }
            }
        }
    }

    fn collect_soon(&mut self) {
        if self.collecting {
            return;
        }
        self.collecting = true;
        let after = self.dice.millis(self.config.pace.garbage.clone());
        self.queue.push(self.now + millis(after), Next::Collect);
    }

    /// When an actor wants to be called, if one does.
    pub(super) fn next_act(&self) -> Option<u64> {
        self.wakes.iter().copied().flatten().max()
    }

    /// What the actors wait for, where the run cannot go on without it.
    pub(super) fn unfinished(&self) -> Option<String> {
        (!self.user.is_done())
            .then(|| format!("{}; {}", self.user.waits_for(), self.kubelet.waits_for()))
    }

    /// What the invariants say of the end.
    pub(super) fn judged_by_checker(&self) -> Vec<Violation> {
        self.checker.settled_at(self.timestamp())
    }

    pub(super) fn start(&mut self, replica: usize) {
        let number = self.counts.processes + 1;
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        if link.process.is_some() || !self.restarts {
            return;
        }
        let started = Manager::start(Start {
            number,
            at: self.now,
            seed: Dice::new(self.config.seed, &format!("process {number}")).draw(),
            mode: self.story.kinds.mode(),
            origin: ORIGIN,
            ahead: Arc::clone(&link.ahead),
        });
        match started {
            Ok(process) => {
                link.process = Some(process);
                link.number = number;
                self.counts.processes = number;
                self.checker.started(number, self.api.version());
                self.note(|| What::Process {
                    process: number,
                    text: format!("starts as replica {replica}"),
                });
            }
            Err(error) => self.violations.push(broken(
                "simulator",
                format!("no runtime for a process: {error}"),
            )),
        }
    }

    /// The process of a replica is gone, with its connections; another one takes its place later.
    pub(super) fn lose(&mut self, replica: usize, text: String) {
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        let number = link.number;
        if link.process.take().is_none() {
            return;
        }
        link.frozen = None;
        self.streams.retain(|_, stream| stream.process != number);
        let delay = self.dice.millis(RESTART);
        self.queue
            .push(self.now + millis(delay), Next::Start(replica));
        self.note(|| What::Process {
            process: number,
            text,
        });
    }
}

/// Whether a write is one that a system at rest makes.
pub(super) fn is_idle(resource: Resource) -> bool {
    matches!(resource.plural, "leases" | "events")
}

fn is_ours(commit: &Commit) -> bool {
    matches!(commit.writer, ironkeel_invariants::Writer::Controller(_))
}

/// Whether the garbage collector may have something to do: an object went or is about to, or came with an owner who may be
/// gone already.
fn concerns_collector(commit: &Commit) -> bool {
    let Some(after) = &commit.after else {
        return true;
    };
    let has = |path| after.pointer(path).is_some();
    has("/metadata/deletionTimestamp")
        || (commit.before.is_none() && has("/metadata/ownerReferences"))
}

fn timestamp(millis: u64) -> Timestamp {
    ORIGIN
        .checked_add(Duration::from_millis(millis))
        .unwrap_or(Timestamp::MAX)
}

/// Milliseconds from the start to a time, rounded up.
fn since_start(time: Timestamp) -> u64 {
    let micros = time.as_microsecond() - ORIGIN.as_microsecond();
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
