//! The race against kube-controller-manager on a real API server.
//!
//! What any measurement needs lies at the top: figures of processes ([`proc`]), the API server's own count of requests
//! ([`counters`]), medians and exponents ([`stats`]), results and bars ([`results`], [`bars`]) and how they are shown
//! ([`report`], [`plot`]). Each suite of scenarios is a module beside them; [`controllers`] is the first.

pub mod bars;
pub mod controllers;
pub mod counters;
pub mod flags;
pub mod plot;
pub mod proc;
pub mod report;
pub mod results;
pub mod screen;
pub mod stats;
