//! The new ReplicaSet: its name, labels and annotations.

use serde_json::Value;

use super::NewSet;
use super::sets::View;
use crate::revision;
use crate::template::POD_TEMPLATE_HASH;

/// The longest name of a ReplicaSet (a DNS subdomain).
const MAX_NAME: usize = 253;

/// The ReplicaSet for the Deployment's template, with `replicas` pods and number `revision`.
pub(super) fn new_set(view: &View<'_>, replicas: i32, revision: i64) -> NewSet {
    let deployment = view.deployment;
    let spec = &deployment.spec;
    let hash = spec.template.hash(deployment.status.collision_count);
    let template = spec.template.with_label(POD_TEMPLATE_HASH, &hash);
    // One label that is no text must not cost the others: without them the Deployment would
    // release the ReplicaSet, and create another one for ever.
    let labels = template
        .0
        .pointer("/metadata/labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let mut selector = spec.selector.clone();
    selector
        .match_labels
        .insert(POD_TEMPLATE_HASH.to_owned(), hash.clone());
    let mut annotations = revision::changes(
        &deployment.metadata.annotations,
        &std::collections::BTreeMap::new(),
        revision,
    );
    let target = &view.target;
    for (key, count) in [
        (revision::DESIRED_REPLICAS, target.replicas),
        (revision::MAX_REPLICAS, target.max_replicas()),
    ] {
        annotations.insert(key.to_owned(), count.to_string());
    }
    NewSet {
        name: name(&deployment.metadata.name, &hash),
        labels,
        annotations,
        replicas,
        min_ready_seconds: spec.min_ready_seconds,
        selector,
        template,
    }
}

/// `<deployment>-<hash>`. A long Deployment name is cut, never the hash, and never behind a
/// dot, where the hyphen would make the name invalid.
pub(super) fn name(deployment: &str, hash: &str) -> String {
    let most = MAX_NAME.saturating_sub(1 + hash.len());
    let base = deployment.get(..most).unwrap_or(deployment);
    let base = if base.len() < deployment.len() {
        base.trim_end_matches('.')
    } else {
        base
    };
    format!("{base}-{hash}")
}
