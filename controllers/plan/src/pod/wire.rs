//! Reading a pod from the API's JSON.
//!
//! The text is read once, borrowed where it can be, and everything that is not wanted
//! (managedFields, volumes, environment, probes, most of status) is stepped over without
//! being stored.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::intern::{Interner, Labels};
use super::{ControllerRef, Phase, Pod};

/// Annotation that orders the pods of a set for deletion.
pub(super) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The interner of pods that are read by plain `Deserialize`, which has no place to pass
/// one. It changes where strings live and never what they say.
pub(super) static SHARED: LazyLock<Interner> = LazyLock::new(Interner::new);

/// Reads a [`Pod`] with an interner of the caller's choice.
#[derive(Clone, Copy, Debug)]
pub struct PodSeed<'i>(pub &'i Interner);

impl<'de> DeserializeSeed<'de> for PodSeed<'_> {
    type Value = Pod;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Pod, D::Error> {
        PodWire::deserialize(input).map(|wire| wire.into_pod(self.0))
    }
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        PodSeed(&SHARED).deserialize(input)
    }
}

/// A string that borrows from the input unless it holds escapes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        input.deserialize_str(TextVisitor)
    }
}

/// Reads `null` as the default, as the API server's own decoder does.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    input: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(input).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
pub(super) struct PodWire<'a> {
    #[serde(borrow)]
    pub(super) metadata: MetaWire<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) spec: SpecWire<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) status: StatusWire<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaWire<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) namespace: Text<'a>,
    #[serde(borrow, default)]
    pub(super) uid: Text<'a>,
    #[serde(default, deserialize_with = "crate::meta::resource_version")]
    pub(super) resource_version: u64,
    #[serde(default)]
    pub(super) creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<Timestamp>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) labels: LabelsWire<'a>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: AnnotationsWire,
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerWire<'a>>,
}

#[derive(Default)]
pub(super) struct LabelsWire<'a>(pub(super) Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for LabelsWire<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = LabelsWire<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Vec::with_capacity(8);
                while let Some(label) = map.next_entry()? {
                    labels.push(label);
                }
                Ok(LabelsWire(labels))
            }
        }
        input.deserialize_map(LabelsVisitor)
    }
}

/// The one annotation that controllers read, already parsed.
#[derive(Default)]
pub(super) struct AnnotationsWire {
    pub(super) deletion_cost: i32,
}

impl<'de> Deserialize<'de> for AnnotationsWire {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct AnnotationsVisitor;
        impl<'de> Visitor<'de> for AnnotationsVisitor {
            type Value = AnnotationsWire;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut deletion_cost = 0;
                while let Some(Text(key)) = map.next_key()? {
                    if key == DELETION_COST {
                        deletion_cost = parse_deletion_cost(&map.next_value::<Text<'_>>()?.0);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(AnnotationsWire { deletion_cost })
            }
        }
        input.deserialize_map(AnnotationsVisitor)
    }
}

/// The value of the pod-deletion-cost annotation; a malformed one is 0.
///
/// Upstream refuses a plus sign and leading zeros on top of what does not fit 32 bits.
pub(super) fn parse_deletion_cost(text: &str) -> i32 {
    match text.as_bytes() {
        [b'0'] | [b'-' | b'1'..=b'9', ..] => text.parse().unwrap_or_default(),
        _ => 0,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerWire<'a> {
    #[serde(borrow, default)]
    pub(super) api_version: Text<'a>,
    #[serde(borrow, default)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) uid: Text<'a>,
    #[serde(default)]
    pub(super) controller: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SpecWire<'a> {
    #[serde(borrow)]
    pub(super) node_name: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) init_containers: Vec<InitContainerWire<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitContainerWire<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) restart_policy: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct StatusWire<'a> {
    #[serde(borrow)]
    pub(super) phase: Option<Text<'a>>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) conditions: Vec<ConditionWire<'a>>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatusWire<'a>>,
    #[serde(borrow, deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatusWire<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionWire<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    #[serde(default)]
    pub(super) last_transition_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStatusWire<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(default)]
    pub(super) restart_count: i32,
}

impl PodWire<'_> {
    pub(super) fn into_pod(self, interner: &Interner) -> Pod {
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let ready = status.conditions.iter().find(|one| one.kind.0 == "Ready");
        let ready_now = ready.is_some_and(|condition| condition.status.0 == "True");
        let is_sidecar = |name: &Text<'_>| {
            spec.init_containers.iter().any(|container| {
                let always = container.restart_policy.as_ref();
                container.name == *name && always.is_some_and(|policy| policy.0 == "Always")
            })
        };
        Pod {
            name: metadata.name.0.as_ref().into(),
            namespace: interner.share(&metadata.namespace.0),
            uid: metadata.uid.0.as_ref().into(),
            resource_version: metadata.resource_version,
            created: metadata.creation_timestamp,
            deleting: metadata.deletion_timestamp,
            labels: metadata.labels.share(interner),
            controller: metadata
                .owner_references
                .iter()
                .find(|owner| owner.controller == Some(true))
                .map(|owner| ControllerRef {
                    uid: interner.share(&owner.uid.0),
                    kind: interner.share(&owner.kind.0),
                    name: interner.share(&owner.name.0),
                    api_version: interner.share(&owner.api_version.0),
                }),
            node: spec
                .node_name
                .as_ref()
                .filter(|name| !name.0.is_empty())
                .map(|name| interner.share(&name.0)),
            phase: match status.phase.as_ref().map(|phase| phase.0.as_ref()) {
                Some("Running") => Phase::Running,
                Some("Succeeded") => Phase::Succeeded,
                Some("Failed") => Phase::Failed,
                Some("Unknown") => Phase::Unknown,
                _ => Phase::Pending,
            },
            ready: ready_now,
            ready_since: ready.and_then(|condition| condition.last_transition_time),
            restarts: most_restarts(status.container_statuses.iter()),
            sidecar_restarts: most_restarts(
                status
                    .init_container_statuses
                    .iter()
                    .filter(|container| is_sidecar(&container.name)),
            ),
            deletion_cost: metadata.annotations.deletion_cost,
        }
    }
}

impl LabelsWire<'_> {
    fn share(mut self, interner: &Interner) -> Labels {
        self.0.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0));
        let labels: Vec<_> = self
            .0
            .iter()
            .map(|(key, value)| (interner.share(&key.0), interner.share(&value.0)))
            .collect();
        interner.share_labels(&labels)
    }
}

fn most_restarts<'a>(containers: impl Iterator<Item = &'a ContainerStatusWire<'a>>) -> i32 {
    containers
        .map(|container| container.restart_count)
        .max()
        .unwrap_or_default()
        .max(0)
}
