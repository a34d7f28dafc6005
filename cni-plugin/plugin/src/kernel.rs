//! The kernel: rtnetlink, and the network namespaces in which it is spoken.
//!
//! Blocking: a call of a plugin lives for milliseconds, and an async runtime would cost it half of one. A namespace is
//! entered by a thread of its own.
//! Nothing else in this crate knows the library that encodes the messages.

pub mod links;
pub mod netns;
mod socket;

pub use links::Link;
pub use netns::Netns;
pub use socket::{Refused, Socket};
