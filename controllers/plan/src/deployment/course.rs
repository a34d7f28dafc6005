//! Which step a Deployment is at, and everything that follows from it.

use serde_json::{Map, Value, json};

use super::changes::Changes;
use super::rollback::{self, Automatic};
use super::sets::{Sets, View, count_pods};
use super::spec::{self, Strategy};
use super::status::{Counts, OVERLAP, ROLLED_BACK};
use super::{
    Action, NewSet, Observed, Scaling, create, history, progress, recreate, rolling, scale,
};
use crate::condition;
use crate::plan::{Event, Plan};
use crate::revision;
use crate::rollout::InvalidField;
use crate::workload::Deployment;

/// What can be done at all.
#[derive(Clone, Debug)]
pub(super) enum Course<'a> {
    /// The spec cannot be acted on.
    Refused(InvalidField),
    /// It can.
    Act(Box<Steps<'a>>),
}

/// The kind of step; the status depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The Deployment is being deleted: status only.
    Delete,
    /// ReplicaSets are adopted; the rest follows when they are seen as owned.
    Claim,
    /// `spec.replicas` changed, or the rollout is paused: no progress is judged.
    Scale,
    /// The Deployment's template is replaced.
    Rollback,
    /// The template is rolled out.
    Rollout,
}

/// A decision, before it is put in order.
#[derive(Clone, Debug)]
pub(super) struct Steps<'a> {
    pub(super) view: View<'a>,
    pub(super) turn: Turn,
    pub(super) changes: Changes<'a>,
    pub(super) create: Option<NewSet>,
    /// A ReplicaSet of our own has the name that the new one needs.
    pub(super) name_taken: bool,
    pub(super) surplus: Vec<Action>,
    pub(super) rollback: Option<rollback::Rollback>,
    pub(super) automatic: Automatic,
    /// The revision that the Deployment is to show.
    pub(super) revision: Option<i64>,
}

/// Reads the spec and takes every decision.
pub(super) fn choose<'a>(observed: &Observed<'a>) -> Course<'a> {
    let deployment = observed.deployment;
    match spec::read(deployment, observed.extras) {
        Err(defect) => Course::Refused(defect),
        Ok(target) => {
            let sets = Sets::sort(observed);
            let mut steps = Box::new(Steps {
                view: View {
                    observed: *observed,
                    deployment,
                    target,
                    pods: count_pods(observed, &sets),
                    sets,
                },
                turn: Turn::Rollout,
                changes: Changes::default(),
                create: None,
                name_taken: false,
                surplus: Vec::new(),
                rollback: None,
                automatic: Automatic::NotDue,
                revision: None,
            });
            steps.decide();
            Course::Act(steps)
        }
    }
}

impl Steps<'_> {
    fn decide(&mut self) {
        let deployment = self.view.deployment;
        if deployment.metadata.is_deleting() {
            self.turn = Turn::Delete;
            return;
        }
        if !self.view.sets.adoptions.is_empty() {
            self.turn = Turn::Claim;
            return;
        }
        if !self.view.target.paused
            && let Some(number) = rollback::requested(deployment)
        {
            self.turn = Turn::Rollback;
            self.rollback = Some(rollback::legacy(&self.view, number));
            return;
        }
        if let Some(new) = self.view.sets.new {
            self.automatic = rollback::automatic(&self.view, new);
            if let Automatic::Do(rollback) = &self.automatic {
                self.turn = Turn::Rollback;
                self.rollback = Some(rollback.clone());
                return;
            }
            self.revision = Some(history::update_new(&self.view, new, &mut self.changes));
        }
        self.mark_rolled_back();
        if self.view.target.paused || scale::is_scaling(&self.view) {
            self.turn = Turn::Scale;
            scale::size_sets(&self.view, &mut self.changes);
            // A rollback that waits for the end of the pause may need what would go.
            if self.view.target.paused && rollback::requested(deployment).is_none() {
                self.surplus = history::surplus(&self.view);
            }
            return;
        }
        scale::forget_partial(&self.view, &mut self.changes);
        self.roll_out();
    }

    fn roll_out(&mut self) {
        match (self.view.target.strategy, self.view.sets.new) {
            (Strategy::RollingUpdate, Some(new)) => {
                rolling::size_sets(&self.view, new, &mut self.changes);
            }
            (Strategy::RollingUpdate, None) => {
                // Alone: a create that is refused must not have cost old pods.
                let replicas = rolling::first_size(&self.view);
                self.create_new(replicas);
            }
            (Strategy::Recreate, new) => {
                let ready = recreate::size_sets(&self.view, &mut self.changes);
                if ready == recreate::Recreate::Ready && new.is_none() {
                    let replicas = rolling::first_size(&self.view);
                    self.create_new(replicas);
                }
            }
        }
        if let Some(new) = self.view.sets.new
            && !self.changes.resizes()
            && Counts::of(&self.view).is_complete(&self.view)
        {
            let revision = self.revision.unwrap_or(0);
            history::note_complete(&self.view, new, revision, &mut self.changes);
            self.surplus = history::surplus(&self.view);
        }
    }

    fn create_new(&mut self, replicas: i32) {
        let revision = history::next_revision(&self.view);
        let set = create::new_set(&self.view, replicas, revision);
        let is_known =
            |known: &std::sync::Arc<crate::workload::ReplicaSet>| known.metadata.name == set.name;
        if self.view.observed.sets.iter().any(is_known) {
            self.name_taken = true;
        } else {
            self.revision = Some(revision);
            self.create = Some(set);
        }
    }

    /// Marks the ReplicaSet that an automatic rollback left, so that it is never the target of
    /// one and never rolled back twice. A user who asks for it again before it is marked makes it
    /// the new one, which ends the record.
    fn mark_rolled_back(&mut self) {
        let Some(record) = rollback::record(self.view.deployment) else {
            return;
        };
        let failed = self
            .view
            .sets
            .all()
            .find(|set| set.metadata.name == record.from);
        if let Some(failed) = failed {
            self.changes.annotate(
                failed,
                revision::ROLLED_BACK,
                record.from_revision.to_string(),
            );
        }
    }

    /// The write of the Deployment itself.
    fn patch_deployment(&self) -> Option<Action> {
        if let Some(rollback) = &self.rollback {
            return Some(Action::PatchDeployment {
                patch: rollback.patch.clone(),
                on_success: rollback.on_success.clone(),
            });
        }
        let known = &self.view.deployment.metadata.annotations;
        let mut annotations = Map::new();
        if let Some(revision) = self.revision.map(|number| number.to_string())
            && !self.view.observed.extras.annotations_with_status
            && known.get(revision::REVISION) != Some(&revision)
        {
            annotations.insert(revision::REVISION.to_owned(), revision.into());
        }
        if let Some(new) = self.view.sets.new
            && known.contains_key(revision::ROLLBACK)
            && rollback::record(self.view.deployment)
                .is_none_or(|record| record.to != new.metadata.name)
        {
            annotations.insert(revision::ROLLBACK.to_owned(), Value::Null);
        }
        (!annotations.is_empty()).then(|| Action::PatchDeployment {
            patch: json!({"metadata": {"annotations": annotations}}),
            on_success: None,
        })
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let stored = &self.view.deployment.status.conditions;
        if let Some(rollback) = &self.rollback {
            events.extend(rollback.event.clone());
        }
        if self.automatic == Automatic::NowhereToGo
            && condition::find(stored, ROLLED_BACK).is_none()
        {
            events.push(Event::warning(
                "DeploymentRollbackRevisionNotFound",
                "Unable to roll back: no earlier revision was ever complete",
            ));
        }
        if let Some(message) = overlap(&self.view)
            && condition::find(stored, OVERLAP).is_none_or(|known| known.message != message)
        {
            events.push(Event::warning("SelectorOverlap", message));
        }
        events
    }

    fn into_plan(self) -> Plan<Action> {
        let mut plan = Plan {
            events: self.events(),
            ..Plan::default()
        };
        if self.turn == Turn::Delete {
            return plan;
        }
        let on_deployment = self.patch_deployment();
        plan.actions.extend(self.view.sets.releases.iter().cloned());
        plan.actions
            .extend(self.view.sets.adoptions.iter().cloned());
        if let Some(set) = self.create {
            plan.actions.push(Action::CreateSet {
                scaled: (set.replicas > 0).then(|| Scaling {
                    set: set.name.clone(),
                    from: 0,
                    to: set.replicas,
                }),
                set,
            });
        }
        plan.actions
            .extend(self.changes.into_actions(self.view.observed.extras));
        plan.actions.extend(on_deployment);
        plan.actions.extend(self.surplus);
        if self.turn == Turn::Rollout
            && !Counts::of(&self.view).is_complete(&self.view)
            && let Some(left) = progress::time_left(&self.view)
        {
            plan.requeue_within(left);
        }
        plan
    }
}

/// See [`super::plan`].
pub(super) fn plan(observed: &Observed<'_>) -> Plan<Action> {
    match choose(observed) {
        Course::Act(steps) => steps.into_plan(),
        Course::Refused(defect) => Plan {
            events: refused_event(observed.deployment, &defect)
                .into_iter()
                .collect(),
            ..Plan::default()
        },
    }
}

/// What is wrong with the spec, for people.
pub(super) fn refusal(deployment: &Deployment, defect: &InvalidField) -> String {
    format!(
        "deployment {:?}: {defect}",
        deployment.metadata.key().to_string()
    )
}

/// Told once for each defect, not at every sync: the stored condition remembers.
fn refused_event(deployment: &Deployment, defect: &InvalidField) -> Option<Event> {
    let message = refusal(deployment, defect);
    if deployment.metadata.is_deleting() {
        return None;
    }
    let known = condition::find(&deployment.status.conditions, progress::PROGRESSING);
    if known.is_some_and(|known| known.reason == progress::INVALID && known.message == message) {
        return None;
    }
    Some(if deployment.spec.selector.is_empty() {
        Event::warning(
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
        )
    } else {
        Event::warning(progress::INVALID, message)
    })
}

/// What to say when other Deployments select the same pods.
pub(super) fn overlap(view: &View<'_>) -> Option<String> {
    let mut names: Vec<&str> = view
        .observed
        .overlapping
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    names.sort_unstable();
    let first = names.first()?;
    let others = match names.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let disputed = match view.sets.disputed.len() {
        0 => String::new(),
        count => format!("; not adopted for that reason: {count}"),
    };
    Some(format!(
        "deployment {:?}: spec.selector is {:?}: the same pods are selected by deployment {first:?}{others}{disputed}",
        view.deployment.metadata.key().to_string(),
        view.deployment.spec.selector.to_string(),
    ))
}
