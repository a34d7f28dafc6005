//! Kills a controller at every one of its writes to a real API server, and checks what it left behind.
//!
//! [`proxy`] stands between a manager and the API server and does harm; [`history`] watches the API server past it and
//! knows every commit and its writer; [`ironkeel_invariants`] judges them. A [`scenario`] is data: what a user does, and
//! what must be there in the end. [`run`] is one of them with one fault, [`campaign`] all of them, and the same for
//! kube-controller-manager as the control.

pub mod campaign;
pub mod cluster;
pub mod end_state;
pub mod expect;
pub mod family;
pub mod fault;
pub mod flags;
pub mod history;
pub mod kubelet;
pub mod managers;
pub mod proxy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod screen;
pub mod subject;
