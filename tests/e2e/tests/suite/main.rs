//! The cases that must pass on our kinds and on upstream's.

mod deployment;
mod ecosystem;
mod manifests;
mod replica_set;
