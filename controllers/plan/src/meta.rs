//! The part of `ObjectMeta` that planners and stores read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// Namespace and name: the key of a namespaced object in stores and queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl Key {
    /// The key of `namespace/name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    /// Group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner: owners are matched by this and never by name.
    pub uid: String,
    /// Whether this is the managing controller; at most one entry is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether a foreground delete of the owner waits for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// How the API server keeps the record of who has set which field, `managedFields`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Management {
    /// It keeps none, until somebody applies the object on the server's side.
    #[default]
    Unrecorded,
    /// Of creations and updates.
    Updated,
    /// Somebody has applied the object: by the record it is known which fields a later apply removes.
    Applied,
}

/// Metadata of a workload object (Deployment, ReplicaSet, …).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name, unique in the namespace.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Identity of this very object; a recreated one of the same name has another.
    pub uid: String,
    /// Version of the stored object. Comparable since Kubernetes 1.35 (KEP-5504), and a
    /// decimal etcd revision long before.
    #[serde(deserialize_with = "resource_version")]
    pub resource_version: u64,
    /// Bumped by the API server when the spec changes.
    pub generation: i64,
    /// When the object was created.
    pub creation_timestamp: Option<Timestamp>,
    /// When the object is to be gone; set means that it is being deleted.
    pub deletion_timestamp: Option<Timestamp>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Owners.
    pub owner_references: Vec<OwnerReference>,
    /// Finalizers that hold a deletion back.
    pub finalizers: Vec<String>,
    /// What there is of `managedFields`.
    #[serde(rename = "managedFields", deserialize_with = "management")]
    pub management: Management,
}

impl Meta {
    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// The managing controller's reference, if the object has one.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references
            .iter()
            .find(|owner| owner.controller == Some(true))
    }

    /// Whether a deletion was asked for.
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

fn management<'de, D: Deserializer<'de>>(input: D) -> Result<Management, D::Error> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        operation: String,
    }
    let entries = Option::<Vec<Entry>>::deserialize(input)?.unwrap_or_default();
    Ok(if entries.is_empty() {
        Management::Unrecorded
    } else if entries.iter().any(|entry| entry.operation != "Update") {
        Management::Applied
    } else {
        Management::Updated
    })
}

/// Reads a resourceVersion, which JSON carries as a decimal string; absent or empty is 0.
pub fn resource_version<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    struct Decimal;
    impl<'de> Visitor<'de> for Decimal {
        type Value = u64;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a resourceVersion as a string")
        }
        fn visit_none<E>(self) -> Result<u64, E> {
            Ok(0)
        }
        fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<u64, D::Error> {
            input.deserialize_str(self)
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
            if text.is_empty() {
                return Ok(0);
            }
            text.parse()
                .map_err(|_| E::custom(format!("resourceVersion {text:?} is not a decimal number")))
        }
    }
    input.deserialize_option(Decimal)
}

/// What a store needs to know of an object, whatever its kind.
pub trait Stored: Send + Sync + 'static {
    /// Namespace; empty for cluster-scoped kinds.
    fn namespace(&self) -> &str;
    /// Name.
    fn name(&self) -> &str;
    /// UID.
    fn uid(&self) -> &str;
    /// Version of the stored object.
    fn resource_version(&self) -> u64;
    /// UID of the managing controller.
    fn controller_uid(&self) -> Option<&str>;
    /// Whether a deletion was asked for; the own-write barrier takes it for the deletion.
    fn has_deletion_timestamp(&self) -> bool;
    /// Node that the object is bound to; only pods are.
    fn node(&self) -> Option<&str> {
        None
    }

    /// Namespace and name.
    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_record_of_fields_tells_whether_somebody_applied_the_object() {
        let of = |entries: serde_json::Value| {
            let meta: Meta = serde_json::from_value(json!({ "managedFields": entries })).unwrap();
            meta.management
        };
        let entry = |operation: &str| json!({ "manager": "m", "operation": operation, "fieldsV1": { "f:spec": {} } });
        assert_eq!(of(json!(null)), Management::Unrecorded);
        assert_eq!(of(json!([])), Management::Unrecorded);
        assert_eq!(
            of(json!([entry("Update"), entry("Update")])),
            Management::Updated
        );
        assert_eq!(
            of(json!([entry("Apply"), entry("Update")])),
            Management::Applied
        );
        assert_eq!(Meta::default().management, Management::Unrecorded);
    }
}
