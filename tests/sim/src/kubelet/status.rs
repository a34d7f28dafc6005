//! The status that a kubelet writes, as a merge patch.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Trouble;
use super::course::{Deed, Pod};

/// The patch of the status that tells of `deed`; an empty one for what is no status.
pub(super) fn patch(pod: &Pod<'_>, deed: &Deed, now: Timestamp) -> Value {
    let restarts = pod.restarts();
    match deed {
        Deed::Start => running(pod, false, restarts, now, true),
        Deed::Ready => running(pod, true, restarts, now, false),
        Deed::Go(Trouble::Unready(_)) => running(pod, false, restarts, now, false),
        Deed::Go(Trouble::Restart(_)) => running(pod, false, restarts + 1, now, false),
        Deed::Go(Trouble::Fail) => ended(pod, "Failed", 1, None, now),
        Deed::Go(Trouble::Evict) => ended(pod, "Failed", 137, Some("Evicted"), now),
        Deed::Go(Trouble::Succeed) | Deed::End => ended(pod, "Succeeded", 0, None, now),
        Deed::Wait => json!({"status": {
            "phase": "Pending",
            "startTime": time(now),
            "conditions": conditions(pod, false, now),
            "containerStatuses": [{
                "name": "main",
                "image": pod.image(),
                "imageID": "",
                "ready": false,
                "restartCount": 0,
                "started": false,
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
            }],
        }}),
        Deed::Bind(_)
        | Deed::Drain
        | Deed::Remove
        | Deed::Go(Trouble::Drain | Trouble::Slow(_) | Trouble::Stuck(_)) => json!({}),
    }
}

fn running(pod: &Pod<'_>, ready: bool, restarts: i64, now: Timestamp, first: bool) -> Value {
    let mut status = json!({
        "phase": "Running",
        "conditions": conditions(pod, ready, now),
        "containerStatuses": [{
            "name": "main",
            "image": pod.image(),
            "imageID": format!("sim/{}", pod.image()),
            "ready": ready,
            "restartCount": restarts,
            "started": true,
            "state": {"running": {"startedAt": time(now)}},
        }],
    });
    if first {
        status["startTime"] = json!(time(now));
        status["podIP"] = json!("10.0.0.1");
        status["podIPs"] = json!([{"ip": "10.0.0.1"}]);
    }
    json!({"status": status})
}

fn ended(pod: &Pod<'_>, phase: &str, code: i32, reason: Option<&str>, now: Timestamp) -> Value {
    let why = if code == 0 { "Completed" } else { "Error" };
    let mut status = json!({
        "phase": phase,
        "conditions": conditions(pod, false, now),
        "containerStatuses": [{
            "name": "main",
            "image": pod.image(),
            "imageID": format!("sim/{}", pod.image()),
            "ready": false,
            "restartCount": pod.restarts(),
            "started": false,
            "state": {"terminated": {"exitCode": code, "reason": why, "finishedAt": time(now), "startedAt": null}},
        }],
    });
    if let Some(reason) = reason {
        status["reason"] = json!(reason);
        status["message"] = json!("The node was low on resource: memory.");
    }
    json!({"status": status})
}

/// All conditions: a merge patch replaces a list as a whole. Those that keep their status keep their time.
fn conditions(pod: &Pod<'_>, ready: bool, now: Timestamp) -> Value {
    let known = pod
        .object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let condition = |kind: &str, status: bool| {
        let status = if status { "True" } else { "False" };
        let before = known.and_then(|known| {
            known
                .iter()
                .find(|known| known["type"] == kind && known["status"] == status)
        });
        before.cloned().unwrap_or_else(
            || json!({"type": kind, "status": status, "lastTransitionTime": time(now)}),
        )
    };
    json!([
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", ready),
        condition("Ready", ready),
    ])
}

/// As the API writes times: in whole seconds.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
