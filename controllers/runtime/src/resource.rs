//! Which collection of the API a store, a watch or a write is about.

use std::fmt;

/// A namespaced kind as the API server serves it.
///
/// Planners never see this: native and custom kinds differ here and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Resource {
    /// API group; empty for core/v1.
    pub group: &'static str,
    /// Version in the group.
    pub version: &'static str,
    /// Kind, as in `kind:` of a manifest.
    pub kind: &'static str,
    /// Name of the collection in the path.
    pub plural: &'static str,
}

/// core/v1 Pods.
pub const PODS: Resource = Resource::new("", "v1", "Pod", "pods");
/// core/v1 ReplicationControllers.
pub const REPLICATION_CONTROLLERS: Resource =
    Resource::new("", "v1", "ReplicationController", "replicationcontrollers");
/// The built-in ReplicaSets.
pub const NATIVE_REPLICA_SETS: Resource = Resource::new("apps", "v1", "ReplicaSet", "replicasets");
/// The built-in Deployments.
pub const NATIVE_DEPLOYMENTS: Resource = Resource::new("apps", "v1", "Deployment", "deployments");
/// Ironkeel's ReplicaSets.
pub const REPLICA_SETS: Resource =
    Resource::new("apps.ironkeel.dev", "v1", "ReplicaSet", "replicasets");
/// Ironkeel's Deployments.
pub const DEPLOYMENTS: Resource =
    Resource::new("apps.ironkeel.dev", "v1", "Deployment", "deployments");

impl Resource {
    /// A resource of `group/version`.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
        }
    }

    /// The text of `apiVersion:`; the core group has no prefix.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The URL path, without a host: of the collection over all namespaces, of a
    /// namespace's collection, of one object or of its subresource.
    ///
    /// `name` without `namespace` is not a path of a namespaced kind; the name is then
    /// left out. Names are inserted as they are: the API admits only characters that need no
    /// escaping.
    pub fn path(
        &self,
        namespace: Option<&str>,
        name: Option<&str>,
        subresource: Option<&str>,
    ) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let Some(namespace) = namespace {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(self.plural);
        if let (Some(_), Some(name)) = (namespace, name) {
            path.push('/');
            path.push_str(name);
            if let Some(subresource) = subresource {
                path.push('/');
                path.push_str(subresource);
            }
        }
        path
    }
}

/// `replicasets.apps.ironkeel.dev`, `pods`: upstream's GroupResource text.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_core_and_named_groups() {
        let cases = [
            (PODS.path(None, None, None), "/api/v1/pods"),
            (
                PODS.path(Some("a"), None, None),
                "/api/v1/namespaces/a/pods",
            ),
            (
                PODS.path(Some("a"), Some("p"), None),
                "/api/v1/namespaces/a/pods/p",
            ),
            (
                REPLICA_SETS.path(Some("a"), Some("r"), Some("status")),
                "/apis/apps.ironkeel.dev/v1/namespaces/a/replicasets/r/status",
            ),
            (
                NATIVE_DEPLOYMENTS.path(None, None, None),
                "/apis/apps/v1/deployments",
            ),
            (
                NATIVE_DEPLOYMENTS.path(None, Some("ignored"), Some("ignored")),
                "/apis/apps/v1/deployments",
            ),
        ];
        for (is, should) in cases {
            assert_eq!(is, should);
        }
    }

    #[test]
    fn text_names_group_and_version() {
        assert_eq!(PODS.api_version(), "v1");
        assert_eq!(DEPLOYMENTS.api_version(), "apps.ironkeel.dev/v1");
        assert_eq!(PODS.to_string(), "pods");
        assert_eq!(NATIVE_REPLICA_SETS.to_string(), "replicasets.apps");
    }
}
