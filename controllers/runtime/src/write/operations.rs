//! JSON patches that name what their decision rests on, instead of the whole object's version.
//!
//! Two controllers write the same ReplicaSet: one its size, the other its status. With
//! `resourceVersion` as the condition each refuses the other's writes, though neither decision
//! rests on what the other one writes. A `test` for exactly that has no such conflicts, and is as
//! strict about everything that matters.

use serde::Serialize;
use serde_json::{Value, json};

use super::error::Refusal;
use super::{Target, WriteError, Writer, Written};
use crate::barrier::Owner;
use crate::lease::Leader;
use crate::request::Content;

/// What the API server says of a JSON patch that cannot be applied, a failed `test` among others.
const NOT_APPLICABLE: &str = "the server rejected our request due to an error in our request";

/// A JSON patch (RFC 6902). Every one begins with a test of the object's UID.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Operations(Vec<Value>);

impl Operations {
    /// Operations on the object that has this UID; one recreated under its name is left alone.
    pub fn on(uid: &str) -> Self {
        Self(Vec::new()).test(&["metadata", "uid"], uid)
    }

    /// The value at `path` must be this one. A path that is absent fails the patch.
    #[must_use]
    pub fn test(self, path: &[&str], value: impl Into<Value>) -> Self {
        self.and(json!({ "op": "test", "path": pointer(path), "value": value.into() }))
    }

    /// Sets a member of an object that is there, whether or not it has the member.
    #[must_use]
    pub fn set(self, path: &[&str], value: impl Into<Value>) -> Self {
        self.and(json!({ "op": "add", "path": pointer(path), "value": value.into() }))
    }

    /// Removes a member. One that is absent fails the patch.
    #[must_use]
    pub fn remove(self, path: &[&str]) -> Self {
        self.and(json!({ "op": "remove", "path": pointer(path) }))
    }

    fn and(mut self, operation: Value) -> Self {
        self.0.push(operation);
        self
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &[&str]) -> String {
    let escaped = path
        .iter()
        .map(|part| part.replace('~', "~0").replace('/', "~1"));
    escaped.fold(String::new(), |pointer, part| pointer + "/" + &part)
}

impl Writer {
    /// Patches an object or one of its subresources, provided that every test holds.
    ///
    /// A test that fails is [`Refusal::Conflict`]. The API server answers it with code 422, as it
    /// does an invalid object, but without saying what is invalid.
    pub async fn patch_tested(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        subresource: Option<&'static str>,
        operations: &Operations,
    ) -> Result<Written, WriteError> {
        self.patch(
            leader,
            owner,
            target,
            subresource,
            Content::JsonPatch,
            operations,
        )
        .await
        .map_err(as_conflict)
    }
}

fn as_conflict(mut error: WriteError) -> WriteError {
    if let Refusal::Invalid(message) = &error.refusal
        && message == NOT_APPLICABLE
    {
        error.refusal = Refusal::Conflict(
            "the object is not any more what the write was decided for: a test of the patch failed"
                .to_owned(),
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use ironkeel_plan::meta::Key;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::barrier::Barrier;
    use crate::fake::{Script, refusal};
    use crate::limit::Limits;
    use crate::metrics::Metrics;
    use crate::resource::NATIVE_REPLICA_SETS;

    async fn patch(script: &Script, operations: &Operations) -> Result<Written, WriteError> {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let barrier = Barrier::register(&mut registry);
        let writer = Writer::new(script.client(), Limits::default(), barrier, metrics.writes);
        let owner = Owner {
            resource: NATIVE_REPLICA_SETS,
            key: Key::new("shop", "web"),
            uid: "set-uid".into(),
        };
        let target = Target {
            resource: NATIVE_REPLICA_SETS,
            namespace: "shop",
            name: "web-5d4",
        };
        let leader = Leader::without_election();
        writer
            .patch_tested(&leader, &owner, target, None, operations)
            .await
    }

    #[tokio::test]
    async fn a_tested_patch_names_the_object_first() {
        let script = Script::new([Ok((
            200,
            json!({ "metadata": { "name": "web-5d4", "uid": "u", "resourceVersion": "9" } }),
        ))]);
        let operations = Operations::on("u")
            .test(&["metadata", "generation"], 3)
            .set(&["metadata", "annotations", "example.com/a~b"], "x")
            .remove(&["status", "conditions"]);
        let written = patch(&script, &operations).await.unwrap();
        assert_eq!(written.resource_version, 9);
        let call = &script.calls()[0];
        assert_eq!(call.content_type, "application/json-patch+json");
        assert_eq!(
            call.body,
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u" },
                { "op": "test", "path": "/metadata/generation", "value": 3 },
                { "op": "add", "path": "/metadata/annotations/example.com~1a~0b", "value": "x" },
                { "op": "remove", "path": "/status/conditions" },
            ])
        );
    }

    #[tokio::test]
    async fn a_failed_test_is_a_conflict_and_an_invalid_object_is_not() {
        let script = Script::new([
            refusal(422, "Invalid", NOT_APPLICABLE),
            refusal(422, "Invalid", "spec.replicas: must not be negative"),
        ]);
        let operations = Operations::on("u");
        let stale = patch(&script, &operations).await.unwrap_err();
        assert!(matches!(stale.refusal, Refusal::Conflict(_)), "{stale}");
        let invalid = patch(&script, &operations).await.unwrap_err();
        assert!(invalid.is_invalid(), "{invalid}");
    }
}
