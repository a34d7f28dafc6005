//! The configuration files and command lines of a node's components.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::Node;
use crate::images::PAUSE;
use crate::layout::{
    CGROUP, DNS_DOMAIN, DNS_SERVICE, POD_RANGE, create_folder, node_address, pod_range,
    write_if_changed,
};

/// Open to the host, so that it can ask without entering the node.
pub(super) const KUBELET_HEALTH_PORT: u16 = 10_248;
pub(super) const PROXY_HEALTH_PORT: u16 = 10_256;

/// Writes all of them.
pub(super) fn write(node: &Node<'_>) -> Result<()> {
    let folder = node.folder();
    create_folder(&folder.join("cni-net"))?;
    write_if_changed(&folder.join("containerd.toml"), &containerd(node)?)?;
    write_if_changed(&folder.join("kubelet.json"), &kubelet(node))?;
    write_if_changed(&folder.join("kube-proxy.json"), &proxy(node))?;
    write_if_changed(
        &folder.join("cni-net/10-bridge.conflist"),
        &pod_network(node),
    )?;
    write_if_changed(&folder.join("resolv.conf"), &resolver())?;
    Ok(())
}

/// The arguments of a component and the files it reads when it starts.
pub(super) fn command(node: &Node<'_>, component: &str) -> (Vec<String>, Vec<PathBuf>) {
    let folder = node.folder();
    let name = node.name();
    let layout = node.layout;
    let (arguments, inputs) = match component {
        "containerd" => {
            let config = folder.join("containerd.toml");
            (vec![format!("--config={}", config.display())], vec![config])
        }
        "kubelet" => {
            let (config, kubeconfig) = (folder.join("kubelet.json"), layout.kubeconfig(&name));
            let arguments = vec![
                format!("--config={}", config.display()),
                format!("--kubeconfig={}", kubeconfig.display()),
                format!("--hostname-override={name}"),
                format!("--node-ip={}", node_address(node.number)),
                "--root-dir=/var/lib/kubelet".to_owned(),
            ];
            let pki = layout.pki();
            (
                arguments,
                vec![
                    config,
                    kubeconfig,
                    pki.join("ca.crt"),
                    pki.join(format!("{name}.crt")),
                ],
            )
        }
        _ => {
            let config = folder.join("kube-proxy.json");
            let arguments = vec![
                format!("--config={}", config.display()),
                format!("--hostname-override={name}"),
            ];
            (arguments, vec![config, layout.kubeconfig("kube-proxy")])
        }
    };
    (arguments, inputs)
}

/// `restrict_oom_score_adj`: without the right to lower a score (a container or a small VM often lacks it), every pod
/// fails with runc's "can't get final child's PID from pipe: EOF". `opt` would otherwise make `/opt/containerd` on the host.
fn containerd(node: &Node<'_>) -> Result<String> {
    let plugins = node.programs.folder("cni-plugins")?;
    Ok(format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins.'io.containerd.internal.v1.opt']
  path = "/run/containerd/opt"

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true

  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{}"]
    conf_dir = "/etc/cni/net.d"

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE}"
"#,
        plugins.display()
    ))
}

fn kubelet(node: &Node<'_>) -> String {
    let pki = node.layout.pki();
    let name = node.name();
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki.join("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": pki.join(format!("{name}.crt")),
        "tlsPrivateKeyFile": pki.join(format!("{name}.key")),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DNS_DOMAIN,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CGROUP}/{name}"),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "healthzBindAddress": "0.0.0.0",
        "healthzPort": KUBELET_HEALTH_PORT,
        "resolvConf": node.folder().join("resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        // This machine's control groups, swap and rights are what they are.
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        // The disk is the whole machine's: its filling up is no reason to evict a test's pod or an image that no registry
        // gives back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": { "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%" },
        // After one pod with pull policy Always, every later pod of that image would ask a registry that is not there.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
    });
    format!("{config:#}\n")
}

fn proxy(node: &Node<'_>) -> String {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        "oomScoreAdj": 0,
        "clientConnection": { "kubeconfig": node.layout.kubeconfig("kube-proxy") },
        "healthzBindAddress": format!("0.0.0.0:{PROXY_HEALTH_PORT}"),
        // These settings belong to the machine and cannot be written from a node's network namespace.
        "conntrack": { "maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    });
    format!("{config:#}\n")
}

/// The reference plugins. The range is the node's `spec.podCIDR`, which the cluster sets to the same value.
fn pod_network(node: &Node<'_>) -> String {
    let config = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{ "subnet": pod_range(node.number) }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    format!("{config:#}\n")
}

/// The name servers that a node can reach: a resolver on the host's loopback is none of them, and systemd's real list
/// then stands elsewhere.
pub(crate) fn resolver() -> String {
    let read = |path: &str| reachable(&fs::read_to_string(path).unwrap_or_default());
    let usual = read("/etc/resolv.conf");
    if has_server(&usual) {
        usual
    } else {
        read("/run/systemd/resolve/resolv.conf")
    }
}

/// The lines of a resolver configuration that hold in another network namespace too.
fn reachable(text: &str) -> String {
    let is_local = |line: &str| {
        let server = line.split_whitespace().nth(1);
        server.is_some_and(|server| server.starts_with("127.") || server == "::1")
    };
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !is_local(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Whether a resolver configuration names a server at all.
pub(crate) fn has_server(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_start().starts_with("nameserver"))
}

#[cfg(test)]
mod tests {
    use super::{has_server, reachable};

    #[test]
    fn a_resolver_on_the_loopback_is_left_out() {
        let text = "# by systemd\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch example.org\n";
        assert_eq!(reachable(text), "nameserver 10.0.0.2\nsearch example.org\n");
        assert!(has_server(&reachable(text)));
        assert!(!has_server(&reachable("nameserver ::1\noptions edns0\n")));
    }
}
