//! The custom resource kinds of Ironkeel: types, CEL rules, defaults, printer columns.

pub mod rbac;

/// API group of the workload kinds.
pub const GROUP: &str = "apps.ironkeel.dev";
