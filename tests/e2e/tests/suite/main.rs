//! The cases that must pass on our kinds and on upstream's.

mod deployment;
mod ecosystem;
mod replica_set;
