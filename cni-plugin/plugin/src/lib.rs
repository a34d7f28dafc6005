//! The CNI plugins of a node in one program, called under the name of the one that is meant.
//!
//! A call is read whole ([`call`], [`config`]) before anything is done. What is done is decided by plain functions; files
//! and the kernel are touched at the edge. An answer has the form of the version that was asked for ([`result`]),
//! a failure is an error object that names the field, the value and the rule ([`error`]).

pub mod call;
pub mod config;
pub mod error;
pub mod host_local;
pub mod ipam;
pub mod kernel;
pub mod loopback;
pub mod plugin;
pub mod result;
pub mod version;
