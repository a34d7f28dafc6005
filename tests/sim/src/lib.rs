//! A deterministic simulator: the real controllers on a model of the API server, with faults at every step.
//!
//! ```text
//! scenario ─► user ─┐                                    ┌─► history ─► invariants, table
//!            kubelet├─► api (a synchronous state machine)┤
//!  garbage collector┘        ▲                           └─► watch logs
//!                            │ network: latency, faults, one lag per watch
//!                     kube::Client of each manager process (the real wiring, lease and controllers)
//! ```
//!
//! One thread, tokio's paused time and one seed decide everything: the same seed gives the same history to the byte.

pub mod actor;
pub mod api;
pub mod campaign;
pub mod dice;
pub mod expect;
pub mod fault;
pub mod history;
pub mod kubelet;
mod network;
mod process;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod table;
pub mod user;
