//! Flags and wiring of the Ironkeel controllers.
//!
//! The library is what the program is made of, so that a simulator can drive the same wiring.

pub mod announce;
pub mod deployment;
pub mod execute;
pub mod flags;
pub mod patience;
pub mod replicaset;
pub mod run;
pub mod schema;
pub mod selftest;
pub mod wiring;
