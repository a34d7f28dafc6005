//! Objects that several scenarios begin with.

use serde_json::{Value, json};

use super::Act;
use crate::expect::Expect;
use crate::family::Mode;

/// Name of the Deployment.
pub(super) const NAME: &str = "web";
/// The image of the first template. Nothing runs it.
pub(super) const FIRST: &str = "app:1";
/// The image of the second template.
pub(super) const SECOND: &str = "app:2";

/// A Deployment with limits of a quarter, which are one pod each for up to four replicas.
pub(super) fn deployment(mode: Mode, replicas: u32) -> Value {
    json!({
        "apiVersion": mode.deployments().api_version(),
        "kind": "Deployment",
        "metadata": { "name": NAME, "labels": { "app": NAME } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": NAME } },
            "template": {
                "metadata": { "labels": { "app": NAME } },
                "spec": { "containers": [{ "name": "app", "image": FIRST }] },
            },
        },
    })
}

/// Creates it.
pub(super) fn create(mode: Mode, replicas: u32) -> Vec<Act> {
    vec![Act::Create(mode.deployments(), deployment(mode, replicas))]
}

/// Rolls it to the second template.
pub(super) fn roll(mode: Mode) -> Vec<Act> {
    let patch = json!({
        "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": SECOND }] } } },
    });
    vec![Act::Patch(mode.deployments(), NAME, patch)]
}

/// It is complete with this many pods of this image.
pub(super) fn complete(mode: Mode, replicas: u32, image: &'static str) -> Vec<Expect> {
    vec![Expect::DeploymentComplete {
        mode,
        name: NAME,
        replicas,
        image,
    }]
}
