//! From what the watches saw to commits with their writers.

use std::collections::HashMap;
use std::sync::Arc;

use ironkeel_invariants::{Commit, Writer};
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use serde_json::Value;

use super::Ledger;
use super::observer::{Seen, text};

/// The commits, in order, each with the state before it. `seen` is sorted by version and begins with an empty namespace.
///
/// The answers in `ledger` name the writer of nearly all. What no answer names was written by somebody whose requests this
/// program does not see, or whose answers carry no state, and is told by its content: in this cluster only the scheduler's
/// stand-in binds, and of everybody else only the garbage collector changes owners, finalizers or the time of deletion.
pub fn commits(seen: &[Seen], ledger: &Ledger) -> Vec<Commit> {
    let mut state: HashMap<(Resource, String), Arc<Value>> = HashMap::new();
    let mut commits = Vec::with_capacity(seen.len());
    for seen in seen {
        let key = (seen.resource, seen.name().to_owned());
        let before = state.remove(&key);
        let after = (!seen.removed).then(|| seen.object.clone());
        if let Some(after) = &after {
            state.insert(key, after.clone());
        }
        commits.push(Commit {
            version: seen.version,
            at: seen.at,
            writer: writer(seen, before.as_deref(), ledger),
            resource: seen.resource,
            key: Key::new(seen.namespace(), seen.name()),
            before,
            after,
        });
    }
    commits
}

fn writer(seen: &Seen, before: Option<&Value>, ledger: &Ledger) -> Writer {
    let object = &*seen.object;
    if seen.removed {
        return ledger
            .removed(text(object, "uid"))
            // A change that took the last finalizer of an object that was being deleted removed it.
            .or_else(|| ledger.stored(seen.version))
            .unwrap_or(Writer::GarbageCollector);
    }
    if let Some(writer) = ledger.stored(seen.version) {
        return writer;
    }
    let Some(before) = before else {
        return Writer::Other("unknown".into());
    };
    let was_bound = before["spec"]["nodeName"].is_string();
    if !was_bound && object["spec"]["nodeName"].is_string() {
        return Writer::Scheduler;
    }
    // The server carries out the kubelet's delete in two steps: the grace ends, then the pod goes.
    let was_deleted = before["metadata"]["deletionTimestamp"].is_string();
    let grace_is_over = object["metadata"]["deletionGracePeriodSeconds"] == 0;
    if was_deleted && grace_is_over && ledger.removed(text(object, "uid")) == Some(Writer::Kubelet)
    {
        return Writer::Kubelet;
    }
    let meta = |field: &str| (&before["metadata"][field], &object["metadata"][field]);
    let by_collector = ["deletionTimestamp", "finalizers", "ownerReferences"]
        .into_iter()
        .map(meta)
        .any(|(before, after)| before != after);
    if by_collector {
        Writer::GarbageCollector
    } else {
        Writer::Other("unknown".into())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use ironkeel_runtime::resource::PODS;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn seen(version: u64, object: Value, removed: bool) -> Seen {
        Seen {
            version,
            at: Timestamp::UNIX_EPOCH,
            resource: PODS,
            object: Arc::new(object),
            removed,
        }
    }

    #[test]
    fn a_pods_life_has_five_writers() {
        let ledger = Ledger::default();
        let reply = |version: &str| json!({ "metadata": { "resourceVersion": version } });
        ledger.note(&Writer::Controller(2), &Method::POST, &reply("5"));
        ledger.note(&Writer::Kubelet, &Method::PATCH, &reply("7"));
        let status = json!({ "kind": "Status", "details": { "uid": "u" } });
        ledger.note(&Writer::Kubelet, &Method::DELETE, &status);

        let pod = |node: Option<&str>, deleted: Option<&str>| {
            let grace = deleted.map(|deleted| if deleted == "now" { 0 } else { 30 });
            json!({ "metadata": { "namespace": "a", "name": "p", "uid": "u", "deletionTimestamp": deleted,
                                  "deletionGracePeriodSeconds": grace },
                    "spec": { "nodeName": node } })
        };
        let history = [
            seen(5, pod(None, None), false),
            seen(6, pod(Some("n"), None), false),
            seen(7, pod(Some("n"), None), false),
            seen(8, pod(Some("n"), Some("t")), false),
            seen(9, pod(Some("n"), Some("now")), false),
            seen(10, pod(Some("n"), Some("now")), true),
        ];
        let commits = commits(&history, &ledger);
        let writers: Vec<&Writer> = commits.iter().map(|commit| &commit.writer).collect();
        assert_eq!(
            writers,
            [
                &Writer::Controller(2),
                &Writer::Scheduler,
                &Writer::Kubelet,
                &Writer::GarbageCollector,
                &Writer::Kubelet,
                &Writer::Kubelet
            ]
        );
        assert!(commits[0].before.is_none() && commits[5].after.is_none());
        assert_eq!(commits[5].before, commits[4].after);
    }

    #[test]
    fn a_write_that_nobody_owns_up_to_is_not_put_on_the_collector() {
        let object = |label: &str| json!({ "metadata": { "name": "p", "labels": { "a": label } } });
        let history = [seen(1, object("x"), false), seen(2, object("y"), false)];
        let commits = commits(&history, &Ledger::default());
        let unknown = Writer::Other("unknown".into());
        assert!(commits.iter().all(|commit| commit.writer == unknown));
    }
}
