//! The resources that the model serves, and in what they differ.

use ironkeel_runtime::resource::Resource;

/// core/v1 Namespaces.
pub const NAMESPACES: Resource = Resource::new("", "v1", "Namespace", "namespaces");
/// core/v1 ResourceQuotas.
pub const RESOURCE_QUOTAS: Resource = Resource::new("", "v1", "ResourceQuota", "resourcequotas");
/// core/v1 Events.
pub const EVENTS: Resource = Resource::new("", "v1", "Event", "events");
/// Leases.
pub const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "Lease", "leases");
