//! The race of the workload controllers: Deployments, ReplicaSets and their pods.
//!
//! Pods name a scheduler that nobody runs, so they stay unscheduled and vanish at once when they are deleted. What is
//! measured is the controllers and what they cost the API server, not kubelets.

pub mod api;
pub mod cases;
pub mod cluster;
pub mod kubelet;
pub mod measure;
pub mod objects;
pub mod population;
pub mod race;
pub mod scenarios;
pub mod sizes;
pub mod subject;
pub mod track;
