//! The end of a ReplicaSet, and of a ReplicationController.

use serde_json::Value;

use super::intent::{Intent, Wanted};
use super::{End, Verdict, condition, is_complete, is_ready, read};
use crate::kubelet::BROKEN;

/// Judges a set that the user made.
pub(super) fn judge(
    intent: &Intent,
    wanted: &Wanted,
    set: &Value,
    end: &End,
    verdict: &mut Verdict,
) {
    let name = name(set);
    if let Some(at) = read::differs(&wanted.object["spec"], &set["spec"], "spec") {
        verdict.add(
            "END-spec",
            format!("{name}: {at} is not as the user wrote it"),
        );
    }
    verdict.unless(!read::is_deleting(set), "END-deleting", || {
        format!("{name} is being deleted")
    });
    let size = read::size(set);
    let (status, reason) = condition(set, "ReplicaFailure");
    if intent.quota().is_some_and(|quota| quota < size) {
        verdict.unless(
            status == "True" && reason == "FailedCreate",
            "END-failure",
            || format!("{name}: a quota refuses pods, and ReplicaFailure is {status:?} {reason:?}"),
        );
        return;
    }
    verdict.unless(status.is_empty(), "END-failure", || {
        format!("{name}: ReplicaFailure is {status} {reason} though nothing is refused")
    });
    let pods = end.active_pods(set).count() as i64;
    verdict.unless(pods == size, "END-pods", || {
        format!("{name} has {pods} pods, not {size}")
    });
    if !read::image(set).contains(BROKEN)
        && let Err(why) = is_complete(set)
    {
        verdict.add("END-complete", format!("{name}: {why}"));
    }
}

/// Judges whether the status of a set says what is there.
pub(super) fn status_is_true(set: &Value, end: &End, verdict: &mut Verdict) {
    if read::is_deleting(set) {
        return;
    }
    let name = name(set);
    let generation = read::int(set, "/metadata/generation");
    let active = end.active_pods(set).count() as i64;
    let ready = end.active_pods(set).filter(|pod| is_ready(pod)).count() as i64;
    for (field, is) in [
        ("observedGeneration", generation),
        ("replicas", active),
        ("readyReplicas", ready),
        // Every story is silent for longer than any minReadySeconds before it ends.
        ("availableReplicas", ready),
        ("terminatingReplicas", 0),
    ] {
        let says = read::int(set, &format!("/status/{field}"));
        verdict.unless(says == is, "END-status", || {
            format!("{name}: status.{field} is {says}, and {is} is right")
        });
    }
}

fn name(set: &Value) -> String {
    format!(
        "{} {}",
        read::text(set, "/kind").to_lowercase(),
        read::text(set, "/metadata/name")
    )
}
