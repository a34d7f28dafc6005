//! Nodes that only the API server knows: KWOK plays their kubelets.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::addons::{is_ready, join, name};
use crate::control_plane::ControlPlane;
use crate::process::Record;
use crate::progress::Outcome;
use crate::run;
use crate::wait;

/// How many nodes one call creates or deletes, and how many calls run side by side.
const CHUNK: usize = 100;
const CALLS: usize = 4;
/// How long they may take to become Ready.
const LIMIT: Duration = Duration::from_mins(5);
const SELECTOR: &str = "type=kwok";

impl ControlPlane<'_> {
    /// Whether there is anything to do or to undo.
    pub(crate) fn concerns_fake_nodes(&self) -> bool {
        self.config.fake_nodes > 0 || Record::read(&self.layout.record("kwok")).is_some()
    }

    /// Makes sure that KWOK plays exactly the wanted number of nodes.
    pub(crate) fn ensure_fake_nodes(&self) -> Result<Outcome> {
        let wanted: BTreeSet<_> = (0..self.config.fake_nodes)
            .map(|number| format!("fake-{number}"))
            .collect();
        let there: BTreeSet<_> = self
            .objects(&["nodes", "-l", SELECTOR])?
            .iter()
            .filter_map(name)
            .collect();
        if wanted.is_empty() {
            if !there.is_empty() {
                // One request for all; kubectl would send one each.
                let all = format!(
                    "/api/v1/nodes?labelSelector={}",
                    SELECTOR.replace('=', "%3D")
                );
                run::output(self.kubectl()?.args(["delete", "--raw", &all]))?;
            }
            return Self::stop(self.layout, "kwok");
        }
        let surplus: Vec<_> = there.difference(&wanted).collect();
        side_by_side(&surplus, |names| {
            run::output(
                self.kubectl()?
                    .args(["delete", "node", "--wait=false"])
                    .args(names),
            )
            .map(|_| ())
        })?;
        let started = self.ensure_kwok()?;
        let missing: Vec<_> = wanted.difference(&there).collect();
        side_by_side(&missing, |names| self.create_fake_nodes(names))?;
        wait::until(LIMIT, "every fake node becoming Ready", || {
            let nodes = self.objects(&["nodes", "-l", SELECTOR])?;
            Ok((nodes.iter().filter(|node| is_ready(node)).count() >= wanted.len()).then_some(()))
        })?;
        let unchanged = started == Outcome::Unchanged && missing.is_empty() && surplus.is_empty();
        Ok(if unchanged {
            Outcome::Unchanged
        } else {
            Outcome::Done
        })
    }

    fn create_fake_nodes(&self, names: &[&String]) -> Result<()> {
        let resources = json!({ "cpu": "32", "memory": "256Gi", "pods": "110" });
        let nodes: Vec<_> = names
            .iter()
            .map(|name| {
                json!({
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {
                        "name": name,
                        "labels": { "type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" },
                        "annotations": { "kwok.x-k8s.io/node": "fake" },
                    },
                    // Only pods that ask for it land where nothing runs.
                    "spec": { "taints": [{ "key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule" }] },
                    "status": { "allocatable": resources, "capacity": resources },
                })
            })
            .collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": nodes }).to_string();
        run::output_with_input(self.kubectl()?.args(["create", "-f", "-"]), &list).map(|_| ())
    }
}

/// One `kubectl` sends its requests one after the other, and slows itself down.
fn side_by_side(names: &[&String], work: impl Fn(&[&String]) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let share = names.len().div_ceil(CALLS).max(1);
        let calls: Vec<_> = names
            .chunks(share)
            .map(|share| scope.spawn(|| share.chunks(CHUNK).try_for_each(&work)))
            .collect();
        calls.into_iter().try_for_each(join)
    })
}
