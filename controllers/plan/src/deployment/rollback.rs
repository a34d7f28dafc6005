//! Returning to an earlier template: on the legacy annotation's word, or because the progress
//! deadline passed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::progress;
use super::sets::View;
use crate::condition;
use crate::plan::Event;
use crate::revision;
use crate::template::{POD_TEMPLATE_HASH, Template};
use crate::workload::{Deployment, ReplicaSet};

/// A write of the Deployment, and what to tell about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rollback {
    pub(super) patch: Value,
    /// Told at once.
    pub(super) event: Option<Event>,
    /// Told once the Deployment is written.
    pub(super) on_success: Option<Event>,
}

/// What the Deployment remembers of its last automatic rollback, in an annotation: it must
/// survive a restart and come in the same write as the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// ReplicaSet that missed its deadline.
    pub(super) from: String,
    /// Its revision.
    pub(super) from_revision: i64,
    /// ReplicaSet that was returned to.
    pub(super) to: String,
    /// Its revision before it got a new one.
    pub(super) to_revision: i64,
}

/// The record on `deployment`; one that cannot be read counts as none.
pub(super) fn record(deployment: &Deployment) -> Option<Record> {
    let text = deployment.metadata.annotations.get(revision::ROLLBACK)?;
    serde_json::from_str(text).ok()
}

/// The revision that the legacy annotation names; 0 is the last one. Anything but a number
/// counts as absent.
pub(super) fn requested(deployment: &Deployment) -> Option<i64> {
    let text = deployment.metadata.annotations.get(revision::ROLLBACK_TO)?;
    text.parse().ok()
}

/// Answers the legacy annotation (upstream `rollback`, 1.37). In any case the annotation goes.
///
/// Unlike upstream this does not create a ReplicaSet for the template that is being left.
pub(super) fn legacy(view: &View<'_>, requested: i64) -> Rollback {
    let deployment = view.deployment;
    let name = &deployment.metadata.name;
    let give_up = |reason, message: String| Rollback {
        patch: json!({"metadata": {"annotations": {revision::ROLLBACK_TO: null}}}),
        event: Some(Event::warning(reason, message)),
        on_success: None,
    };
    let wanted = match requested {
        0 => last_revision(view),
        number => Some(number),
    };
    let Some(wanted) = wanted else {
        return give_up(
            "DeploymentRollbackRevisionNotFound",
            "Unable to find last revision.".to_owned(),
        );
    };
    let found = view
        .sets
        .all()
        .find(|set| revision::number(&set.metadata.annotations) == Some(wanted));
    match found {
        None => give_up(
            "DeploymentRollbackRevisionNotFound",
            "Unable to find the revision to rollback to.".to_owned(),
        ),
        Some(set) if set.spec.template.same_pods(&deployment.spec.template) => give_up(
            "DeploymentRollbackTemplateUnchanged",
            format!(
                "The rollback revision contains the same template as current deployment {name:?}"
            ),
        ),
        Some(set) => Rollback {
            patch: template_patch(deployment, set, &[(revision::ROLLBACK_TO, None)]),
            event: None,
            on_success: Some(Event::normal(
                "DeploymentRollback",
                format!("Rolled back deployment {name:?} to revision {wanted}"),
            )),
        },
    }
}

/// The revision before the current one. The new ReplicaSet's own number says nothing: one that
/// was returned to may not have its new number yet.
fn last_revision(view: &View<'_>) -> Option<i64> {
    view.sets
        .old
        .iter()
        .filter_map(|set| revision::number(&set.metadata.annotations))
        .filter(|number| *number > 0)
        .max()
}

/// What an automatic rollback would do now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Automatic {
    /// The rollout has not failed, or nobody asked for a rollback.
    NotDue,
    /// The failed revision is itself what a rollback returned to, or was rolled back before:
    /// going on would swing to and fro for ever.
    Spent,
    /// No other revision was ever complete.
    NowhereToGo,
    /// Return to the last complete revision.
    Do(Rollback),
}

/// Whether the rollout to `new` missed its deadline and what follows from it.
///
/// The verdict is the stored condition, not the clock: it must be visible before anything is
/// undone, it must be about this very ReplicaSet, and about the spec as it is now.
pub(super) fn automatic(view: &View<'_>, new: &ReplicaSet) -> Automatic {
    let deployment = view.deployment;
    let status = &deployment.status;
    let is_due = view.target.rolls_back
        && !view.target.paused
        && status.observed_generation == deployment.metadata.generation
        && condition::find(&status.conditions, progress::PROGRESSING)
            .is_some_and(|known| progress::is_timed_out(known, &new.metadata.name));
    if !is_due {
        return Automatic::NotDue;
    }
    let name = &new.metadata.name;
    let is_spent = new.metadata.annotations.contains_key(revision::ROLLED_BACK)
        || record(deployment).is_some_and(|record| record.to == *name || record.from == *name);
    if is_spent {
        return Automatic::Spent;
    }
    let Some((to_revision, to)) = last_complete(view) else {
        return Automatic::NowhereToGo;
    };
    let record = Record {
        from: name.clone(),
        from_revision: revision::number(&new.metadata.annotations).unwrap_or(0),
        to: to.metadata.name.clone(),
        to_revision,
    };
    let text = json!({
        "from": record.from,
        "fromRevision": record.from_revision,
        "to": record.to,
        "toRevision": record.to_revision,
    })
    .to_string();
    Automatic::Do(Rollback {
        patch: template_patch(deployment, to, &[(revision::ROLLBACK, Some(text))]),
        event: None,
        on_success: Some(Event::normal(
            "DeploymentRolledBack",
            format!(
                "Rolled back deployment {:?} from revision {} to revision {}: the progress deadline passed",
                deployment.metadata.name, record.from_revision, record.to_revision
            ),
        )),
    })
}

/// The old ReplicaSet with the highest revision that was complete once and never failed since.
fn last_complete<'a>(view: &View<'a>) -> Option<(i64, &'a ReplicaSet)> {
    view.sets
        .old
        .iter()
        .copied()
        .filter(|set| {
            let annotations = &set.metadata.annotations;
            annotations.contains_key(revision::COMPLETED)
                && !annotations.contains_key(revision::ROLLED_BACK)
                && !set.metadata.is_deleting()
        })
        .map(|set| {
            (
                revision::number(&set.metadata.annotations).unwrap_or(0),
                set,
            )
        })
        .max_by(|one, other| {
            one.0
                .cmp(&other.0)
                .then_with(|| other.1.metadata.name.cmp(&one.1.metadata.name))
        })
}

/// The merge patch that gives `deployment` the template and the annotations of `set`, except
/// those that belong to each alone, and `own` annotations.
fn template_patch(
    deployment: &Deployment,
    set: &ReplicaSet,
    own: &[(&str, Option<String>)],
) -> Value {
    let mut annotations = Map::new();
    for key in deployment.metadata.annotations.keys() {
        if !revision::is_own(key) && !set.metadata.annotations.contains_key(key) {
            annotations.insert(key.clone(), Value::Null);
        }
    }
    for (key, value) in revision::copied(&set.metadata.annotations) {
        if deployment.metadata.annotations.get(key) != Some(value) {
            annotations.insert(key.clone(), value.clone().into());
        }
    }
    for (key, value) in own {
        annotations.insert((*key).to_owned(), value.clone().into());
    }
    let wanted = set.spec.template.without_label(POD_TEMPLATE_HASH);
    json!({
        "metadata": {"annotations": annotations},
        "spec": {"template": replacement(&deployment.spec.template, &wanted)},
    })
}

/// The merge patch that makes `wanted` of `current`, whole: keys that must go are null.
fn replacement(current: &Template, wanted: &Template) -> Value {
    difference(&current.0, &wanted.0)
}

/// RFC 7386, backwards. A null in `wanted` counts as absent, for a merge patch cannot write one.
pub(super) fn difference(current: &Value, wanted: &Value) -> Value {
    let Value::Object(wanted) = wanted else {
        return wanted.clone();
    };
    let nothing = Map::new();
    let current = current.as_object().unwrap_or(&nothing);
    let mut patch = Map::new();
    for (key, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
        match current.get(key) {
            Some(known) if known == value => {}
            Some(known) => {
                patch.insert(key.clone(), difference(known, value));
            }
            None => {
                patch.insert(key.clone(), difference(&Value::Null, value));
            }
        }
    }
    for (key, value) in current {
        if !value.is_null() && wanted.get(key).is_none_or(Value::is_null) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    Value::Object(patch)
}
