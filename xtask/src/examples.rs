//! `examples/`: applied to the cluster, and when each of them is ready.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Outcome, Progress};
use serde_json::Value;

use crate::access::Access;
use crate::progress::Screen;
use crate::{shell, workspace};

const READY_WITHIN: Duration = Duration::from_mins(3);

/// The folder of the examples.
pub(crate) fn folder() -> PathBuf {
    workspace::root().join("examples")
}

/// Applies every example and waits until each is ready. Returns them as the API server has them.
pub(crate) fn apply(access: &Access, log: &Path, screen: &Screen) -> Result<Vec<Value>> {
    let folder = folder();
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    let mut kubectl = access.kubectl();
    kubectl.args([
        "apply",
        "--server-side",
        "--field-manager=ironkeel-xtask",
        "--recursive",
    ]);
    kubectl.arg("--filename").arg(&folder);
    shell::run(kubectl, log, &mut |_| {}).context("applying examples/")?;

    let step = "examples";
    let mut objects = list(access, &folder)?;
    screen.start(step, Some(objects.len() as u64));
    let deadline = Instant::now() + READY_WITHIN;
    let mut outcome = Outcome::Unchanged;
    loop {
        let waiting: Vec<String> = objects
            .iter()
            .filter_map(|object| unready(object).map(|why| format!("{}: {why}", name(object))))
            .collect();
        let Some(first) = waiting.first() else {
            break;
        };
        if Instant::now() > deadline {
            screen.finish(step, Outcome::Failed);
            bail!(
                "{} of {} examples are not ready after {} s:\n  {}",
                waiting.len(),
                objects.len(),
                READY_WITHIN.as_secs(),
                waiting.join("\n  ")
            );
        }
        outcome = Outcome::Done;
        screen.advance(step, (objects.len() - waiting.len()) as u64, first);
        thread::sleep(Duration::from_millis(500));
        objects = list(access, &folder)?;
    }
    screen.finish(step, outcome);
    Ok(objects)
}

fn list(access: &Access, folder: &Path) -> Result<Vec<Value>> {
    let mut kubectl = access.kubectl();
    kubectl.args(["get", "--output=json", "--recursive"]);
    kubectl.arg("--filename").arg(folder);
    let text = shell::read(kubectl)?;
    let mut found: Value = serde_json::from_str(&text).context("reading kubectl's output")?;
    // A single object comes without a list around it.
    Ok(match found.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![found],
    })
}

/// `Kind name`, as messages name an object.
pub(crate) fn name(object: &Value) -> String {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

/// Why the object is not ready yet; `None` where it is, or where its kind has no such state.
fn unready(object: &Value) -> Option<String> {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    let observed = number("/status/observedGeneration").unwrap_or(0);
    let kind = object
        .pointer("/kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let counts: &[&str] = match kind {
        "Deployment" => &[
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ],
        "ReplicaSet" | "ReplicationController" => {
            &["replicas", "readyReplicas", "availableReplicas"]
        }
        _ => return None,
    };
    if observed < number("/metadata/generation").unwrap_or(1) {
        return Some("its controller has not seen it".to_owned());
    }
    let wanted = number("/spec/replicas").unwrap_or(1);
    counts.iter().find_map(|count| {
        let found = number(&format!("/status/{count}")).unwrap_or(0);
        (found != wanted).then(|| format!("{count} is {found}, not {wanted}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(object: &Value, expected: Option<&str>) {
        assert_eq!(unready(object).as_deref(), expected, "{object}");
    }

    #[test]
    fn ready_means_seen_updated_and_available() {
        let mut deployment = json!({
            "kind": "Deployment",
            "metadata": { "name": "web", "generation": 2 },
            "spec": { "replicas": 3 },
            "status": { "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
                        "availableReplicas": 3 },
        });
        check(&deployment, Some("its controller has not seen it"));
        deployment["status"]["observedGeneration"] = json!(2);
        check(&deployment, None);
        deployment["status"]["replicas"] = json!(4);
        check(&deployment, Some("replicas is 4, not 3"));
        deployment["status"]["replicas"] = json!(3);
        deployment["status"]["availableReplicas"] = json!(2);
        check(&deployment, Some("availableReplicas is 2, not 3"));
        assert_eq!(name(&deployment), "Deployment web");
    }

    #[test]
    fn an_object_that_nobody_touched_is_not_ready() {
        check(
            &json!({ "kind": "ReplicaSet", "metadata": { "generation": 1 }, "spec": {} }),
            Some("its controller has not seen it"),
        );
    }

    #[test]
    fn none_wanted_and_none_there_is_ready() {
        check(
            &json!({ "kind": "ReplicaSet", "metadata": { "generation": 1 }, "spec": { "replicas": 0 },
                     "status": { "observedGeneration": 1, "replicas": 0 } }),
            None,
        );
    }

    #[test]
    fn kinds_without_replicas_are_ready_when_they_are_there() {
        check(
            &json!({ "kind": "Service", "metadata": { "name": "web" } }),
            None,
        );
    }
}
