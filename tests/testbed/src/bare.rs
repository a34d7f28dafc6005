//! A real API server alone: etcd and kube-apiserver on free loopback ports, without nodes, network or mounts.
//!
//! For measurements and for campaigns that restart controllers thousands of times, where kubelets would only be in the
//! way. Several can run at once, beside a [`crate::Cluster`]. Nothing here needs root.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::control_plane::{flag, kubectl};
use crate::layout::{Layout, SERVICE_RANGE, create_private_folder, write_if_changed};
use crate::lock::Lock;
use crate::pki::{Authority, Subject};
use crate::process::{Record, Service, recorded};
use crate::progress::{Outcome, Progress, step};
use crate::run;
use crate::upstream::Programs;
use crate::wait;

/// How a [`Bare`] API server runs.
#[derive(Debug, Clone)]
pub struct BareConfig {
    /// Certificates, logs and data; what an earlier run left there is ended and replaced.
    pub folder: PathBuf,
    /// Whether etcd waits for the disk, as in production.
    pub fsync: bool,
    /// Further flags of kube-apiserver.
    pub apiserver_flags: Vec<String>,
}

/// etcd and kube-apiserver, running until this is dropped.
#[derive(Debug)]
pub struct Bare {
    layout: Layout,
    programs: Programs,
    authority: Authority,
    server: String,
    /// Nobody else ends or replaces what runs here.
    _lock: Lock,
}

impl Bare {
    /// Starts both with empty data and returns when the API server is ready. `programs` must hold
    /// [`crate::ProgramSet::Cluster`].
    ///
    /// Admission of service accounts is off: no controller would make the tokens that it asks for.
    pub fn start(
        config: &BareConfig,
        programs: &Programs,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let layout = Layout::new(&config.folder);
        create_private_folder(&layout.state)?;
        let file = layout.lock();
        let Some(mut lock) = Lock::take(&file)? else {
            bail!(
                "{} is used by another run ({}): wait for it, or end it",
                layout.state.display(),
                std::fs::read_to_string(&file).unwrap_or_default()
            );
        };
        lock.sign(&format!("process {}", std::process::id()))?;
        end_all(&layout)?;
        for stale in [layout.etcd(), layout.records()] {
            if stale.exists() {
                std::fs::remove_dir_all(&stale)
                    .with_context(|| format!("remove {}", stale.display()))?;
            }
        }
        let [etcd_port, peer_port, api_port] = free_ports()?;
        let authority = Authority::ready(&layout.pki())?;
        authority.service_account_keys()?;
        authority.issue(
            "kube-apiserver",
            &Subject {
                user: "kube-apiserver",
                groups: &[],
                hosts: &["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()],
            },
        )?;
        let bare = Self {
            server: format!("https://127.0.0.1:{api_port}"),
            programs: programs.clone(),
            authority,
            layout,
            _lock: lock,
        };
        let admin = bare.identity("admin", "admin", &["system:masters"])?;
        write_if_changed(&bare.kubeconfig(), &std::fs::read_to_string(admin)?)?;
        step(progress, "etcd", None, || {
            Ok(((), bare.start_etcd(config, etcd_port, peer_port)?))
        })?;
        step(progress, "kube-apiserver", None, || {
            Ok(((), bare.start_apiserver(config, etcd_port, api_port)?))
        })?;
        Ok(bare)
    }

    /// The administrator's kubeconfig. He is exempt from API Priority and Fairness; whoever is to be measured fairly
    /// takes [`Bare::client_kubeconfig`].
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// URL of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The folder with certificates, logs and data.
    pub fn folder(&self) -> &Path {
        &self.layout.state
    }

    /// Path of one of upstream's programs.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        self.programs.path(name)
    }

    /// The log of `etcd` or `kube-apiserver`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.layout.log(name)
    }

    /// Process id of `etcd` or `kube-apiserver`.
    pub fn pid(&self, name: &str) -> Result<u32> {
        Record::read(&self.layout.record(name))
            .map(|record| record.identity.pid)
            .with_context(|| format!("{name} is not running in {}", self.layout.state.display()))
    }

    /// Writes a kubeconfig for a user with a client certificate of its own. At most two groups. The same user and groups
    /// give the same file.
    pub fn client_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let mut hash = DefaultHasher::new();
        (user, groups).hash(&mut hash);
        self.identity(&format!("user-{:08x}", hash.finish() as u32), user, groups)
    }

    /// A `kubectl` for the administrator.
    pub fn kubectl(&self) -> Result<Command> {
        Ok(kubectl(&self.programs.path("kubectl")?, &self.layout))
    }

    /// kube-controller-manager with these `controllers`, ready to be started by the caller, who also ends it. It acts
    /// with one service account per controller, as in a real cluster, serves health on `port` of the loopback, and
    /// runs for election where `flags` say so. `kubeconfig` may lead through a proxy; [`Bare::controller_manager_kubeconfig`]
    /// does not.
    pub fn controller_manager(
        &self,
        kubeconfig: &Path,
        controllers: &str,
        port: u16,
        flags: &[&str],
    ) -> Result<Command> {
        let pki = self.layout.pki();
        let mut command = Command::new(self.programs.path("kube-controller-manager")?);
        command.args([
            flag("kubeconfig", &kubeconfig.display()),
            flag("authentication-kubeconfig", &kubeconfig.display()),
            flag("authorization-kubeconfig", &kubeconfig.display()),
            "--bind-address=127.0.0.1".to_owned(),
            flag("secure-port", &port),
            flag(
                "service-account-private-key-file",
                &pki.join("sa.key").display(),
            ),
            flag("root-ca-file", &pki.join("ca.crt").display()),
            "--use-service-account-credentials=true".to_owned(),
            flag("controllers", &controllers),
            flag(
                "flex-volume-plugin-dir",
                &self.layout.state.join("volume-plugins").display(),
            ),
        ]);
        if !flags.iter().any(|flag| flag.starts_with("--leader-elect=")) {
            command.arg("--leader-elect=false");
        }
        command.args(flags);
        Ok(command)
    }

    /// kube-controller-manager's own kubeconfig.
    pub fn controller_manager_kubeconfig(&self) -> Result<PathBuf> {
        self.identity(
            "kube-controller-manager",
            "system:kube-controller-manager",
            &[],
        )
    }

    fn identity(&self, name: &str, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let subject = Subject {
            user,
            groups,
            hosts: &[],
        };
        self.authority.issue(name, &subject)?;
        let path = self.layout.kubeconfig(name);
        write_if_changed(&path, &self.authority.kubeconfig(name, &self.server)?)?;
        Ok(path)
    }

    fn start_etcd(&self, config: &BareConfig, port: u16, peer_port: u16) -> Result<Outcome> {
        create_private_folder(&self.layout.etcd())?;
        let client = format!("http://127.0.0.1:{port}");
        let peer = format!("http://127.0.0.1:{peer_port}");
        let mut arguments = vec![
            flag("data-dir", &self.layout.etcd().display()),
            flag("listen-client-urls", &client),
            flag("advertise-client-urls", &client),
            flag("listen-peer-urls", &peer),
            flag("initial-advertise-peer-urls", &peer),
            flag("initial-cluster", &format!("default={peer}")),
            // A long campaign writes more than the 2 GB that are the default.
            flag("quota-backend-bytes", &(8_u64 << 30)),
        ];
        if !config.fsync {
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        let service = Service {
            name: "etcd",
            program: self.programs.path("etcd")?,
            arguments,
            inputs: Vec::new(),
            ports: vec![port, peer_port],
            limit: Duration::from_mins(1),
        };
        service.ensure(&self.layout, || {
            wait::answers(Ipv4Addr::LOCALHOST, port, "/health")
        })
    }

    fn start_apiserver(&self, config: &BareConfig, etcd_port: u16, port: u16) -> Result<Outcome> {
        let pki = self.layout.pki();
        let mut arguments = vec![
            flag("etcd-servers", &format!("http://127.0.0.1:{etcd_port}")),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            // The Service of the API server refuses an endpoint on the loopback.
            "--endpoint-reconciler-type=none".to_owned(),
            flag("secure-port", &port),
            flag("service-cluster-ip-range", &SERVICE_RANGE),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            // Nobody comes through a front proxy, but kube-controller-manager complains where there is none.
            "--requestheader-allowed-names=front-proxy-client".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
        ];
        for (name, value) in [
            ("tls-cert-file", "kube-apiserver.crt"),
            ("tls-private-key-file", "kube-apiserver.key"),
            ("client-ca-file", "ca.crt"),
            ("requestheader-client-ca-file", "ca.crt"),
            ("service-account-key-file", "sa.pub"),
            ("service-account-signing-key-file", "sa.key"),
        ] {
            arguments.push(flag(name, &pki.join(value).display()));
        }
        arguments.extend_from_slice(&config.apiserver_flags);
        let service = Service {
            name: "kube-apiserver",
            program: self.programs.path("kube-apiserver")?,
            arguments,
            inputs: Vec::new(),
            ports: vec![port],
            limit: Duration::from_mins(3),
        };
        service.ensure(&self.layout, || {
            let ready =
                |mut kubectl: Command| run::output(kubectl.args(["get", "--raw", "/readyz"]));
            self.kubectl().and_then(ready).is_ok()
        })
    }
}

impl Bare {
    /// Ends both and removes the folder, while nobody else can use it, and then its lock. This is of no use afterwards.
    pub fn discard(&mut self) -> Result<()> {
        end_all(&self.layout)?;
        let folder = &self.layout.state;
        std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        let lock = self.layout.lock();
        std::fs::remove_file(&lock).with_context(|| format!("remove {}", lock.display()))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // A process that cannot be ended is ended by the next start in this folder.
        let _ = end_all(&self.layout);
    }
}

/// Ends what runs from this folder. Nothing there is worth a graceful end.
fn end_all(layout: &Layout) -> Result<()> {
    for (_, record) in recorded(layout) {
        record.identity.kill()?;
    }
    Ok(())
}

/// Ports that nobody listened on a moment ago.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        *port = listener.local_addr()?.port();
        // Held until all are chosen, or two could be the same.
        held.push(listener);
    }
    Ok(ports)
}
