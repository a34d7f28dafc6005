//! What becomes of a pod, and what is next.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{BROKEN, Mishap, Settings, Trouble};
use crate::dice::Dice;

/// A pod as it is stored, as far as its kubelet cares.
#[derive(Debug)]
pub(super) struct Pod<'a> {
    pub(super) object: &'a Value,
    pub(super) uid: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No node has it.
    Unbound,
    /// A node has it; no container runs.
    Bound,
    /// Its image cannot be pulled.
    Stuck,
    /// Its containers run.
    Running,
    /// They are ready.
    Ready,
    /// It ended by itself.
    Ended,
    /// Somebody deleted it.
    Terminating,
    /// That, and its containers have ended.
    Terminated,
}

impl<'a> Pod<'a> {
    /// Reads a stored pod.
    pub(super) fn of(object: &'a Value) -> Self {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        Self {
            object,
            uid: text("/metadata/uid"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    /// How far it is, by what is stored.
    pub(super) fn stage(&self) -> Stage {
        let phase = self.text("/status/phase");
        let ended = matches!(phase, "Succeeded" | "Failed");
        if self.object.pointer("/metadata/deletionTimestamp").is_some() {
            return if ended {
                Stage::Terminated
            } else {
                Stage::Terminating
            };
        }
        if ended {
            return Stage::Ended;
        }
        if self.text("/spec/nodeName").is_empty() {
            return Stage::Unbound;
        }
        if phase != "Running" {
            let waits = "/status/containerStatuses/0/state/waiting/reason";
            return if self.text(waits).is_empty() {
                Stage::Bound
            } else {
                Stage::Stuck
            };
        }
        if self.is_ready() {
            Stage::Ready
        } else {
            Stage::Running
        }
    }

    /// The condition `Ready`.
    pub(super) fn is_ready(&self) -> bool {
        let conditions = self.object.pointer("/status/conditions");
        conditions
            .and_then(Value::as_array)
            .is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            })
    }

    /// Image of its first container.
    pub(super) fn image(&self) -> &'a str {
        self.text("/spec/containers/0/image")
    }

    /// How often its container was started again.
    pub(super) fn restarts(&self) -> i64 {
        self.object
            .pointer("/status/containerStatuses/0/restartCount")
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }

    /// The one node that it may run on, as the pods of a DaemonSet say it.
    fn required_node(&self) -> Option<&'a str> {
        let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        self.object
            .pointer(terms)?
            .as_array()?
            .iter()
            .find_map(|term| {
                let field = term.pointer("/matchFields/0")?;
                (field["key"] == "metadata.name").then_some(())?;
                field.pointer("/values/0")?.as_str()
            })
    }

    fn grace(&self) -> Duration {
        let seconds = self
            .object
            .pointer("/metadata/deletionGracePeriodSeconds")
            .and_then(Value::as_u64);
        Duration::from_secs(seconds.unwrap_or(30))
    }
}

/// What chance has in store for one pod.
#[derive(Clone, Debug)]
pub(super) struct Course {
    node: String,
    bind: Duration,
    start: Duration,
    ready: Duration,
    stop: Duration,
    /// Whether its kubelet shows the end of its containers before it removes the pod.
    shows_end: bool,
    /// What is still to go wrong, in order.
    mishaps: Vec<Mishap>,
}

impl Course {
    /// Draws the course of the pod `number`.
    pub(super) fn draw(settings: &Settings, dice: &mut Dice, number: usize) -> Self {
        Self {
            node: format!("node-{}", dice.below(settings.nodes)),
            bind: dice.millis(settings.bind.clone()),
            start: dice.millis(settings.start.clone()),
            ready: dice.millis(settings.ready.clone()),
            stop: dice.millis(settings.stop.clone()),
            shows_end: dice.chance(50),
            mishaps: settings
                .mishaps
                .iter()
                .filter(|mishap| mishap.pod == number)
                .cloned()
                .collect(),
        }
    }

    /// Notes that `deed` was done: what went wrong goes wrong once.
    pub(super) fn performed(&mut self, deed: &Deed) {
        let trouble = match deed {
            Deed::Go(trouble) => *trouble,
            Deed::Drain => Trouble::Drain,
            _ => return,
        };
        if let Trouble::Unready(delay) | Trouble::Restart(delay) = trouble {
            self.ready = delay;
        }
        self.mishaps.retain(|mishap| mishap.trouble != trouble);
    }

    fn next_mishap(&self) -> Option<&Mishap> {
        self.mishaps
            .iter()
            .find(|mishap| !matches!(mishap.trouble, Trouble::Slow(_) | Trouble::Stuck(_)))
    }

    fn until_ready(&self) -> Duration {
        self.mishaps
            .iter()
            .find_map(|mishap| match mishap.trouble {
                Trouble::Slow(delay) => Some(delay),
                _ => None,
            })
            .unwrap_or(self.ready)
    }

    fn until_stopped(&self, grace: Duration) -> Duration {
        self.mishaps
            .iter()
            .find_map(|mishap| match mishap.trouble {
                Trouble::Stuck(delay) => Some(delay),
                _ => None,
            })
            .unwrap_or_else(|| self.stop.min(grace))
    }
}

/// What a kubelet or the scheduler does to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Gives it a node.
    Bind(String),
    /// Starts its containers.
    Start,
    /// Says that their image cannot be pulled.
    Wait,
    /// Says that they are ready.
    Ready,
    /// What goes wrong.
    Go(Trouble),
    /// Deletes it, as who drains a node does.
    Drain,
    /// Says that its containers have ended after its deletion.
    End,
    /// Removes it from the server.
    Remove,
}

/// What is next with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until somebody changes it.
    Nothing,
    /// Look again then.
    At(Timestamp),
    /// This, now.
    Do(Deed),
}

/// What is next with a pod that has been in its stage `since` then.
pub(super) fn next(pod: &Pod<'_>, course: &Course, since: Timestamp, now: Timestamp) -> Next {
    let after = |delay: Duration, deed: Deed| match since.checked_add(delay) {
        Ok(time) if time > now => Next::At(time),
        _ => Next::Do(deed),
    };
    match pod.stage() {
        Stage::Unbound => {
            let node = pod.required_node().unwrap_or(&course.node);
            after(course.bind, Deed::Bind(node.to_owned()))
        }
        Stage::Bound if pod.image().contains(BROKEN) => after(course.start, Deed::Wait),
        Stage::Bound => after(course.start, Deed::Start),
        Stage::Running => after(course.until_ready(), Deed::Ready),
        Stage::Ready => match course.next_mishap() {
            None => Next::Nothing,
            Some(mishap) => after(
                mishap.after,
                match mishap.trouble {
                    Trouble::Drain => Deed::Drain,
                    trouble => Deed::Go(trouble),
                },
            ),
        },
        Stage::Stuck | Stage::Ended => Next::Nothing,
        Stage::Terminating if pod.text("/spec/nodeName").is_empty() => Next::Do(Deed::Remove),
        Stage::Terminating => {
            let deed = if course.shows_end {
                Deed::End
            } else {
                Deed::Remove
            };
            after(course.until_stopped(pod.grace()), deed)
        }
        Stage::Terminated => after(Duration::from_millis(1), Deed::Remove),
    }
}
