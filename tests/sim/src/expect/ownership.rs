//! Whose is what at the end: leftovers, orphans, strangers.

use std::collections::BTreeSet;

use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS};
use serde_json::Value;

use super::intent::{Intent, Removed};
use super::{End, Verdict, is_active, is_complete, read};
use crate::scenario::{Kinds, NAMESPACE, Propagation, Target};

/// Judges an object of somebody else: it is as it was made.
pub(super) fn stranger(target: &Target, made: &Value, is: &Value, verdict: &mut Verdict) {
    let rule = "END-strangers";
    verdict.unless(!read::is_deleting(is), rule, || {
        format!("{target} of a stranger is being deleted")
    });
    if made["metadata"]["labels"] != is["metadata"]["labels"] {
        let labels = &is["metadata"]["labels"];
        verdict.add(rule, format!("{target} of a stranger has labels {labels}"));
    }
    let owners = |object: &Value| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .map_or(0, Vec::len)
    };
    verdict.unless(owners(made) == owners(is), rule, || {
        format!(
            "{target} of a stranger has {} owners, not {}",
            owners(is),
            owners(made)
        )
    });
    if let Some(at) = read::differs(&made["spec"], &is["spec"], "spec") {
        verdict.add(rule, format!("{target} of a stranger: {at} was changed"));
    }
}

/// Judges what is left of an object that the user deleted.
pub(super) fn deleted(
    kinds: Kinds,
    target: &Target,
    removed: &Removed,
    deleted_pods: i64,
    end: &End,
    verdict: &mut Verdict,
) {
    if end.get(target).is_some() {
        verdict.add("END-deleted", format!("{target} was deleted and is there"));
    }
    let Some(last) = &removed.last else {
        return;
    };
    let is_deployment = target.resource == kinds.deployments();
    let took_all = removed.propagation != Propagation::Orphan;
    if took_all || is_complete(last).is_err() {
        return;
    }
    // What it owned stays and goes on: a set keeps its pods, pods keep running.
    let labels = &last["spec"]["template"]["metadata"]["labels"];
    let size = read::size(last);
    let kept: i64 = if is_deployment {
        end.all(kinds.replica_sets())
            .filter(|set| set["metadata"]["labels"]["app"] == labels["app"])
            .map(read::size)
            .sum()
    } else {
        let pods = end.all(PODS).filter(|pod| is_active(pod));
        pods.filter(|pod| read::selects(last, &pod["metadata"]["labels"]))
            .count() as i64
    };
    // A pod that was deleted right before had nobody left to replace it; the status did not know of it yet.
    let rest = size - deleted_pods;
    verdict.unless((rest..=size).contains(&kept), "END-orphans", || {
        format!("{target} was deleted and orphaned {size} replicas, of which {kept} are there")
    });
}

/// Judges all owners: they exist, they match, and nothing that matches is left alone.
pub(super) fn judge(kinds: Kinds, intent: &Intent, end: &End, verdict: &mut Verdict) {
    let uids: BTreeSet<&str> = end
        .0
        .values()
        .map(|object| read::text(object, "/metadata/uid"))
        .collect();
    for (target, object) in &end.0 {
        if target.key.namespace != NAMESPACE {
            continue;
        }
        let owners = object["metadata"]["ownerReferences"].as_array();
        for owner in owners.into_iter().flatten() {
            let uid = read::text(owner, "/uid");
            verdict.unless(uids.contains(uid), "END-leftovers", || {
                let owner = read::text(owner, "/name");
                format!("{target} is left of its owner {owner}, which is gone")
            });
        }
        verdict.unless(!read::is_deleting(object), "END-leftovers", || {
            format!("{target} is still being deleted")
        });
    }
    let mut sets: Vec<&Value> = end.all(kinds.replica_sets()).collect();
    if kinds == Kinds::Native {
        sets.extend(end.all(REPLICATION_CONTROLLERS));
    }
    for pod in end.all(PODS).filter(|pod| is_active(pod)) {
        let name = read::text(pod, "/metadata/name");
        let labels = &pod["metadata"]["labels"];
        let matching: Vec<&&Value> = sets
            .iter()
            .filter(|set| read::selects(set, labels))
            .collect();
        match read::controller(pod) {
            None => verdict.unless(matching.is_empty(), "END-adoption", || {
                format!("pod {name} has no owner, and a set selects it")
            }),
            Some(uid) => {
                let owner = sets
                    .iter()
                    .find(|set| read::text(set, "/metadata/uid") == uid);
                if let Some(owner) = owner {
                    verdict.unless(read::selects(owner, labels), "END-release", || {
                        let owner = read::text(owner, "/metadata/name");
                        format!("pod {name} belongs to {owner}, which does not select it")
                    });
                }
            }
        }
    }
    for name in &intent.relabelled {
        let pod = end
            .all(PODS)
            .find(|pod| read::text(pod, "/metadata/name") == name);
        verdict.unless(pod.is_some(), "END-release", || {
            format!("pod {name}, whose labels the user changed, is gone")
        });
    }
}

/// Judges the end of a namespace.
pub(super) fn namespace_is_gone(end: &End, verdict: &mut Verdict) {
    for target in end.0.keys() {
        let left = target.key.namespace == NAMESPACE
            || (target.key.namespace.is_empty() && target.key.name == NAMESPACE);
        verdict.unless(!left, "END-leftovers", || {
            format!("{target} is left of a namespace that was deleted")
        });
    }
}
