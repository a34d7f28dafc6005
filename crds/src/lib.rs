//! The custom resource kinds of Ironkeel: types, CEL rules, defaults, printer columns.
//!
//! The types exist to make schemas: [`crds`] turns them into CustomResourceDefinitions, and
//! [`rbac`] says what each controller may do with them. Controllers do not decode objects
//! through these types; they read their own views, in which fields newer than this crate survive.
//!
//! Facts that decide the shape of the schemas:
//!
//! * A built-in kind takes what Go's decoder takes. A custom kind takes what its schema allows.
//!   So that a user changes the `apiVersion` line and nothing else, the template's schema is
//!   widened where Go is lenient: see [`template`].
//! * Rules in CEL have a cost, which the API server estimates from the largest input that the
//!   schema allows: see [`selector`] for the limits that keep it small.

pub mod condition;
mod crd;
pub mod deployment;
pub mod rbac;
pub mod replica_set;
pub mod selector;
pub mod template;

pub use crd::{Kind, crds};
pub use deployment::{Deployment, DeploymentSpec, DeploymentStatus};
pub use replica_set::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};

/// API group of the workload kinds.
pub const GROUP: &str = "apps.ironkeel.dev";

/// Served and stored version of the workload kinds.
pub const VERSION: &str = "v1";
