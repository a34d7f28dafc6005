//! Addresses of one node's containers: host-local's configuration and its files, with an index beside them.
//!
//! What is free and what an attachment holds is decided by plain functions ([`range`], [`taken`]); [`store`] is the only
//! part that touches files.

pub mod config;
pub mod range;
pub mod resolv;
pub mod store;
pub mod taken;
