//! Which family of kinds the suite drives.

use kube::core::ApiResource;

/// A family of workload kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `apps.ironkeel.dev/v1`, driven by Ironkeel.
    Ironkeel,
    /// `apps/v1`, driven by whoever drives the built-in kinds on the cluster.
    Upstream,
}

/// The family named by `IRONKEEL_E2E_TARGET`.
///
/// # Panics
/// On a value that is neither `ironkeel` nor `upstream`, so that a typing error cannot pass as a run.
#[expect(
    clippy::panic,
    reason = "a test suite that does not know its target must not run"
)]
pub fn target() -> Target {
    match std::env::var("IRONKEEL_E2E_TARGET").as_deref() {
        Err(_) | Ok("" | "ironkeel") => Target::Ironkeel,
        Ok("upstream") => Target::Upstream,
        Ok(other) => panic!("IRONKEEL_E2E_TARGET={other:?} must be `ironkeel` or `upstream`"),
    }
}

impl Target {
    /// API group of the family.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Ironkeel => "apps.ironkeel.dev",
            Self::Upstream => "apps",
        }
    }

    /// Group and version, as in `apiVersion`.
    pub fn api_version(self) -> String {
        format!("{}/v1", self.group())
    }

    /// The Deployment kind of the family.
    pub fn deployments(self) -> ApiResource {
        self.resource("Deployment", "deployments")
    }

    /// The ReplicaSet kind of the family.
    pub fn replica_sets(self) -> ApiResource {
        self.resource("ReplicaSet", "replicasets")
    }

    fn resource(self, kind: &str, plural: &str) -> ApiResource {
        ApiResource {
            group: self.group().to_owned(),
            version: "v1".to_owned(),
            api_version: self.api_version(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}
