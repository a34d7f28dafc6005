//! What the cluster holds before anybody uses it: node ranges and DNS.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::images::COREDNS;
use crate::layout::{DNS_DOMAIN, DNS_SERVICE, node_name, pod_range};
use crate::node::{has_server, resolver};
use crate::progress::Outcome;
use crate::run;
use crate::wait;

/// How long nodes and DNS may take.
const LIMIT: Duration = Duration::from_mins(2);
const READY: &str = "Ready";

impl ControlPlane<'_> {
    /// Applies the objects that every cluster gets. Nothing is written where nothing differs.
    pub(crate) fn ensure_objects(&self) -> Result<Outcome> {
        let servers = resolver();
        // Without a reachable name server the plugin refuses to start.
        let forward = if has_server(&servers) {
            "forward . /etc/resolv.conf"
        } else {
            ""
        };
        let manifest = include_str!("addons/cluster.yaml")
            .replace("@DOMAIN@", DNS_DOMAIN)
            .replace("@FORWARD@", forward)
            .replace("@IMAGE@", COREDNS)
            .replace("@ADDRESS@", &DNS_SERVICE.to_string());
        let arguments = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=ironkeel-testbed",
            "-f",
            "-",
        ];
        run::output_with_input(self.kubectl()?.args(arguments), &manifest)
            .context("apply the cluster's DNS")?;
        Ok(Outcome::Done)
    }

    /// Gives every real node its pod range and returns when all of them are Ready.
    pub(crate) fn ensure_nodes_ready(&self) -> Result<Outcome> {
        let names: BTreeSet<_> = (1..=self.config.nodes).map(node_name).collect();
        let mut outcome = Outcome::Unchanged;
        wait::until(LIMIT, "every node becoming Ready", || {
            let nodes = self.objects(&["nodes"])?;
            for number in 1..=self.config.nodes {
                let node = nodes
                    .iter()
                    .find(|node| node["metadata"]["name"] == node_name(number));
                if node
                    .is_some_and(|node| node["spec"]["podCIDR"].as_str().is_none_or(str::is_empty))
                {
                    let range = pod_range(number);
                    let patch =
                        json!({ "spec": { "podCIDR": range, "podCIDRs": [range] } }).to_string();
                    run::output(self.kubectl()?.args([
                        "patch",
                        "node",
                        &node_name(number),
                        "--patch",
                        &patch,
                    ]))?;
                    outcome = Outcome::Done;
                }
            }
            let ready: BTreeSet<_> = nodes
                .iter()
                .filter(|node| is_ready(node))
                .filter_map(name)
                .collect();
            if names.is_subset(&ready) {
                return Ok(Some(()));
            }
            outcome = Outcome::Done;
            Ok(None)
        })?;
        Ok(outcome)
    }

    /// Returns when no pod of a node that was started again is still called Ready for a container of before: until its
    /// kubelet has looked, the API server knows the last state of the old one.
    pub(crate) fn ensure_pods_current(&self, started: &BTreeMap<String, Timestamp>) -> Result<()> {
        if started.is_empty() {
            return Ok(());
        }
        wait::until(
            LIMIT,
            "every pod of the started nodes showing its new state",
            || {
                let pods = self.objects(&["pods", "--all-namespaces"])?;
                Ok((!pods.iter().any(|pod| is_outdated(pod, started))).then_some(()))
            },
        )
    }

    /// Returns when DNS runs on every real node.
    pub(crate) fn ensure_dns(&self) -> Result<Outcome> {
        let running = || -> Result<bool> {
            let said = run::output(self.kubectl()?.args([
                "get",
                "daemonset",
                "coredns",
                "-n",
                "kube-system",
                "-o",
                "json",
            ]))?;
            let daemon_set: Value = serde_json::from_str(&said)?;
            let status = &daemon_set["status"];
            let everywhere = |field: &str| status[field] == self.config.nodes;
            Ok(
                status["observedGeneration"] == daemon_set["metadata"]["generation"]
                    && everywhere("updatedNumberScheduled")
                    && everywhere("numberAvailable"),
            )
        };
        if running()? {
            return Ok(Outcome::Unchanged);
        }
        wait::until(LIMIT, "CoreDNS running on every node", || {
            Ok(running()?.then_some(()))
        })
        .map_err(|error| {
            let pods = ["get", "pods", "-n", "kube-system", "-o", "wide"];
            let pods = self
                .kubectl()
                .and_then(|mut kubectl| run::output(kubectl.args(pods)))
                .unwrap_or_default();
            anyhow!("{error:#}; the pods:\n{pods}")
        })?;
        Ok(Outcome::Done)
    }

    /// Removes the Node objects of real nodes that are no longer wanted.
    pub(crate) fn forget_nodes(&self, numbers: impl Iterator<Item = u8>) -> Result<()> {
        for number in numbers {
            run::output(self.kubectl()?.args([
                "delete",
                "node",
                &node_name(number),
                "--ignore-not-found",
            ]))?;
        }
        Ok(())
    }

    /// The items of a list, as `kubectl get … -o json` gives them.
    pub(crate) fn objects(&self, what: &[&str]) -> Result<Vec<Value>> {
        list(&mut self.kubectl()?, what)
    }
}

/// The items of a list, as `kubectl get … -o json` gives them.
pub(crate) fn list(kubectl: &mut Command, what: &[&str]) -> Result<Vec<Value>> {
    let said = run::output(kubectl.arg("get").args(what).args(["-o", "json"]))?;
    let mut list: Value = serde_json::from_str(&said).context("parse what kubectl printed")?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => bail!("kubectl get {} printed no list", what.join(" ")),
    }
}

/// Whether a pod counts as Ready for a container that its node had before it was started again.
fn is_outdated(pod: &Value, started: &BTreeMap<String, Timestamp>) -> bool {
    let node = pod["spec"]["nodeName"].as_str();
    let Some(since) = node.and_then(|node| started.get(node)) else {
        return false;
    };
    let containers = pod["status"]["containerStatuses"].as_array();
    let is_older = |container: &Value| {
        let started = container["state"]["running"]["startedAt"].as_str();
        // The API server keeps whole seconds.
        started
            .and_then(|time| time.parse::<Timestamp>().ok())
            .is_some_and(|time| time.as_second() < since.as_second())
    };
    is_ready(pod) && containers.is_some_and(|containers| containers.iter().any(is_older))
}

/// Whether an object's Ready condition is True.
pub(crate) fn is_ready(object: &Value) -> bool {
    object["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|one| one["type"] == READY && one["status"] == "True")
        })
}

/// An object's name.
pub(crate) fn name(object: &Value) -> Option<String> {
    object["metadata"]["name"].as_str().map(str::to_owned)
}

/// The result of a scoped thread; a panic in it goes on here.
pub(crate) fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    match handle.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::is_outdated;

    #[test]
    fn a_container_of_before_the_restart_makes_a_ready_pod_outdated() {
        let started = BTreeMap::from([(
            "node1".to_owned(),
            "2026-11-21T12:00:00.7Z".parse().unwrap(),
        )]);
        let pod = |node: &str, ready: &str, container: &str| {
            json!({
                "spec": { "nodeName": node },
                "status": {
                    "conditions": [{ "type": "Ready", "status": ready }],
                    "containerStatuses": [{ "state": { "running": { "startedAt": container } } }],
                },
            })
        };
        let (before, same, after) = (
            "2026-11-21T11:59:59Z",
            "2026-11-21T12:00:00Z",
            "2026-11-21T12:00:05Z",
        );
        assert!(is_outdated(&pod("node1", "True", before), &started));
        assert!(!is_outdated(&pod("node1", "True", same), &started));
        assert!(!is_outdated(&pod("node1", "True", after), &started));
        assert!(!is_outdated(&pod("node1", "False", before), &started));
        assert!(!is_outdated(&pod("node2", "True", before), &started));
        assert!(!is_outdated(&json!({ "spec": {} }), &started));
    }
}
