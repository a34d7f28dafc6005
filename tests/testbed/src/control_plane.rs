//! etcd, kube-apiserver, kube-scheduler, kube-controller-manager and KWOK: processes of the host.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Config;
use crate::layout::{
    API_PORT, API_SERVICE, DNS_DOMAIN, HOST, Layout, SERVICE_RANGE, create_folder,
    create_private_folder, node_address, node_name, write_if_changed,
};
use crate::pki::{Authority, Subject};
use crate::process::{Record, Service};
use crate::progress::Outcome;
use crate::run;
use crate::upstream::Programs;
use crate::wait;

const ETCD_PORT: u16 = 2379;
const ETCD_PEER_PORT: u16 = 2380;
const CONTROLLER_MANAGER_PORT: u16 = 10_257;
const SCHEDULER_PORT: u16 = 10_259;
const KWOK_PORT: u16 = 10_247;
/// KWOK gives its pods addresses of this range; nobody routes them.
const KWOK_POD_RANGE: &str = "10.245.0.0/16";
/// How many pods KWOK moves at a time; its default of 4 makes it, not the controllers, the slow part of a scale test.
const KWOK_PARALLEL_PODS: u32 = 64;

/// The names of the services, in the order they start.
pub(crate) const SERVICES: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
];

/// The API server's address on the host's loopback.
pub(crate) const LOCAL_SERVER: &str = "https://127.0.0.1:6443";

/// The control plane of one cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlPlane<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) programs: &'a Programs,
    pub(crate) config: &'a Config,
}

impl ControlPlane<'_> {
    /// Makes sure that every certificate and kubeconfig is there.
    pub(crate) fn ensure_identities(&self) -> Result<()> {
        let layout = self.layout;
        create_private_folder(&layout.state)?;
        let authority = Authority::ready(&layout.pki())?;
        authority.service_account_keys()?;
        let mut hosts: Vec<_> = ["", ".default", ".default.svc"]
            .iter()
            .map(|suffix| format!("kubernetes{suffix}"))
            .collect();
        hosts.push(format!("kubernetes.default.svc.{DNS_DOMAIN}"));
        hosts.push("localhost".to_owned());
        hosts.extend([API_SERVICE, Ipv4Addr::LOCALHOST, HOST].map(|address| address.to_string()));
        authority.issue(
            "kube-apiserver",
            &Subject {
                user: "kube-apiserver",
                groups: &[],
                hosts: &hosts,
            },
        )?;
        for (name, user, groups) in [
            ("admin", "admin", &["system:masters"][..]),
            (
                "kube-controller-manager",
                "system:kube-controller-manager",
                &[],
            ),
            ("kube-scheduler", "system:kube-scheduler", &[]),
            ("kube-proxy", "system:kube-proxy", &[]),
            ("kwok", "kwok", &["system:masters"]),
            ("front-proxy", "front-proxy-client", &[]),
            (
                "kubelet-client",
                "kube-apiserver-kubelet-client",
                &["system:masters"],
            ),
        ] {
            authority.issue(
                name,
                &Subject {
                    user,
                    groups,
                    hosts: &[],
                },
            )?;
        }
        for name in ["kube-controller-manager", "kube-scheduler", "kwok"] {
            write_if_changed(
                &layout.kubeconfig(name),
                &authority.kubeconfig(name, LOCAL_SERVER)?,
            )?;
        }
        write_if_changed(
            &layout.admin_kubeconfig(),
            &authority.kubeconfig("admin", LOCAL_SERVER)?,
        )?;
        let bridge_server = format!("https://{HOST}:{API_PORT}");
        write_if_changed(
            &layout.kubeconfig("kube-proxy"),
            &authority.kubeconfig("kube-proxy", &bridge_server)?,
        )?;
        for number in 1..=self.config.nodes {
            let name = node_name(number);
            let user = format!("system:node:{name}");
            let hosts = [name.clone(), node_address(number).to_string()];
            authority.issue(
                &name,
                &Subject {
                    user: &user,
                    groups: &["system:nodes"],
                    hosts: &hosts,
                },
            )?;
            write_if_changed(
                &layout.kubeconfig(&name),
                &authority.kubeconfig(&name, &bridge_server)?,
            )?;
        }
        Ok(())
    }

    /// Data of a test cluster need not survive a power cut, so etcd does not wait for the disk.
    pub(crate) fn ensure_etcd(&self) -> Result<Outcome> {
        create_private_folder(&self.layout.etcd())?;
        let client = format!("http://127.0.0.1:{ETCD_PORT}");
        let service = Service {
            name: "etcd",
            program: self.programs.path("etcd")?,
            arguments: vec![
                flag("data-dir", &self.layout.etcd().display()),
                flag("listen-client-urls", &client),
                flag("advertise-client-urls", &client),
                flag(
                    "listen-peer-urls",
                    &format!("http://127.0.0.1:{ETCD_PEER_PORT}"),
                ),
                "--unsafe-no-fsync".to_owned(),
            ],
            inputs: Vec::new(),
            ports: vec![ETCD_PORT, ETCD_PEER_PORT],
            limit: Duration::from_mins(1),
        };
        service.ensure(self.layout, || {
            wait::answers(Ipv4Addr::LOCALHOST, ETCD_PORT, "/health")
        })
    }

    /// `--enable-aggregator-routing`: the host has no kube-proxy, so the API server goes to the pods behind a webhook or
    /// an APIService itself.
    pub(crate) fn ensure_apiserver(&self) -> Result<Outcome> {
        let pki = self.layout.pki();
        let file = |name: &str| pki.join(name);
        let mut arguments = vec![
            flag("etcd-servers", &format!("http://127.0.0.1:{ETCD_PORT}")),
            flag("bind-address", &"0.0.0.0"),
            flag("advertise-address", &HOST),
            flag("secure-port", &API_PORT),
            flag("service-cluster-ip-range", &SERVICE_RANGE),
            flag(
                "service-account-issuer",
                &format!("https://kubernetes.default.svc.{DNS_DOMAIN}"),
            ),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--enable-aggregator-routing=true".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--kubelet-preferred-address-types=InternalIP,Hostname".to_owned(),
            "--requestheader-allowed-names=front-proxy-client".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        ];
        let mut inputs = Vec::new();
        for (name, value) in [
            ("tls-cert-file", "kube-apiserver.crt"),
            ("tls-private-key-file", "kube-apiserver.key"),
            ("client-ca-file", "ca.crt"),
            ("service-account-key-file", "sa.pub"),
            ("service-account-signing-key-file", "sa.key"),
            ("kubelet-client-certificate", "kubelet-client.crt"),
            ("kubelet-client-key", "kubelet-client.key"),
            ("kubelet-certificate-authority", "ca.crt"),
            ("requestheader-client-ca-file", "ca.crt"),
            ("proxy-client-cert-file", "front-proxy.crt"),
            ("proxy-client-key-file", "front-proxy.key"),
        ] {
            arguments.push(flag(name, &file(value).display()));
            inputs.push(file(value));
        }
        if let Some(value) = &self.config.runtime_config {
            arguments.push(flag("runtime-config", value));
        }
        arguments.extend(self.feature_gates());
        arguments.extend_from_slice(&self.config.apiserver_flags);
        let service = Service {
            name: "kube-apiserver",
            program: self.programs.path("kube-apiserver")?,
            arguments,
            inputs,
            ports: vec![API_PORT],
            limit: Duration::from_mins(3),
        };
        service.ensure(self.layout, || self.is_ready("/readyz"))
    }

    pub(crate) fn ensure_controller_manager(&self) -> Result<Outcome> {
        let pki = self.layout.pki();
        let (key, ca, ca_key) = (pki.join("sa.key"), pki.join("ca.crt"), pki.join("ca.key"));
        let mut arguments = self.kubeconfig_flags("kube-controller-manager");
        arguments.extend([
            flag("secure-port", &CONTROLLER_MANAGER_PORT),
            flag("service-account-private-key-file", &key.display()),
            flag("root-ca-file", &ca.display()),
            flag("cluster-signing-cert-file", &ca.display()),
            flag("cluster-signing-key-file", &ca_key.display()),
            "--use-service-account-credentials=true".to_owned(),
            // A node's range is fixed when its network is laid; which controllers run must not decide over it.
            "--allocate-node-cidrs=false".to_owned(),
            flag("service-cluster-ip-range", &SERVICE_RANGE),
            flag("controllers", &self.config.controllers),
            // It would otherwise make its default folder under /usr.
            flag(
                "flex-volume-plugin-dir",
                &self.layout.state.join("volume-plugins").display(),
            ),
        ]);
        arguments.extend(self.feature_gates());
        arguments.extend_from_slice(&self.config.controller_manager_flags);
        let service = Service {
            name: "kube-controller-manager",
            program: self.programs.path("kube-controller-manager")?,
            arguments,
            inputs: vec![self.layout.kubeconfig("kube-controller-manager"), key, ca],
            ports: vec![CONTROLLER_MANAGER_PORT],
            limit: Duration::from_mins(1),
        };
        service.ensure(self.layout, || {
            self.is_port_healthy(CONTROLLER_MANAGER_PORT)
        })
    }

    pub(crate) fn ensure_scheduler(&self) -> Result<Outcome> {
        let mut arguments = self.kubeconfig_flags("kube-scheduler");
        arguments.push(flag("secure-port", &SCHEDULER_PORT));
        arguments.extend(self.feature_gates());
        arguments.extend_from_slice(&self.config.scheduler_flags);
        let service = Service {
            name: "kube-scheduler",
            program: self.programs.path("kube-scheduler")?,
            arguments,
            inputs: vec![self.layout.kubeconfig("kube-scheduler")],
            ports: vec![SCHEDULER_PORT],
            limit: Duration::from_mins(1),
        };
        service.ensure(self.layout, || self.is_port_healthy(SCHEDULER_PORT))
    }

    pub(crate) fn ensure_kwok(&self) -> Result<Outcome> {
        let folder = self.programs.folder("kwok")?;
        let options = self.layout.state.join("kwok.yaml");
        write_if_changed(
            &options,
            &format!(
                "apiVersion: config.kwok.x-k8s.io/v1alpha1\nkind: KwokConfiguration\noptions:\n  \
                 podPlayStageParallelism: {KWOK_PARALLEL_PODS}\n  nodePlayStageParallelism: 16\n  nodeLeaseParallelism: 16\n"
            ),
        )?;
        let mut inputs = vec![options];
        for stage in [
            "node-initialize",
            "node-heartbeat-with-lease",
            "pod-ready",
            "pod-complete",
            "pod-delete",
        ] {
            inputs.push(folder.join(format!("{stage}.yaml")));
        }
        let mut arguments: Vec<_> = inputs
            .iter()
            .map(|input| flag("config", &input.display()))
            .collect();
        let kubeconfig = self.layout.kubeconfig("kwok");
        arguments.extend([
            flag("kubeconfig", &kubeconfig.display()),
            "--manage-all-nodes=false".to_owned(),
            "--manage-nodes-with-label-selector=type=kwok".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            flag("cidr", &KWOK_POD_RANGE),
            flag("server-address", &format!("127.0.0.1:{KWOK_PORT}")),
        ]);
        inputs.push(kubeconfig);
        let service = Service {
            name: "kwok",
            program: folder.join("kwok"),
            arguments,
            inputs,
            ports: vec![KWOK_PORT],
            limit: Duration::from_mins(1),
        };
        service.ensure(self.layout, || {
            wait::answers(Ipv4Addr::LOCALHOST, KWOK_PORT, "/healthz")
        })
    }

    /// Ends one service, if it runs.
    pub(crate) fn stop(layout: &Layout, name: &str) -> Result<Outcome> {
        let path = layout.record(name);
        let Some(record) = Record::read(&path) else {
            return Ok(Outcome::Unchanged);
        };
        record.identity.end()?;
        std::fs::remove_file(path)?;
        Ok(Outcome::Done)
    }

    /// A `kubectl` for the administrator.
    pub(crate) fn kubectl(&self) -> Result<Command> {
        Ok(kubectl(&self.programs.path("kubectl")?, self.layout))
    }

    /// Puts `kubectl` and `helm` where a user finds them.
    pub(crate) fn link_tools(&self) -> Result<()> {
        create_folder(&self.layout.bin())?;
        for tool in ["kubectl", "helm"] {
            let (target, link) = (self.programs.path(tool)?, self.layout.bin().join(tool));
            if std::fs::read_link(&link).is_ok_and(|there| there == target) {
                continue;
            }
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(target, link)?;
        }
        Ok(())
    }

    fn is_ready(&self, path: &str) -> bool {
        self.kubectl()
            .and_then(|mut kubectl| run::output(kubectl.args(["get", "--raw", path])))
            .is_ok()
    }

    /// The certificate of this port signs itself; whom it asks about us is the API server.
    fn is_port_healthy(&self, port: u16) -> bool {
        let server = format!("--server=https://127.0.0.1:{port}");
        let ask = |mut kubectl: Command| {
            run::output(kubectl.args([
                &server,
                "--insecure-skip-tls-verify",
                "get",
                "--raw",
                "/healthz",
            ]))
        };
        self.kubectl().and_then(ask).is_ok()
    }

    fn kubeconfig_flags(&self, name: &str) -> Vec<String> {
        let file = self.layout.kubeconfig(name);
        let mut flags: Vec<_> = [
            "kubeconfig",
            "authentication-kubeconfig",
            "authorization-kubeconfig",
        ]
        .iter()
        .map(|name| flag(name, &file.display()))
        .collect();
        flags.extend(["--leader-elect=false", "--bind-address=127.0.0.1"].map(str::to_owned));
        flags
    }

    fn feature_gates(&self) -> Option<String> {
        (!self.config.feature_gates.is_empty())
            .then(|| flag("feature-gates", &self.config.feature_gates.join(",")))
    }
}

pub(crate) fn kubectl(program: &Path, layout: &Layout) -> Command {
    let mut kubectl = Command::new(program);
    kubectl.env("KUBECONFIG", layout.admin_kubeconfig());
    kubectl
}

/// One flag of a program, as it is written on its command line.
pub(crate) fn flag(name: &str, value: &impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
