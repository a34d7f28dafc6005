//! What a spec asks for, read once, and which spec cannot be acted on.

use crate::rollout::{self, Bounds, InvalidField};
use crate::workload::{Deployment, DeploymentSpec, Extras, PodReplacementPolicy};

/// `revisionHistoryLimit` where the manifest says nothing.
const DEFAULT_HISTORY: i32 = 10;
/// `progressDeadlineSeconds` where the manifest says nothing.
const DEFAULT_DEADLINE: i32 = 600;

/// How pods are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// New pods come up while old ones go down.
    RollingUpdate,
    /// New pods come up when no old one runs.
    Recreate,
}

/// A spec that can be acted on, with defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Wanted pods.
    pub(super) replicas: i32,
    pub(super) strategy: Strategy,
    /// Both zero for `Recreate`.
    pub(super) bounds: Bounds,
    pub(super) paused: bool,
    /// Seconds without progress after which a rollout has failed; `None` is never.
    pub(super) deadline: Option<i32>,
    /// Old ReplicaSets to keep; `None` keeps all.
    pub(super) history_limit: Option<i32>,
    pub(super) replacement: Option<PodReplacementPolicy>,
    /// Whether a missed deadline returns to the last complete revision.
    pub(super) rolls_back: bool,
}

impl Target {
    /// The most pods that may exist.
    pub(super) fn max_replicas(&self) -> i32 {
        self.replicas.saturating_add(self.bounds.surge)
    }

    /// The fewest pods that must be available before any may be taken away.
    pub(super) fn min_available(&self) -> i32 {
        self.replicas - self.bounds.unavailable
    }

    /// Whether terminating pods count as pods until they are gone.
    pub(super) fn waits_for_termination(&self) -> bool {
        self.replacement == Some(PodReplacementPolicy::TerminationComplete)
    }
}

/// Reads the spec of `deployment`.
///
/// The API server or the schema of our own kind refuses most of what fails here; it is checked
/// again because a spec may have been stored under older rules, and acting on it could delete pods.
pub(super) fn read(deployment: &Deployment, extras: Extras) -> Result<Target, InvalidField> {
    let spec = &deployment.spec;
    check_selector(spec)?;
    let replicas = spec.replicas.unwrap_or(1);
    not_negative("spec.replicas", replicas)?;
    not_negative("spec.minReadySeconds", spec.min_ready_seconds)?;
    let history = spec.revision_history_limit.unwrap_or(DEFAULT_HISTORY);
    not_negative("spec.revisionHistoryLimit", history)?;
    let deadline = spec.progress_deadline_seconds.unwrap_or(DEFAULT_DEADLINE);
    not_negative("spec.progressDeadlineSeconds", deadline)?;
    let (strategy, bounds) = read_strategy(spec, replicas)?;
    let own = extras.rollout_extensions;
    Ok(Target {
        replicas,
        strategy,
        bounds,
        paused: spec.paused,
        deadline: (deadline != i32::MAX).then_some(deadline),
        history_limit: (history != i32::MAX).then_some(history),
        replacement: spec.pod_replacement_policy.filter(|_| own),
        rolls_back: own
            && spec
                .rollback
                .is_some_and(|policy| policy.on_progress_deadline),
    })
}

fn check_selector(spec: &DeploymentSpec) -> Result<(), InvalidField> {
    if spec.selector.is_empty() {
        return Err(InvalidField {
            field: "spec.selector",
            value: "empty".to_owned(),
            rule: "must not select all pods",
        });
    }
    if let Err(error) = spec.selector.check() {
        return Err(InvalidField {
            field: "spec.selector",
            value: error.to_string(),
            rule: "must be a label selector",
        });
    }
    if !spec.selector.matches(|key| spec.template.label(key)) {
        return Err(InvalidField {
            field: "spec.selector",
            value: format!("{:?}", spec.selector.to_string()),
            rule: "must match the labels of spec.template",
        });
    }
    Ok(())
}

fn read_strategy(spec: &DeploymentSpec, replicas: i32) -> Result<(Strategy, Bounds), InvalidField> {
    match spec.strategy.kind.as_deref() {
        None | Some("RollingUpdate") => {
            let bounds = rollout::resolve(spec.strategy.rolling_update.as_ref(), replicas)?;
            Ok((Strategy::RollingUpdate, bounds))
        }
        Some("Recreate") => Ok((
            Strategy::Recreate,
            Bounds {
                surge: 0,
                unavailable: 0,
            },
        )),
        Some(other) => Err(InvalidField {
            field: "spec.strategy.type",
            value: format!("{other:?}"),
            rule: "must be RollingUpdate or Recreate",
        }),
    }
}

fn not_negative(field: &'static str, value: i32) -> Result<(), InvalidField> {
    if value >= 0 {
        return Ok(());
    }
    Err(InvalidField {
        field,
        value: value.to_string(),
        rule: "must not be negative",
    })
}
