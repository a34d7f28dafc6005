//! `cargo xtask status` and `cargo xtask logs`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Cluster, Status};

use crate::access::{Access, running_cluster};
use crate::progress::Screen;
use crate::{shell, up};

/// The component whose logs are in the cluster, not in a file.
const OURS: &str = "ironkeel-controller-manager";

/// Prints nodes, processes and pods.
pub(crate) fn print(cluster: &Cluster, screen: &Screen) -> Result<()> {
    for line in describe(&cluster.status()?) {
        screen.say(&line);
    }
    Ok(())
}

/// Prints the state of the cluster and of Ironkeel on it.
pub(crate) fn command(screen: &Screen) -> Result<()> {
    let cluster = running_cluster()?;
    print(&cluster, screen)?;
    let access = Access::local(&cluster);
    let mut helm = access.helm();
    helm.args(["list", "--all-namespaces"]);
    screen.say(shell::read(helm)?.trim_end());
    Ok(())
}

fn describe(status: &Status) -> Vec<String> {
    let (fake, real): (Vec<_>, Vec<_>) = status.nodes.iter().partition(|node| node.fake);
    let state = |ready: bool| if ready { "ready" } else { "NOT READY" };
    let mut lines: Vec<String> = real
        .iter()
        .map(|node| {
            let processes = status
                .processes
                .iter()
                .filter(|process| process.node.as_ref() == Some(&node.name));
            format!("{}: {}; {}", node.name, state(node.ready), list(processes))
        })
        .collect();
    let control = status
        .processes
        .iter()
        .filter(|process| process.node.is_none());
    lines.insert(0, format!("control plane: {}", list(control)));
    if !fake.is_empty() {
        let ready = fake.iter().filter(|node| node.ready).count();
        lines.push(format!("{ready} of {} fake nodes ready", fake.len()));
    }
    lines.push(format!(
        "{} of {} pods ready",
        status.pods_ready, status.pods
    ));
    lines
}

fn list<'a>(processes: impl Iterator<Item = &'a ironkeel_testbed::ProcessStatus>) -> String {
    processes
        .map(|process| match process.pid {
            Some(pid) => format!("{} ({pid})", process.program),
            None => format!("{} NOT RUNNING", process.program),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// Prints the log of one component, or names those that have one.
pub(crate) fn logs(component: Option<&str>, follow: bool, screen: &Screen) -> Result<()> {
    let cluster = running_cluster()?;
    let names = log_names(&cluster)?;
    let Some(component) = component else {
        screen.say(OURS);
        for name in names {
            screen.say(&name);
        }
        return Ok(());
    };
    let mut command = if component == OURS {
        let mut kubectl = Access::local(&cluster).kubectl();
        kubectl.args([
            "logs",
            "--namespace",
            up::NAMESPACE,
            "--prefix",
            "--tail=-1",
            "--selector",
        ]);
        kubectl.arg(format!("app.kubernetes.io/name={OURS}"));
        kubectl.args(follow.then_some("--follow"));
        kubectl
    } else {
        let mut tail = shell::command("tail");
        tail.arg("--lines=+1");
        tail.args(follow.then_some("--follow=name"));
        tail.arg(log_file(&cluster, &names, component)?);
        tail
    };
    let status = command.status().context("starting the reader of the log")?;
    if !status.success() && status.code().is_some() {
        bail!("reading the log of {component}: {status}");
    }
    Ok(())
}

fn log_names(cluster: &Cluster) -> Result<Vec<String>> {
    let folder = cluster.log_dir();
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".log") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn log_file(cluster: &Cluster, names: &[String], component: &str) -> Result<PathBuf> {
    if !names.iter().any(|name| name == component) {
        bail!(
            "{component:?} has no log; there are: {OURS}, {}",
            names.join(", ")
        );
    }
    Ok(cluster.log_dir().join(format!("{component}.log")))
}

#[cfg(test)]
mod tests {
    use ironkeel_testbed::{NodeStatus, ProcessStatus};

    use super::*;

    #[test]
    fn what_does_not_run_stands_out() {
        let process = |program: &str, node: Option<&str>, pid| ProcessStatus {
            program: program.to_owned(),
            node: node.map(str::to_owned),
            pid,
        };
        let status = Status {
            nodes: vec![
                NodeStatus {
                    name: "node1".to_owned(),
                    ready: true,
                    fake: false,
                },
                NodeStatus {
                    name: "fake-0".to_owned(),
                    ready: false,
                    fake: true,
                },
            ],
            pods_ready: 3,
            pods: 4,
            processes: vec![
                process("etcd", None, Some(7)),
                process("kube-scheduler", None, None),
                process("kubelet", Some("node1"), Some(9)),
            ],
        };
        assert_eq!(
            describe(&status),
            [
                "control plane: etcd (7), kube-scheduler NOT RUNNING",
                "node1: ready; kubelet (9)",
                "0 of 1 fake nodes ready",
                "3 of 4 pods ready",
            ]
        );
    }
}
