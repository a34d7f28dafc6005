//! Plans and status writes as text.

use std::fmt::Write;

use serde_json::Value;

use super::*;
use crate::fixture::now;
use crate::workload::Condition;

fn short(key: &str) -> &str {
    key.strip_prefix("deployment.kubernetes.io/").unwrap_or(key)
}

fn show_patch(patch: &Value, lines: &mut Vec<String>) {
    if let Some(annotations) = patch
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
    {
        for (key, value) in crate::hash::sorted(annotations) {
            lines.push(match value {
                Value::Null => format!("-{}", short(key)),
                value => format!("{}={}", short(key), value.as_str().unwrap()),
            });
        }
    }
    if let Some(record) = patch.pointer("/metadata/managedFields") {
        lines.push(format!("managedFields={record}"));
    }
    if let Some(spec) = patch.get("spec").and_then(Value::as_object) {
        for (key, value) in crate::hash::sorted(spec) {
            lines.push(format!("{key}={value}"));
        }
    }
}

fn show_event(event: &Event) -> String {
    let kind = event.severity.as_str();
    format!("{kind} {}: {}", event.reason, event.message)
}

fn show_action(action: &Action) -> String {
    let mut words = Vec::new();
    let event = match action {
        Action::Adopt(set) => return format!("adopt {}", set.name),
        Action::Release(set) => return format!("release {}", set.name),
        Action::DeleteSet(set) => return format!("delete {}", set.name),
        Action::CreateSet { set, scaled } => {
            words.push(format!("create {} replicas={}", set.name, set.replicas));
            for (key, value) in &set.annotations {
                words.push(format!("{}={value}", short(key)));
            }
            if set.min_ready_seconds != 0 {
                words.push(format!("minReadySeconds={}", set.min_ready_seconds));
            }
            scaled.as_ref().map(Scaling::event)
        }
        Action::PatchSet { set, patch, scaled } => {
            words.push(format!("patch {}", set.name));
            show_patch(patch, &mut words);
            scaled.as_ref().map(Scaling::event)
        }
        Action::PatchDeployment { patch, on_success } => {
            words.push("patch deployment".to_owned());
            show_patch(patch, &mut words);
            on_success.clone()
        }
    };
    let mut text = words.join(" ");
    if let Some(event) = &event {
        write!(text, " ({})", show_event(event)).unwrap();
    }
    text
}

/// A plan, one line for each action, event and time.
pub(crate) fn show_plan(plan: &Plan<Action>) -> String {
    let mut lines: Vec<String> = plan.actions.iter().map(show_action).collect();
    lines.extend(
        plan.events
            .iter()
            .map(|event| format!("event {}", show_event(event))),
    );
    if let Some(after) = plan.requeue_after {
        lines.push(format!("again after {after:#}"));
    }
    lines.join("\n")
}

/// A status write: changed counts, then conditions with the age of their last update.
pub(crate) fn show_status(write: Option<&StatusWrite>) -> String {
    let Some(write) = write else {
        return "status unchanged".to_owned();
    };
    let word = if write.may_wait {
        "later: status"
    } else {
        "status"
    };
    let mut words = vec![word.to_owned()];
    show_patch(&write.patch, &mut words);
    let fields = write
        .patch
        .get("status")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for (key, value) in crate::hash::sorted(&fields)
        .into_iter()
        .filter(|(key, _)| *key != "conditions")
    {
        words.push(format!(
            "{}={value}",
            key.strip_suffix("Replicas").unwrap_or(key)
        ));
    }
    let mut text = words.join(" ");
    if fields.contains_key("conditions") {
        for condition in &write.status.conditions {
            let Condition {
                kind,
                status,
                reason,
                message,
                ..
            } = condition;
            let age = condition
                .last_update_time
                .map(|at| now().duration_since(at).as_secs());
            let age = age
                .filter(|age| *age != 0)
                .map_or(String::new(), |age| format!(" {age}s ago"));
            write!(text, "\n  {kind} {status} {reason}{age}: {message}").unwrap();
        }
    }
    text
}
