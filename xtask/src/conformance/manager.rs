//! Our manager as a host process that drives the built-in kinds, as kube-controller-manager runs.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ironkeel_testbed::Cluster;

use crate::access::Access;
use crate::progress::Screen;
use crate::release::Release;
use crate::shell;

/// Every loop of kube-controller-manager but those that native mode replaces.
const WITHOUT_OURS: &str =
    "*,-deployment-controller,-replicaset-controller,-replicationcontroller-controller";

const NAMESPACE: &str = "ironkeel-native";
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// The manager in native mode; ends with this value.
#[derive(Debug)]
pub(super) struct NativeManager {
    child: Child,
}

/// The chart without its Deployment: ServiceAccounts, roles and FlowSchemas for a manager outside of the cluster.
fn roles() -> Release {
    Release {
        name: "ironkeel-native",
        chart: "ironkeel-controllers",
        namespace: NAMESPACE,
        values: vec![
            "mode=native".to_owned(),
            "deployment.enabled=false".to_owned(),
            // The release that runs in the cluster has them.
            "aggregatedRoles.enabled=false".to_owned(),
        ],
    }
}

/// Takes the three loops from kube-controller-manager, runs `work` while `binary` drives them, and gives them back,
/// whatever became of the work.
pub(super) fn with_native_manager<T>(
    cluster: &Cluster,
    binary: &Path,
    folder: &Path,
    screen: &Screen,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let access = Access::local(cluster);
    let log = folder.join("native-setup.log");
    roles().install(&access, &log, screen)?;
    let kubeconfig = cluster.issue_client_kubeconfig(
        &format!("system:serviceaccount:{NAMESPACE}:ironkeel-controller-manager"),
        &[
            "system:serviceaccounts",
            &format!("system:serviceaccounts:{NAMESPACE}"),
        ],
    )?;
    let result = cluster
        .restart_kube_controller_manager(WITHOUT_OURS, &[], screen)
        .and_then(|()| loops_are_off(cluster))
        .and_then(|()| {
            let log = folder.join("ironkeel-controller-manager.log");
            let manager = screen.step("start ironkeel-controller-manager --mode=native", || {
                NativeManager::start(binary, &kubeconfig, &log)
            })?;
            let value = work()?;
            // An `up` in the meantime would have given the loops back, and the specs would prove nothing.
            loops_are_off(cluster)?;
            manager.stop()?;
            Ok(value)
        });
    // Upstream's loops come back also after a failure: a cluster without them is of no use to anybody.
    let restored = cluster
        .restart_kube_controller_manager(&cluster.config().controllers, &[], screen)
        .and_then(|()| roles().remove(&access, &log));
    let value = result?;
    restored?;
    Ok(value)
}

/// Makes sure that nobody but us can pass the specs: asks the running process, not whoever started it.
fn loops_are_off(cluster: &Cluster) -> Result<()> {
    let status = cluster.status()?;
    let pid = status
        .processes
        .iter()
        .find(|process| process.program == "kube-controller-manager")
        .and_then(|process| process.pid)
        .context("kube-controller-manager does not run")?;
    let file = format!("/proc/{pid}/cmdline");
    let line = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let wanted = format!("--controllers={WITHOUT_OURS}");
    if !line.split('\0').any(|word| word == wanted) {
        bail!("kube-controller-manager (process {pid}) does not run with {wanted}");
    }
    Ok(())
}

impl NativeManager {
    fn start(binary: &Path, kubeconfig: &Path, log: &Path) -> Result<Self> {
        // The port is free again when the manager asks for it; nobody else here picks ports at random.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        // If we are killed, the manager must not live on beside kube-controller-manager's own loops.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
        command.args([
            "--mode=native",
            "--leader-elect=true",
            "--use-service-account-credentials=true",
        ]);
        command.arg(format!("--service-account-namespace={NAMESPACE}"));
        command.arg(format!("--leader-elect-resource-namespace={NAMESPACE}"));
        command.arg(format!("--kubeconfig={}", kubeconfig.display()));
        command.args([
            "--bind-address=127.0.0.1",
            &format!("--port={port}"),
            "--v=2",
        ]);
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting setpriv, which is part of Debian's util-linux")?;
        let mut manager = Self { child };
        manager.wait_until_ready(port, log)?;
        Ok(manager)
    }

    fn wait_until_ready(&mut self, port: u16, log: &Path) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(port) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ironkeel-controller-manager ended: {status}\n{}", tail(log));
            }
            if Instant::now() > deadline {
                bail!(
                    "ironkeel-controller-manager is not ready after {} s\n{}",
                    READY_WITHIN.as_secs(),
                    tail(log)
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Asks the manager to end and waits for it; an end by itself before that is an error.
    fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("ironkeel-controller-manager ended by itself: {status}");
        }
        let mut kill = shell::command("kill");
        kill.args(["-TERM", &self.child.id().to_string()]);
        shell::read(kill)?;
        let deadline = Instant::now() + ENDS_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!(
                    "ironkeel-controller-manager did not end {} s after SIGTERM",
                    ENDS_WITHIN.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for NativeManager {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `/readyz` on this port of this machine says 200.
fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
