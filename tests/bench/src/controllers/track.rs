//! What a watch of the bench has seen: how far Deployments and ReplicaSets are, and which pods there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, StreamExt};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::api::{Api, Target};

/// The pause between two looks at everything that was seen: a look goes through all of it, and one for each event would take
/// the processor from what is measured.
const LOOK: Duration = Duration::from_millis(10);

/// One object as a watch shows it, reduced to what the bench asks about.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Seen {
    /// Its metadata.
    pub metadata: Meta,
    /// Its status, where the watch carries bodies and there is one.
    #[serde(default)]
    pub status: Option<Status>,
}

/// Metadata of a [`Seen`] object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Generation of the spec.
    #[serde(default)]
    pub generation: i64,
    /// Set while the object is being deleted.
    #[serde(default)]
    pub deletion_timestamp: Option<String>,
}

/// Counts of a Deployment's or ReplicaSet's status.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Generation that the status describes.
    pub observed_generation: i64,
    /// Pods.
    pub replicas: u32,
    /// Pods of the newest template.
    pub updated_replicas: u32,
    /// Pods that are available.
    pub available_replicas: u32,
}

impl Seen {
    /// The status, if it describes the latest spec.
    pub fn current_status(&self) -> Option<Status> {
        self.status
            .filter(|status| status.observed_generation >= self.metadata.generation)
    }
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Happened {
    /// It is new, or was there when the watch began.
    Added,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
    /// The API server tells how far the watch is.
    Bookmark,
    /// The watch cannot go on.
    Error,
}

/// One event of a watch.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub happened: Happened,
    /// To which object.
    pub object: serde_json::Value,
}

/// Follows one kind in one namespace until this is dropped.
pub struct Tracker {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Seen>,
    /// When pods were added, for those who ask when the first came.
    added: Vec<Instant>,
    most: usize,
    gaps: usize,
    broken: Option<String>,
}

impl Tracker {
    /// Begins with what is there. `bodies`: see [`Api::watch`].
    pub async fn start(api: &Api, target: &Target, bodies: bool) -> Result<Self> {
        let mut stream = api.watch(target, bodies).await?;
        let state = Arc::new(Mutex::new(State::default()));
        let (api, target, shared) = (api.clone(), target.clone(), Arc::clone(&state));
        let task = tokio::spawn(async move {
            let broken = loop {
                let mut lines = Box::pin(stream.lines());
                while let Some(Ok(line)) = lines.next().await {
                    if let Err(error) = shared.lock().take(&line) {
                        shared.lock().broken = Some(format!("{error:#}"));
                        return;
                    }
                }
                // The API server drops a watcher that is too slow for it, as the bench is on a crowded machine.
                shared.lock().start_over();
                match api.watch(&target, bodies).await {
                    Ok(again) => stream = again,
                    Err(error) => break format!("{error:#}"),
                }
            };
            shared.lock().broken = Some(broken);
        });
        Ok(Self { state, task })
    }

    /// Waits until exactly `count` objects are there and `good` says yes to each. Returns when that was seen.
    pub async fn wait(
        &self,
        what: &str,
        count: usize,
        limit: Duration,
        good: impl Fn(&Seen) -> bool + Send,
        on_good: &(dyn Fn(u64) + Sync),
    ) -> Result<Instant> {
        let deadline = Instant::now() + limit;
        loop {
            {
                let state = self.state.lock();
                if let Some(broken) = &state.broken {
                    bail!("watching {what}: {broken}");
                }
                let there = state.objects.len();
                let reached = state.objects.values().filter(|seen| good(seen)).count();
                on_good(reached as u64);
                if there == count && reached == count {
                    return Ok(Instant::now());
                }
                if Instant::now() > deadline {
                    let late = state.objects.values().find(|seen| !good(seen));
                    bail!(
                        "after {} s {there} of {count} {what} exist and {reached} are as wanted; one that is not: {late:?}",
                        limit.as_secs()
                    );
                }
            }
            // Not woken by each event, on purpose: see `LOOK`.
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many objects are there now.
    pub fn len(&self) -> usize {
        self.state.lock().objects.len()
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most objects that were there at once.
    pub fn most(&self) -> usize {
        self.state.lock().most
    }

    /// How often the watch had to begin again: what came and went meanwhile was not seen.
    pub fn gaps(&self) -> usize {
        self.state.lock().gaps
    }

    /// When the first object came after `after`.
    pub fn first_added_after(&self, after: Instant) -> Option<Instant> {
        let state = self.state.lock();
        state.added.iter().find(|added| **added > after).copied()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// A new watch begins with what is there.
    fn start_over(&mut self) {
        self.objects.clear();
        self.gaps += 1;
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("reading an event: {line:.200}"))?;
        if event.happened == Happened::Error {
            bail!("the watch ended: {}", event.object);
        }
        if event.happened == Happened::Bookmark {
            return Ok(());
        }
        let seen: Seen = serde_json::from_value(event.object)?;
        match event.happened {
            Happened::Deleted => {
                self.objects.remove(&seen.metadata.name);
            }
            happened => {
                if happened == Happened::Added {
                    self.added.push(Instant::now());
                }
                self.objects.insert(seen.metadata.name.clone(), seen);
                self.most = self.most.max(self.objects.len());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_change_and_go() {
        let mut state = State::default();
        let line = |kind: &str, name: &str, replicas: u32| {
            format!(
                r#"{{"type":"{kind}","object":{{"metadata":{{"name":"{name}","generation":2}},"status":{{"observedGeneration":2,"replicas":{replicas}}}}}}}"#
            )
        };
        state.take(&line("ADDED", "a", 1)).unwrap();
        state.take(&line("ADDED", "b", 2)).unwrap();
        state.take(&line("MODIFIED", "a", 7)).unwrap();
        assert_eq!(state.objects["a"].current_status().unwrap().replicas, 7);
        state.take(&line("DELETED", "b", 2)).unwrap();
        assert_eq!(
            (state.objects.len(), state.most, state.added.len()),
            (1, 2, 2)
        );
        let error = r#"{"type":"ERROR","object":{"code":410}}"#;
        assert!(state.take(error).unwrap_err().to_string().contains("410"));
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_current() {
        let seen: Seen = serde_json::from_str(
            r#"{"metadata":{"name":"a","generation":3},"status":{"observedGeneration":2,"replicas":1}}"#,
        )
        .unwrap();
        assert!(seen.current_status().is_none());
    }
}
