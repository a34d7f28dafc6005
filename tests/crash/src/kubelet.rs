//! A stand-in for scheduler and kubelet: binds pods to a Node object, makes them ready, and ends those that are deleted.
//!
//! A mock stands here although the testbed can run real nodes: the campaign restarts managers, and has pods come and go,
//! hundreds of times a minute, and judges what managers write. Containers would make each run tens of seconds longer and
//! nothing of what is judged truer. What it writes goes through the real API server, as a node's writes do: a binding, a
//! change of the status, and a delete without grace once a pod that was asked to go is gone.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, Request};
use ironkeel_invariants::Writer;
use ironkeel_runtime::resource::PODS;
use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::history::{Ledger, Seen};

/// The one node. Nothing runs there.
const NODE: &str = "crash-node";
/// The least and the most that a start or an end takes; which, follows from the pod's UID. Long enough that a rollout has
/// to wait for pods, short enough for many runs.
const DELAY_MILLIS: (u64, u64) = (15, 60);
/// How often a write is tried again that the server refused for a reason that passes.
const TRIES: u32 = 5;

/// The stand-in; ends when dropped.
pub struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Work {
    client: Client,
    ledger: Ledger,
    /// What was begun already, by UID and step: each event of a pod would begin it again.
    begun: Mutex<HashSet<(String, Step)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Bind,
    Start,
    End,
}

/// What is to be done next with a pod; `None` if it is as it should be.
fn next_step(pod: &Value) -> Option<Step> {
    let bound = pod["spec"]["nodeName"].is_string();
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return Some(Step::End);
    }
    if !bound {
        return Some(Step::Bind);
    }
    (pod["status"]["phase"] != "Running").then_some(Step::Start)
}

impl Kubelet {
    /// Creates the node and serves every pod that `commits` tells of.
    pub async fn start(
        client: Client,
        ledger: Ledger,
        mut commits: mpsc::UnboundedReceiver<Seen>,
    ) -> Result<Self> {
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        let request = Request::post("/api/v1/nodes").body(node.to_string().into_bytes())?;
        client
            .request::<Value>(request)
            .await
            .with_context(|| format!("creating node {NODE}"))?;
        let work = Arc::new(Work {
            client,
            ledger,
            begun: Mutex::default(),
        });
        Ok(Self(tokio::spawn(async move {
            while let Some(seen) = commits.recv().await {
                if seen.resource == PODS {
                    work.take(&seen);
                }
            }
        })))
    }
}

impl Work {
    fn take(self: &Arc<Self>, seen: &Seen) {
        let uid = seen.object["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if seen.removed {
            let mut begun = self.begun.lock();
            for step in [Step::Bind, Step::Start, Step::End] {
                begun.remove(&(uid.clone(), step));
            }
            return;
        }
        let Some(step) = next_step(&seen.object) else {
            return;
        };
        if self.begun.lock().insert((uid, step)) {
            let (work, pod) = (self.clone(), seen.object.clone());
            tokio::spawn(async move { work.carry_out(step, &pod).await });
        }
    }

    async fn carry_out(&self, step: Step, pod: &Value) {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        if step != Step::Bind {
            // What the start of a container takes is the point of it.
            tokio::time::sleep(delay(uid, step)).await;
        }
        for _ in 0..TRIES {
            let sent = match step {
                Step::Bind => {
                    self.send(Method::POST, pod, Some("binding"), binding(pod))
                        .await
                }
                Step::Start => {
                    self.send(Method::PATCH, pod, Some("status"), running(pod))
                        .await
                }
                Step::End => self.send(Method::DELETE, pod, None, end(uid)).await,
            };
            // Gone, or changed so that another event of it follows: not this step's business any more.
            match sent {
                Err(kube::Error::Api(status)) if !matches!(status.code, 404 | 409 | 422) => {}
                _ => return,
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        pod: &Value,
        subresource: Option<&str>,
        body: Value,
    ) -> Result<(), kube::Error> {
        let meta = &pod["metadata"];
        let path = PODS.path(
            meta["namespace"].as_str(),
            meta["name"].as_str(),
            subresource,
        );
        let content = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("{path}?fieldManager=kubelet"))
            .header(http::header::CONTENT_TYPE, content)
            .body(body.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        let reply: Value = self.client.request(request).await?;
        self.ledger.note(&Writer::Kubelet, &method, &reply);
        Ok(())
    }
}

fn delay(uid: &str, step: Step) -> Duration {
    let mut hasher = DefaultHasher::new();
    (uid, step).hash(&mut hasher);
    let (least, most) = DELAY_MILLIS;
    Duration::from_millis(least + hasher.finish() % (most - least))
}

fn binding(pod: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": { "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"] },
        "target": { "apiVersion": "v1", "kind": "Node", "name": NODE },
    })
}

fn running(pod: &Value) -> Value {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .iter()
        .map(|kind| json!({ "type": kind, "status": "True", "lastTransitionTime": now }))
        .collect();
    let containers: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": true, "started": true,
                "restartCount": 0, "state": { "running": { "startedAt": now } },
            })
        })
        .collect();
    json!({
        "metadata": { "uid": pod["metadata"]["uid"] },
        "status": { "phase": "Running", "startTime": now, "conditions": conditions, "containerStatuses": containers },
    })
}

fn end(uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": { "uid": uid },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_bound_started_and_ended() {
        let pod = |node: Option<&str>, phase: &str, deleted: Option<&str>| {
            json!({ "metadata": { "deletionTimestamp": deleted }, "spec": { "nodeName": node },
                    "status": { "phase": phase } })
        };
        assert_eq!(next_step(&pod(None, "Pending", None)), Some(Step::Bind));
        assert_eq!(
            next_step(&pod(Some("n"), "Pending", None)),
            Some(Step::Start)
        );
        assert_eq!(next_step(&pod(Some("n"), "Running", None)), None);
        assert_eq!(
            next_step(&pod(Some("n"), "Running", Some("t"))),
            Some(Step::End)
        );
    }

    #[test]
    fn a_start_takes_a_while_that_follows_from_the_pod() {
        let first = delay("a", Step::Start);
        assert_eq!(first, delay("a", Step::Start));
        let (least, most) = DELAY_MILLIS;
        assert!((least..most).contains(&(first.as_millis() as u64)));
    }
}
