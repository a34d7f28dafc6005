//! Which programs there are, from which module, built with which flags.

use super::ProgramSet;

/// The Kubernetes release of the cluster; `upstream/kubernetes/go.mod` pins it.
pub(crate) const KUBERNETES: &str = "1.37.1";
/// The containerd release; without the flag below it would call itself unknown.
const CONTAINERD: &str = "2.4.2";

/// Programs built together into one folder of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Build {
    /// Names the folder in the cache.
    pub(crate) name: &'static str,
    /// The folder under `upstream/` with the pinned `go.mod`.
    pub(crate) module: &'static str,
    pub(crate) set: ProgramSet,
    /// The version shown while it builds.
    pub(crate) version: &'static str,
    /// Main packages and the file each becomes.
    pub(crate) programs: &'static [(&'static str, &'static str)],
    /// Test packages and the file each becomes.
    pub(crate) tests: &'static [(&'static str, &'static str)],
    /// Files of a module that are needed beside its programs: module, path inside it, name.
    pub(crate) files: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) tags: &'static str,
    pub(crate) stamp: Stamp,
}

/// What is written into a program as its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stamp {
    /// The module says it itself.
    None,
    Kubernetes,
    Containerd,
}

impl Stamp {
    /// The linker flags.
    ///
    /// An unstamped Kubernetes calls itself `v0.0.0-master+$Format:%H$`, which `kubectl version` and Helm refuse. The date
    /// is that of the pin, not of the build, so that a build can be repeated to the byte.
    pub(crate) fn linker_flags(self) -> String {
        let mut flags = vec!["-s -w".to_owned()];
        match self {
            Self::None => {}
            Self::Containerd => {
                let package = "github.com/containerd/containerd/v2/version";
                flags.push(format!("-X {package}.Version={CONTAINERD}"));
            }
            Self::Kubernetes => {
                let (major, minor) = KUBERNETES
                    .rsplit_once('.')
                    .and_then(|(two, _)| two.split_once('.'))
                    .unwrap_or_default();
                for package in [
                    "k8s.io/component-base/version",
                    "k8s.io/client-go/pkg/version",
                ] {
                    for (name, value) in [
                        ("gitVersion", format!("v{KUBERNETES}").as_str()),
                        ("gitMajor", major),
                        ("gitMinor", minor),
                        ("gitCommit", "0000000000000000000000000000000000000000"),
                        ("gitTreeState", "clean"),
                        ("buildDate", "2026-11-21T00:00:00Z"),
                    ] {
                        flags.push(format!("-X {package}.{name}={value}"));
                    }
                }
            }
        }
        flags.join(" ")
    }
}

/// Every build there is.
pub(crate) const BUILDS: &[Build] = &[
    Build {
        name: "kubernetes",
        module: "kubernetes",
        set: ProgramSet::Cluster,
        version: KUBERNETES,
        programs: &[
            ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
            (
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "kube-controller-manager",
            ),
            ("k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
            ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
            ("k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
            ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
        ],
        tests: &[],
        files: &[],
        tags: "",
        stamp: Stamp::Kubernetes,
    },
    Build {
        name: "etcd",
        module: "etcd",
        set: ProgramSet::Cluster,
        version: "3.7.3",
        programs: &[("go.etcd.io/etcd/server/v3", "etcd")],
        tests: &[],
        files: &[],
        tags: "",
        stamp: Stamp::None,
    },
    Build {
        name: "containerd",
        module: "containerd",
        set: ProgramSet::Cluster,
        version: CONTAINERD,
        programs: &[
            (
                "github.com/containerd/containerd/v2/cmd/containerd",
                "containerd",
            ),
            (
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "containerd-shim-runc-v2",
            ),
            ("github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
        ],
        tests: &[],
        files: &[],
        // Snapshotters that need C libraries.
        tags: "no_btrfs,no_zfs,no_devmapper,no_aufs",
        stamp: Stamp::Containerd,
    },
    Build {
        name: "cni-plugins",
        module: "cni-plugins",
        set: ProgramSet::Cluster,
        version: "1.9.1",
        programs: &[
            (
                "github.com/containernetworking/plugins/plugins/main/bridge",
                "bridge",
            ),
            (
                "github.com/containernetworking/plugins/plugins/main/loopback",
                "loopback",
            ),
            (
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
                "host-local",
            ),
            (
                "github.com/containernetworking/plugins/plugins/meta/portmap",
                "portmap",
            ),
        ],
        tests: &[],
        files: &[],
        tags: "",
        stamp: Stamp::None,
    },
    Build {
        name: "cni-suites",
        module: "cni-suites",
        set: ProgramSet::CniSuites,
        version: "1.9.1",
        programs: &[],
        tests: &[
            (
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
                "host-local.test",
            ),
            (
                "github.com/containernetworking/plugins/plugins/main/loopback",
                "loopback.test",
            ),
        ],
        files: &[],
        tags: "",
        stamp: Stamp::None,
    },
    Build {
        name: "coredns",
        module: "coredns",
        set: ProgramSet::Cluster,
        version: "1.15.0",
        programs: &[(".", "coredns")],
        tests: &[],
        files: &[],
        tags: "",
        stamp: Stamp::None,
    },
    Build {
        name: "helm",
        module: "helm",
        set: ProgramSet::Cluster,
        version: "4.3.1",
        programs: &[("helm.sh/helm/v4/cmd/helm", "helm")],
        tests: &[],
        files: &[],
        tags: "",
        stamp: Stamp::None,
    },
    Build {
        name: "agnhost",
        module: "kubernetes",
        set: ProgramSet::TestImages,
        version: KUBERNETES,
        programs: &[("k8s.io/kubernetes/test/images/agnhost", "agnhost")],
        tests: &[],
        // StatefulSet specs probe with GET /localhost.crt.
        files: &[
            (
                "k8s.io/kubernetes",
                "test/images/agnhost/porter/localhost.crt",
                "localhost.crt",
            ),
            (
                "k8s.io/kubernetes",
                "test/images/agnhost/porter/localhost.key",
                "localhost.key",
            ),
        ],
        tags: "",
        stamp: Stamp::Kubernetes,
    },
    Build {
        name: "conformance",
        module: "kubernetes",
        set: ProgramSet::Conformance,
        version: KUBERNETES,
        programs: &[("github.com/onsi/ginkgo/v2/ginkgo", "ginkgo")],
        tests: &[("k8s.io/kubernetes/test/e2e", "e2e.test")],
        files: &[],
        tags: "",
        stamp: Stamp::Kubernetes,
    },
    Build {
        name: "kwok",
        module: "kwok",
        set: ProgramSet::Kwok,
        version: "0.8.0",
        programs: &[("sigs.k8s.io/kwok/cmd/kwok", "kwok")],
        tests: &[],
        files: &[
            (
                "sigs.k8s.io/kwok",
                "kustomize/stage/node/fast/node-initialize.yaml",
                "node-initialize.yaml",
            ),
            (
                "sigs.k8s.io/kwok",
                "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
                "node-heartbeat-with-lease.yaml",
            ),
            (
                "sigs.k8s.io/kwok",
                "kustomize/stage/pod/fast/pod-ready.yaml",
                "pod-ready.yaml",
            ),
            (
                "sigs.k8s.io/kwok",
                "kustomize/stage/pod/fast/pod-complete.yaml",
                "pod-complete.yaml",
            ),
            (
                "sigs.k8s.io/kwok",
                "kustomize/stage/pod/fast/pod-delete.yaml",
                "pod-delete.yaml",
            ),
        ],
        tags: "",
        stamp: Stamp::None,
    },
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{BUILDS, Stamp};

    #[test]
    fn every_build_is_of_the_version_that_its_module_pins() {
        for build in BUILDS {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("upstream")
                .join(build.module)
                .join("go.mod");
            let text = fs::read_to_string(&path).unwrap();
            let version = format!("v{}", build.version);
            let packages: Vec<_> = build
                .programs
                .iter()
                .chain(build.tests)
                .map(|(package, _)| *package)
                .collect();
            let pinned = text.lines().any(|line| {
                let mut words = line.trim_start_matches("require ").split_whitespace();
                let module = words.next().unwrap_or_default();
                let needed = packages
                    .iter()
                    .any(|package| package.starts_with(module) || *package == ".");
                needed && words.next() == Some(&version)
            });
            assert!(
                pinned,
                "{} {version} is not what {} pins",
                build.name,
                path.display()
            );
            assert!(path.with_file_name("go.sum").is_file(), "{}", build.module);
        }
    }

    #[test]
    fn a_kubernetes_program_knows_its_version() {
        let flags = Stamp::Kubernetes.linker_flags();
        for expected in [
            "version.gitVersion=v1.37.1 ",
            "version.gitMajor=1 ",
            "version.gitMinor=37 ",
        ] {
            assert_eq!(flags.matches(expected).count(), 2, "{expected} in {flags}");
        }
    }
}
