//! Which kinds a campaign is about.

use clap::ValueEnum;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS, Resource,
};
use serde::Serialize;

/// The built-in kinds, or ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `apps/v1`, which kube-controller-manager drives too
    Native,
    /// `apps.ironkeel.dev/v1`
    Crd,
}

impl Mode {
    /// As in `--mode`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Crd => "crd",
        }
    }

    /// The kind of Deployment.
    pub const fn deployments(self) -> Resource {
        match self {
            Self::Native => NATIVE_DEPLOYMENTS,
            Self::Crd => DEPLOYMENTS,
        }
    }

    /// The kind of ReplicaSet.
    pub const fn sets(self) -> Resource {
        match self {
            Self::Native => NATIVE_REPLICA_SETS,
            Self::Crd => REPLICA_SETS,
        }
    }

    /// Every kind that a controller of this mode writes, owners first.
    pub const fn resources(self) -> [Resource; 3] {
        [self.deployments(), self.sets(), PODS]
    }
}
