//! What a Deployment's spec allows, read on its own: the planner's arithmetic would hide its own mistakes.

use ironkeel_plan::template::Template;
use ironkeel_plan::workload::{Deployment, IntOrString, PodReplacementPolicy};

/// One spec of a Deployment, in pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) generation: i64,
    pub(crate) deleting: bool,
    pub(crate) replicas: i64,
    /// The most pods that the sizes of its ReplicaSets may add up to.
    pub(crate) most: i64,
    /// The fewest available pods at which one may still be taken away.
    pub(crate) fewest: i64,
    pub(crate) recreate: bool,
    pub(crate) paused: bool,
    pub(crate) template: Template,
    /// Old ReplicaSets that are kept.
    pub(crate) history: usize,
    /// Seconds; none is never.
    pub(crate) deadline: Option<i64>,
    pub(crate) replacement: Option<PodReplacementPolicy>,
}

impl Limits {
    /// The limits of `deployment`; none when the spec cannot be acted on.
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
        let spec = &deployment.spec;
        let replicas = i64::from(spec.replicas.unwrap_or(1));
        let selector = &spec.selector;
        let selects = !selector.is_empty()
            && selector.check().is_ok()
            && selector.matches(|key| spec.template.label(key));
        if replicas < 0 || !selects {
            return None;
        }
        let recreate = match spec.strategy.kind.as_deref() {
            None | Some("RollingUpdate") => false,
            Some("Recreate") => true,
            Some(_) => return None,
        };
        let seconds = spec.progress_deadline_seconds.unwrap_or(600);
        if seconds < 0 || spec.min_ready_seconds < 0 {
            return None;
        }
        let (surge, unavailable) = if recreate {
            (0, replicas)
        } else {
            let rolling = spec.strategy.rolling_update.clone().unwrap_or_default();
            if is_zero(rolling.max_surge.as_ref()) && is_zero(rolling.max_unavailable.as_ref()) {
                return None;
            }
            let surge = share(rolling.max_surge.as_ref(), replicas, 99)?;
            let unavailable = share(rolling.max_unavailable.as_ref(), replicas, 0)?;
            let stuck = surge == 0 && unavailable == 0;
            (surge, if stuck { 1 } else { unavailable })
        };
        let history = spec.revision_history_limit.unwrap_or(10);
        Some(Self {
            generation: deployment.metadata.generation,
            deleting: deployment.metadata.is_deleting(),
            replicas,
            most: replicas + surge,
            fewest: replicas - unavailable.min(replicas),
            recreate,
            paused: spec.paused,
            template: spec.template.clone(),
            history: usize::try_from(history).ok()?,
            deadline: (seconds != i32::MAX).then_some(i64::from(seconds)),
            replacement: spec.pod_replacement_policy,
        })
    }
}

/// Pods that a limit means; `carry` rounds hundredths up (99) or down (0). Absent is 25 %.
fn share(value: Option<&IntOrString>, replicas: i64, carry: i64) -> Option<i64> {
    let percent = match value {
        None => 25,
        Some(IntOrString::Int(pods)) => return (*pods >= 0).then_some(i64::from(*pods)),
        Some(IntOrString::String(text)) => i64::from(text.strip_suffix('%')?.parse::<u32>().ok()?),
    };
    Some((percent * replicas + carry) / 100)
}

/// Whether the manifest itself allows none.
fn is_zero(value: Option<&IntOrString>) -> bool {
    match value {
        None => false,
        Some(IntOrString::Int(pods)) => *pods == 0,
        Some(IntOrString::String(text)) => text == "0%",
    }
}
