//! The kernel: rtnetlink, and the network namespaces in which it is spoken.
//!
//! Blocking and on one thread: a call of a plugin lives for milliseconds, and an async runtime would cost it half of one.
//! Nothing else in this crate knows the library that encodes the messages.

pub mod links;
pub mod netns;
mod socket;

pub use links::Link;
pub use netns::Netns;
pub use socket::{Refused, Socket};
