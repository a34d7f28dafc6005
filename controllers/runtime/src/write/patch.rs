//! Bodies of patches.

use ironkeel_plan::meta::OwnerReference;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Precondition;
use crate::resource::Resource;

/// Whether the API server accepts strategic merge patches for the kind: it does for the
/// kinds that are compiled into it, whose groups have no dot or end in `.k8s.io`.
pub(super) fn knows_strategic_merge(resource: Resource) -> bool {
    !resource.group.contains('.') || resource.group.ends_with(".k8s.io")
}

/// Merges a precondition into `metadata` of a merge patch.
pub(super) fn require(patch: &mut Value, precondition: Precondition<'_>) {
    let Some(patch) = patch.as_object_mut() else {
        return;
    };
    let metadata = patch
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("uid".to_owned(), precondition.uid.into());
        if let Some(version) = precondition.resource_version {
            metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        }
    }
}

/// The strategic merge patch with which upstream's controllers adopt.
pub(super) fn adopt(uid: &str, reference: &OwnerReference) -> Value {
    json!({ "metadata": { "uid": uid, "ownerReferences": [reference] } })
}

/// The strategic merge patch with which upstream's controllers release.
pub(super) fn release(uid: &str, owner_uid: &str) -> Value {
    json!({ "metadata": {
        "uid": uid,
        "ownerReferences": [{ "$patch": "delete", "uid": owner_uid }],
    } })
}

/// The owners of an object as the API server has them, with fields unknown here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Owned {
    pub(super) metadata: OwnedMeta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OwnedMeta {
    #[serde(deserialize_with = "ironkeel_plan::meta::resource_version")]
    pub(super) resource_version: u64,
    owner_references: Vec<Value>,
}

impl Owned {
    /// The owners and `reference`, which replaces an entry with the same UID.
    ///
    /// Another managing controller is left in: the API server refuses a second one.
    pub(super) fn with_owner(&self, reference: &OwnerReference) -> Vec<Value> {
        let mut owners = self.others(&reference.uid);
        owners.push(json!(reference));
        owners
    }

    /// The owners but `uid`; `None` if `uid` is none of them.
    pub(super) fn without_owner(&self, uid: &str) -> Option<Vec<Value>> {
        let owners = self.others(uid);
        (owners.len() < self.metadata.owner_references.len()).then_some(owners)
    }

    fn others(&self, uid: &str) -> Vec<Value> {
        self.metadata
            .owner_references
            .iter()
            .filter(|owner| owner["uid"] != uid)
            .cloned()
            .collect()
    }
}
