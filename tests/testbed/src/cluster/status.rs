//! How the cluster is.

use anyhow::Result;
use serde::Serialize;

use super::Cluster;
use crate::addons::{is_ready, name};
use crate::control_plane::SERVICES;
use crate::process::Record;

/// How the cluster is.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The nodes the API server knows, in order of their names.
    pub nodes: Vec<NodeStatus>,
    /// Pods that are Ready.
    pub pods_ready: usize,
    /// Pods that are neither Succeeded nor Failed.
    pub pods: usize,
    /// The processes of the cluster, whether they run or not.
    pub processes: Vec<ProcessStatus>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// The node's name.
    pub name: String,
    /// Whether its Ready condition is True.
    pub ready: bool,
    /// Whether KWOK plays it.
    pub fake: bool,
}

/// One process.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessStatus {
    /// The program, such as `etcd` or `kubelet`; `init` is a node's first process.
    pub program: String,
    /// The node it belongs to; `None` is the control plane.
    pub node: Option<String>,
    /// Its process id on the host; `None` where it does not run.
    pub pid: Option<u32>,
}

impl Cluster {
    /// Nodes, pods and processes, as they are now. An error where the API server does not answer;
    /// [`Cluster::processes`] works even then.
    pub fn status(&self) -> Result<Status> {
        let control_plane = self.control_plane();
        let nodes = control_plane.objects(&["nodes"])?;
        let nodes = nodes.iter().filter_map(|node| {
            let fake = node["metadata"]["labels"]["type"] == "kwok";
            Some(NodeStatus {
                name: name(node)?,
                ready: is_ready(node),
                fake,
            })
        });
        let mut pods = control_plane.objects(&["pods", "--all-namespaces"])?;
        pods.retain(|pod| {
            !matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            )
        });
        Ok(Status {
            nodes: nodes.collect(),
            pods_ready: pods.iter().filter(|pod| is_ready(pod)).count(),
            pods: pods.len(),
            processes: self.processes(),
        })
    }

    /// The processes of the cluster, whether they run or not.
    pub fn processes(&self) -> Vec<ProcessStatus> {
        let fake = self.saved.config.fake_nodes > 0;
        let services = SERVICES
            .iter()
            .filter(|name| fake || **name != "kwok")
            .map(|name| {
                let record = Record::read(&self.layout.record(name))
                    .filter(|record| record.identity.is_alive());
                ProcessStatus {
                    program: (*name).to_owned(),
                    node: None,
                    pid: record.map(|record| record.identity.pid),
                }
            });
        let components = self.nodes().flat_map(|node| {
            let of = node.name();
            node.processes()
                .into_iter()
                .map(move |(program, pid)| ProcessStatus {
                    program: program.to_owned(),
                    node: Some(of.clone()),
                    pid,
                })
        });
        services.chain(components).collect()
    }
}
