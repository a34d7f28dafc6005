//! A stand-in for kubelets: makes pods ready.
//!
//! A mock stands here because thousands of real kubelets, or KWOK's machinery, would take more of a small machine than
//! the controllers that are measured, and not the same amount in every run. This one does what a controller can see of
//! a kubelet, the one status write that makes a pod ready, at once, with a bounded number in flight, and the same for
//! every side. Its requests are counted and taken away from the measured program's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use futures::{AsyncBufReadExt, StreamExt};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::api::{Api, Patch, Target};
use super::objects::Family;
use super::track::{Event, Happened, Seen};

/// Status writes under way at once.
const IN_FLIGHT: usize = 16;

/// Makes every pod of a namespace ready until this is dropped.
pub struct Kubelet {
    task: JoinHandle<()>,
    failed: Arc<AtomicU64>,
}

impl Kubelet {
    /// Starts with what is there.
    pub async fn start(api: &Api, namespace: &str) -> Result<Self> {
        let pods = Target::new(Family::BuiltIn, namespace, "pods");
        let stream = api.watch(&pods, false).await?;
        let failed = Arc::new(AtomicU64::new(0));
        let (api, failures) = (api.clone(), Arc::clone(&failed));
        let task = tokio::spawn(async move {
            let permits = Arc::new(Semaphore::new(IN_FLIGHT));
            let mut known = BTreeSet::new();
            let mut stream = stream;
            loop {
                let mut lines = Box::pin(stream.lines());
                while let Some(Ok(line)) = lines.next().await {
                    // A watch that begins again tells of pods that are ready already.
                    let Some(pod) = new_pod(&line).filter(|pod| known.insert(pod.clone())) else {
                        continue;
                    };
                    let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                        return;
                    };
                    let (api, failures) = (api.clone(), Arc::clone(&failures));
                    let target = pods.clone().named(&pod).status();
                    tokio::spawn(async move {
                        // A pod that was deleted in the meantime is none of its business.
                        let result = api.patch(&target, Patch::Strategic, &ready()).await;
                        if result.is_err() {
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                        drop(permit);
                    });
                }
                let Ok(again) = api.watch(&pods, false).await else {
                    failures.fetch_add(1, Ordering::Relaxed);
                    return;
                };
                stream = again;
            }
        });
        Ok(Self { task, failed })
    }

    /// Status writes that went wrong for another reason than that the pod was gone.
    pub fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name of a pod that is new and not about to go.
fn new_pod(line: &str) -> Option<String> {
    let event: Event = serde_json::from_str(line).ok()?;
    if event.happened != Happened::Added {
        return None;
    }
    let pod: Seen = serde_json::from_value(event.object).ok()?;
    pod.metadata
        .deletion_timestamp
        .is_none()
        .then_some(pod.metadata.name)
}

fn ready() -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition =
        |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now });
    json!({ "status": {
        "phase": "Running",
        "startTime": now,
        "conditions": [condition("Initialized"), condition("ContainersReady"), condition("Ready")],
    } })
}

/// A change of status that means nothing to a controller, as nodes report it all the time.
pub fn heartbeat(number: u64) -> Value {
    json!({ "status": { "conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": format!("looked {number} times"),
    }] } })
}
