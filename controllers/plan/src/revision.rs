//! Revision numbers and the annotations that a Deployment shares with its ReplicaSets.

use std::collections::BTreeMap;

/// Number of the rollout, on a ReplicaSet and on the Deployment.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier revisions of a ReplicaSet that was returned to, separated by commas.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the ReplicaSet was last sized.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// `spec.replicas` plus the surge when the ReplicaSet was last sized.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// What `kubectl apply` last applied.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Revision to return to, written by clients of an API that is long gone.
pub const ROLLBACK_TO: &str = "deprecated.deployment.rollback.to";
/// Size of a ReplicaSet before a scaling that has to wait for terminating pods (KEP-5882).
pub const BEFORE_SCALE: &str = "deployment.kubernetes.io/replicaset-replicas-before-scale";
/// On a ReplicaSet: the revision that it had when its rollout was last complete. Written only
/// for a Deployment that asks for automatic rollback.
pub const COMPLETED: &str = "deployment.ironkeel.dev/completed-revision";
/// On a ReplicaSet: the revision that missed its deadline and was rolled back.
pub const ROLLED_BACK: &str = "deployment.ironkeel.dev/rolled-back-revision";
/// On a Deployment: the last automatic rollback, as JSON.
pub const ROLLBACK: &str = "deployment.ironkeel.dev/rollback";

/// The longest `revision-history`, in bytes.
const MAX_HISTORY: usize = 2000;

/// Annotations that belong to one object and are never copied between a Deployment and its
/// ReplicaSets. `kubectl rollout undo` skips the first six as well.
pub fn is_own(key: &str) -> bool {
    matches!(
        key,
        LAST_APPLIED
            | REVISION
            | REVISION_HISTORY
            | DESIRED_REPLICAS
            | MAX_REPLICAS
            | ROLLBACK_TO
            | BEFORE_SCALE
            | COMPLETED
            | ROLLED_BACK
            | ROLLBACK
    )
}

/// The revision in `annotations`; `None` when there is none or it is no number.
pub fn number(annotations: &BTreeMap<String, String>) -> Option<i64> {
    annotations.get(REVISION)?.parse().ok()
}

/// The number in annotation `key`, which must be a count of replicas.
pub fn count(annotations: &BTreeMap<String, String>, key: &str) -> Option<i32> {
    let number: u32 = annotations.get(key)?.parse().ok()?;
    i32::try_from(number).ok()
}

/// The revision after those of the ReplicaSets with these annotations.
pub fn next<'a>(sets: impl Iterator<Item = &'a BTreeMap<String, String>>) -> i64 {
    sets.filter_map(number).fold(0, i64::max).saturating_add(1)
}

/// The Deployment's annotations that its newest ReplicaSet carries too.
pub fn copied(deployment: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    deployment.iter().filter(|(key, _)| !is_own(key))
}

/// Annotations of the newest ReplicaSet that have to change: copies of the Deployment's, and
/// its revision when `next` is higher. The old number then goes to the history (upstream
/// `SetNewReplicaSetAnnotations`, 1.37). A revision that is no number is replaced.
pub fn changes(
    deployment: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
    next: i64,
) -> BTreeMap<String, String> {
    let mut changes: BTreeMap<String, String> = copied(deployment)
        .filter(|(key, value)| set.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let old = number(set);
    if old.is_none_or(|old| old < next) {
        changes.insert(REVISION.to_owned(), next.to_string());
        if let Some(old) = old {
            let history = set.get(REVISION_HISTORY).map_or("", String::as_str);
            if let Some(history) = remember(history, &old.to_string()) {
                changes.insert(REVISION_HISTORY.to_owned(), history);
            }
        }
    }
    changes
}

/// `history` with `revision` at the end; the oldest entries go when it grows too long.
fn remember(history: &str, revision: &str) -> Option<String> {
    if history.is_empty() {
        return Some(revision.to_owned());
    }
    let mut kept = history;
    while kept.len() + 1 + revision.len() > MAX_HISTORY {
        kept = kept.split_once(',')?.1;
    }
    Some(format!("{kept},{revision}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn map(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace()
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap();
                let key = match key {
                    "rev" => REVISION,
                    "hist" => REVISION_HISTORY,
                    "desired" => DESIRED_REPLICAS,
                    "applied" => LAST_APPLIED,
                    "rollback" => ROLLBACK_TO,
                    "completed" => COMPLETED,
                    other => other,
                };
                (key.to_owned(), value.to_owned())
            })
            .collect()
    }

    fn check(deployment: &str, set: &str, next: i64, expected: &Expect) {
        let changes = changes(&map(deployment), &map(set), next);
        let text: Vec<String> = changes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        expected.assert_eq(&text.join(" "));
    }

    #[test]
    fn a_first_revision_has_no_history() {
        check("", "", 1, &expect!["deployment.kubernetes.io/revision=1"]);
    }

    #[test]
    fn an_equal_or_higher_revision_stays() {
        check("", "rev=3", 3, &expect![""]);
        check("", "rev=9", 3, &expect![""]);
    }

    #[test]
    fn a_set_that_is_returned_to_remembers_its_number() {
        check(
            "",
            "rev=1",
            3,
            &expect![
                "deployment.kubernetes.io/revision=3 deployment.kubernetes.io/revision-history=1"
            ],
        );
        check(
            "",
            "rev=3 hist=1",
            5,
            &expect![
                "deployment.kubernetes.io/revision=5 deployment.kubernetes.io/revision-history=1,3"
            ],
        );
    }

    #[test]
    fn a_revision_that_is_no_number_is_replaced() {
        check(
            "",
            "rev=abc",
            2,
            &expect!["deployment.kubernetes.io/revision=2"],
        );
    }

    #[test]
    fn other_annotations_are_copied_and_own_ones_are_not() {
        check(
            "kubernetes.io/change-cause=x a=b applied={} rev=7 rollback=1 desired=4 completed=1",
            "rev=1 a=old gone=stays",
            1,
            &expect!["a=b kubernetes.io/change-cause=x"],
        );
    }

    #[test]
    fn history_drops_its_oldest_entries() {
        let long = vec!["1234567"; 250].join(",");
        assert_eq!(long.len(), 1999);
        let longer = remember(&long, "42").unwrap();
        assert!(longer.len() <= MAX_HISTORY, "{}", longer.len());
        assert!(longer.ends_with(",1234567,42"));
        assert_eq!(remember(&"1".repeat(2000), "42"), None);
        assert_eq!(remember("1,2", "3").as_deref(), Some("1,2,3"));
    }

    #[test]
    fn the_next_revision_is_above_all_that_are_numbers() {
        let sets = [
            map("rev=2"),
            map("rev=abc"),
            map(""),
            map("rev=3546343826724305832"),
        ];
        assert_eq!(next(sets[..3].iter()), 3);
        assert_eq!(next(sets.iter()), 3_546_343_826_724_305_833);
        assert_eq!(next([map("rev=9223372036854775807")].iter()), i64::MAX);
        assert_eq!(next(std::iter::empty()), 1);
    }

    #[test]
    fn counts_are_not_negative_and_fit() {
        let of = |value: &str| count(&map(&format!("desired={value}")), DESIRED_REPLICAS);
        assert_eq!(of("0"), Some(0));
        assert_eq!(of("2147483647"), Some(i32::MAX));
        for bad in ["-1", "2147483648", "x", ""] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
