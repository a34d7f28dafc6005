//! Reading a pod from the API's protobuf, which costs the API server a quarter of its JSON.
//!
//! Only the fields that [`Pod`] needs are declared, by their numbers in upstream's
//! `generated.proto`; prost steps over all others. Texts are slices of the message, so that
//! nothing is copied but what the view keeps.

use std::borrow::Cow;

use jiff::Timestamp;
use prost::Message;
use prost::bytes::Bytes;

use super::Pod;
use super::intern::Interner;
use super::wire::{
    AnnotationsWire, ConditionWire, ContainerStatusWire, DELETION_COST, InitContainerWire,
    LabelsWire, MetaWire, OwnerWire, PodWire, SHARED, SpecWire, StatusWire, Text,
    parse_deletion_cost,
};

/// Why a message is not a pod.
#[derive(Debug, thiserror::Error)]
pub enum ProtobufError {
    /// It is no message with the fields of a pod.
    #[error("not the protobuf of a pod: {0}")]
    Message(#[from] prost::DecodeError),
    /// A text is not UTF-8.
    #[error("{field}: {:?} is not UTF-8", String::from_utf8_lossy(.value))]
    NotUtf8 {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        value: Bytes,
    },
    /// A pod without a name.
    #[error("metadata.name is missing")]
    NoName,
    /// The version is no number.
    #[error("metadata.resourceVersion {0:?} is not a decimal number")]
    ResourceVersion(String),
    /// A time that no calendar has.
    #[error("{field}: {seconds} s since 1970 is not a time")]
    Time {
        /// Where it stands.
        field: &'static str,
        /// What stands there.
        seconds: i64,
    },
}

#[derive(Message)]
struct PodMessage {
    #[prost(message, optional, tag = "1")]
    metadata: Option<MetaMessage>,
    #[prost(message, optional, tag = "2")]
    spec: Option<SpecMessage>,
    #[prost(message, optional, tag = "3")]
    status: Option<StatusMessage>,
}

#[derive(Message)]
struct MetaMessage {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    namespace: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    uid: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    resource_version: Bytes,
    #[prost(message, optional, tag = "8")]
    creation_timestamp: Option<TimeMessage>,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<TimeMessage>,
    #[prost(message, repeated, tag = "11")]
    labels: Vec<EntryMessage>,
    #[prost(message, repeated, tag = "12")]
    annotations: Vec<EntryMessage>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<OwnerMessage>,
}

/// `metav1.Time`. Upstream reads whole seconds only, and an empty message as no time.
#[derive(Message)]
struct TimeMessage {
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
}

/// One entry of a map.
#[derive(Message)]
struct EntryMessage {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Message)]
struct OwnerMessage {
    #[prost(bytes = "bytes", tag = "1")]
    kind: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    uid: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    api_version: Bytes,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
}

#[derive(Message)]
struct SpecMessage {
    #[prost(bytes = "bytes", tag = "10")]
    node_name: Bytes,
    #[prost(message, repeated, tag = "20")]
    init_containers: Vec<InitContainerMessage>,
}

#[derive(Message)]
struct InitContainerMessage {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "24")]
    restart_policy: Bytes,
}

#[derive(Message)]
struct StatusMessage {
    #[prost(bytes = "bytes", tag = "1")]
    phase: Bytes,
    #[prost(message, repeated, tag = "2")]
    conditions: Vec<ConditionMessage>,
    #[prost(message, repeated, tag = "8")]
    container_statuses: Vec<ContainerStatusMessage>,
    #[prost(message, repeated, tag = "10")]
    init_container_statuses: Vec<ContainerStatusMessage>,
}

#[derive(Message)]
struct ConditionMessage {
    #[prost(bytes = "bytes", tag = "1")]
    kind: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    status: Bytes,
    #[prost(message, optional, tag = "4")]
    last_transition_time: Option<TimeMessage>,
}

#[derive(Message)]
struct ContainerStatusMessage {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(int32, tag = "5")]
    restart_count: i32,
}

impl Pod {
    /// Reads a core/v1 `Pod` message, without the envelope in which the API server sends it.
    pub fn from_protobuf(message: Bytes) -> Result<Self, ProtobufError> {
        from_protobuf(message, &SHARED)
    }
}

fn from_protobuf(message: Bytes, interner: &Interner) -> Result<Pod, ProtobufError> {
    let PodMessage {
        metadata,
        spec,
        status,
    } = PodMessage::decode(message)?;
    let metadata = metadata.as_ref().ok_or(ProtobufError::NoName)?;
    let wire = PodWire {
        metadata: metadata.wire()?,
        spec: spec
            .as_ref()
            .map(SpecMessage::wire)
            .transpose()?
            .unwrap_or_default(),
        status: status
            .as_ref()
            .map(StatusMessage::wire)
            .transpose()?
            .unwrap_or_default(),
    };
    Ok(wire.into_pod(interner))
}

fn text<'a>(field: &'static str, value: &'a Bytes) -> Result<Text<'a>, ProtobufError> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Text(Cow::Borrowed(text))),
        Err(_) => Err(ProtobufError::NotUtf8 {
            field,
            value: value.clone(),
        }),
    }
}

fn time(
    field: &'static str,
    time: Option<&TimeMessage>,
) -> Result<Option<Timestamp>, ProtobufError> {
    let Some(seconds) = time.and_then(|time| time.seconds) else {
        return Ok(None);
    };
    match Timestamp::from_second(seconds) {
        Ok(time) => Ok(Some(time)),
        Err(_) => Err(ProtobufError::Time { field, seconds }),
    }
}

impl MetaMessage {
    fn wire(&self) -> Result<MetaWire<'_>, ProtobufError> {
        if self.name.is_empty() {
            return Err(ProtobufError::NoName);
        }
        let version = text("metadata.resourceVersion", &self.resource_version)?.0;
        let resource_version = if version.is_empty() {
            0
        } else {
            let number = version.parse();
            number.map_err(|_| ProtobufError::ResourceVersion(version.into_owned()))?
        };
        let labels = self.labels.iter().map(|label| {
            Ok((
                text("metadata.labels", &label.key)?,
                text("metadata.labels", &label.value)?,
            ))
        });
        let mut annotations = AnnotationsWire::default();
        for entry in &self.annotations {
            if entry.key == DELETION_COST {
                let value = text("metadata.annotations", &entry.value)?.0;
                annotations.deletion_cost = parse_deletion_cost(&value);
            }
        }
        let owners = self.owner_references.iter().map(OwnerMessage::wire);
        Ok(MetaWire {
            name: text("metadata.name", &self.name)?,
            namespace: text("metadata.namespace", &self.namespace)?,
            uid: text("metadata.uid", &self.uid)?,
            resource_version,
            creation_timestamp: time(
                "metadata.creationTimestamp",
                self.creation_timestamp.as_ref(),
            )?,
            deletion_timestamp: time(
                "metadata.deletionTimestamp",
                self.deletion_timestamp.as_ref(),
            )?,
            labels: LabelsWire(labels.collect::<Result<_, ProtobufError>>()?),
            annotations,
            owner_references: owners.collect::<Result<_, _>>()?,
        })
    }
}

impl OwnerMessage {
    fn wire(&self) -> Result<OwnerWire<'_>, ProtobufError> {
        Ok(OwnerWire {
            api_version: text("metadata.ownerReferences.apiVersion", &self.api_version)?,
            kind: text("metadata.ownerReferences.kind", &self.kind)?,
            name: text("metadata.ownerReferences.name", &self.name)?,
            uid: text("metadata.ownerReferences.uid", &self.uid)?,
            controller: self.controller,
        })
    }
}

impl SpecMessage {
    fn wire(&self) -> Result<SpecWire<'_>, ProtobufError> {
        let containers = self.init_containers.iter().map(|container| {
            Ok(InitContainerWire {
                name: text("spec.initContainers.name", &container.name)?,
                restart_policy: Some(text(
                    "spec.initContainers.restartPolicy",
                    &container.restart_policy,
                )?),
            })
        });
        Ok(SpecWire {
            node_name: Some(text("spec.nodeName", &self.node_name)?),
            init_containers: containers.collect::<Result<_, ProtobufError>>()?,
        })
    }
}

impl StatusMessage {
    fn wire(&self) -> Result<StatusWire<'_>, ProtobufError> {
        let conditions = self.conditions.iter().map(|condition| {
            Ok(ConditionWire {
                kind: text("status.conditions.type", &condition.kind)?,
                status: text("status.conditions.status", &condition.status)?,
                last_transition_time: time(
                    "status.conditions.lastTransitionTime",
                    condition.last_transition_time.as_ref(),
                )?,
            })
        });
        Ok(StatusWire {
            phase: Some(text("status.phase", &self.phase)?),
            conditions: conditions.collect::<Result<_, ProtobufError>>()?,
            container_statuses: containers(
                "status.containerStatuses.name",
                &self.container_statuses,
            )?,
            init_container_statuses: containers(
                "status.initContainerStatuses.name",
                &self.init_container_statuses,
            )?,
        })
    }
}

fn containers<'a>(
    field: &'static str,
    statuses: &'a [ContainerStatusMessage],
) -> Result<Vec<ContainerStatusWire<'a>>, ProtobufError> {
    let statuses = statuses.iter().map(|status| {
        Ok(ContainerStatusWire {
            name: text(field, &status.name)?,
            restart_count: status.restart_count,
        })
    });
    statuses.collect()
}

#[cfg(test)]
#[path = "proto_tests.rs"]
mod tests;
