//! End-to-end tests, run against Ironkeel's kinds and against upstream's.
//!
//! The cases are in `tests/suite/`. Each runs in a namespace of its own on the cluster of
//! `KUBECONFIG`, against the kinds that `IRONKEEL_E2E_TARGET` names: `ironkeel` (default) or
//! `upstream`. A case that asks for a feature of our own kinds only is not run on upstream's;
//! every other case has to pass on both, which shows that the case is right.
//!
//! Nothing here sleeps: a test watches an object until a condition holds, with a deadline, and
//! a failure prints the objects and events of the namespace (and leaves them in
//! `IRONKEEL_E2E_LOGS`, if set).

pub mod manifest;
pub mod program;
pub mod scenario;
pub mod status;
pub mod target;
pub mod wait;

pub use scenario::Scenario;
pub use target::{Target, target};
pub use wait::{LONG, SHORT};
