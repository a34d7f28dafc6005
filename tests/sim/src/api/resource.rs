//! The resources that the model serves, and in what they differ.
//!
//! Another kind is another line of `STRATEGIES`, and where it has any, its defaults and its validation.

use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, Resource,
};
use serde_json::Value;

use super::builtin;
use super::status::FieldError;
use super::validate;

/// core/v1 Namespaces.
pub const NAMESPACES: Resource = Resource::new("", "v1", "Namespace", "namespaces");
/// core/v1 ResourceQuotas.
pub const RESOURCE_QUOTAS: Resource = Resource::new("", "v1", "ResourceQuota", "resourcequotas");
/// core/v1 Events.
pub const EVENTS: Resource = Resource::new("", "v1", "Event", "events");
/// Leases.
pub const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "Lease", "leases");

/// What makes a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// The kind has none.
    None,
    /// A change of the spec.
    Spec,
    /// A change of the spec or of the annotations, which a Deployment hands on.
    SpecOrAnnotations,
}

/// What a write of the status may change beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusWrite {
    /// There is no such subresource.
    None,
    /// All metadata but these fields.
    MetadataBut(&'static [&'static str]),
    /// Nothing: custom kinds.
    Alone,
}

/// What happens to dependents where a deletion does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefaultPolicy {
    /// They are deleted after it.
    Background,
    /// They are orphaned, as once was the rule.
    Orphan,
    /// The kind can own nothing.
    Unsupported,
}

/// Judges an object: new, old, and the subresource through which it is written.
pub(super) type Validation = fn(&Value, Option<&Value>, &str) -> Vec<FieldError>;

/// How a resource behaves.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of its own, as upstream's strategies have them"
)]
#[derive(Debug)]
pub(super) struct Strategy {
    pub(super) resource: Resource,
    pub(super) namespaced: bool,
    /// Served from a CustomResourceDefinition.
    pub(super) custom: bool,
    pub(super) generation: Generation,
    pub(super) status: StatusWrite,
    pub(super) has_scale: bool,
    /// A PUT without a version is taken.
    pub(super) unconditional: bool,
    /// A PUT creates.
    pub(super) create_on_update: bool,
    pub(super) policy: DefaultPolicy,
    /// A deletion answers with the object, not with a `Status`.
    pub(super) returns_deleted: bool,
    /// Brings what was sent into the stored form: drops what is empty or unknown, adds defaults.
    pub(super) decode: fn(&mut Value),
    /// What a new object's status is.
    pub(super) first_status: fn(&mut Value),
    pub(super) validate: Validation,
}

const BUILT_IN: Strategy = Strategy {
    resource: PODS,
    namespaced: true,
    custom: false,
    generation: Generation::None,
    status: StatusWrite::None,
    has_scale: false,
    unconditional: true,
    create_on_update: false,
    policy: DefaultPolicy::Background,
    returns_deleted: false,
    decode: builtin::plain,
    first_status: builtin::status_as_sent,
    validate: validate::nothing,
};

const CUSTOM: Strategy = Strategy {
    custom: true,
    generation: Generation::Spec,
    status: StatusWrite::Alone,
    has_scale: true,
    unconditional: false,
    first_status: builtin::no_status,
    ..BUILT_IN
};

/// Every resource that is served.
pub(super) static STRATEGIES: &[Strategy] = &[
    Strategy {
        resource: PODS,
        generation: Generation::Spec,
        status: StatusWrite::MetadataBut(&["ownerReferences", "deletionTimestamp"]),
        returns_deleted: true,
        decode: builtin::pod,
        first_status: builtin::pending,
        validate: validate::pod,
        ..BUILT_IN
    },
    Strategy {
        resource: REPLICATION_CONTROLLERS,
        generation: Generation::Spec,
        status: StatusWrite::MetadataBut(&[]),
        has_scale: true,
        policy: DefaultPolicy::Orphan,
        decode: builtin::replication_controller,
        first_status: builtin::no_replicas,
        validate: validate::replication_controller,
        ..BUILT_IN
    },
    Strategy {
        resource: NATIVE_REPLICA_SETS,
        generation: Generation::Spec,
        status: StatusWrite::MetadataBut(&[]),
        has_scale: true,
        decode: builtin::replica_set,
        first_status: builtin::no_replicas,
        validate: validate::replica_set,
        ..BUILT_IN
    },
    Strategy {
        resource: NATIVE_DEPLOYMENTS,
        generation: Generation::SpecOrAnnotations,
        status: StatusWrite::MetadataBut(&["labels"]),
        has_scale: true,
        decode: builtin::deployment,
        first_status: builtin::empty_status,
        validate: validate::deployment,
        ..BUILT_IN
    },
    Strategy {
        resource: REPLICA_SETS,
        decode: builtin::custom_replica_set,
        validate: validate::custom_replica_set,
        ..CUSTOM
    },
    Strategy {
        resource: DEPLOYMENTS,
        decode: builtin::custom_deployment,
        validate: validate::custom_deployment,
        ..CUSTOM
    },
    Strategy {
        resource: NAMESPACES,
        namespaced: false,
        status: StatusWrite::MetadataBut(&[]),
        returns_deleted: true,
        decode: builtin::namespace,
        first_status: builtin::active,
        validate: validate::namespace,
        ..BUILT_IN
    },
    Strategy {
        resource: RESOURCE_QUOTAS,
        status: StatusWrite::MetadataBut(&[]),
        returns_deleted: true,
        first_status: builtin::empty_status,
        validate: validate::resource_quota,
        ..BUILT_IN
    },
    Strategy {
        resource: LEASES,
        unconditional: false,
        create_on_update: true,
        decode: builtin::lease,
        validate: validate::lease,
        ..BUILT_IN
    },
    Strategy {
        resource: EVENTS,
        create_on_update: true,
        policy: DefaultPolicy::Unsupported,
        validate: validate::event,
        ..BUILT_IN
    },
];

/// Places of resources in the table that the model itself looks into.
pub(super) fn index_of(resource: Resource) -> Option<usize> {
    STRATEGIES
        .iter()
        .position(|strategy| strategy.resource == resource)
}
