//! The API server of a race and what it needs before the first run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ironkeel_testbed::bare::{Bare, BareConfig};
use ironkeel_testbed::{ProgramSet, Programs, Silent};
use serde_json::{Value, json};

use super::api::{Api, Target};
use super::objects::Family;

/// Namespace of our manager's identities and lease, as the chart has it.
pub const OUR_NAMESPACE: &str = "ironkeel-system";
/// Our manager's own identity there.
const OUR_MANAGER: &str = "ironkeel-controller-manager";
/// The identities that our controllers write with.
const OUR_CONTROLLERS: [&str; 3] = [
    "deployment-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
];

/// A real API server with etcd, our CRDs and an identity for each side.
pub struct Cluster {
    /// etcd and kube-apiserver.
    pub bare: Bare,
    /// The bench's client, an administrator.
    pub api: Api,
    /// The raw client, in the name of our ReplicaSet controller.
    pub raw: Api,
    /// Our manager's kubeconfig.
    pub our_kubeconfig: PathBuf,
    /// kube-controller-manager's kubeconfig.
    pub upstream_kubeconfig: PathBuf,
}

impl Cluster {
    /// Starts it in `folder`. etcd waits for the disk where `fsync` says so.
    pub async fn start(folder: &Path, fsync: bool) -> Result<Self> {
        let config = BareConfig {
            folder: folder.to_owned(),
            fsync,
            // Cleaning up between runs is not measured, so it may as well be fast.
            apiserver_flags: vec!["--delete-collection-workers=16".to_owned()],
        };
        let bare = tokio::task::spawn_blocking(move || {
            let programs = Programs::ready(&[ProgramSet::Cluster], &Silent)?;
            Bare::start(&config, &programs, &Silent)
        })
        .await
        .context("starting the API server panicked")??;
        let api = Api::open(&bare.kubeconfig()).await?;
        let our_kubeconfig = bare.client_kubeconfig(
            &format!("system:serviceaccount:{OUR_NAMESPACE}:{OUR_MANAGER}"),
            &[
                "system:serviceaccounts",
                &format!("system:serviceaccounts:{OUR_NAMESPACE}"),
            ],
        )?;
        let upstream_kubeconfig = bare.controller_manager_kubeconfig()?;
        install(&api).await?;
        let token = token_of(&api, "replicaset-controller").await?;
        Ok(Self {
            raw: Api::with_token(&our_kubeconfig, token).await?,
            bare,
            api,
            our_kubeconfig,
            upstream_kubeconfig,
        })
    }

    /// Makes a namespace.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        ensure_namespace(&self.api, name).await
    }

    /// Process id of kube-apiserver.
    pub fn apiserver(&self) -> Result<u32> {
        self.bare.pid("kube-apiserver")
    }

    /// Process id of etcd.
    pub fn etcd(&self) -> Result<u32> {
        self.bare.pid("etcd")
    }

    /// Deletes every Deployment, ReplicaSet and pod of a namespace. No controller may run, or it would make new ones.
    pub async fn clear(&self, namespace: &str) -> Result<()> {
        for family in [Family::BuiltIn, Family::Ours] {
            for resource in ["deployments", "replicasets"] {
                let target = Target::new(family, namespace, resource);
                if self.api.count(&target).await? > 0 {
                    self.api.delete_all(&target).await?;
                }
            }
        }
        let pods = Target::new(Family::BuiltIn, namespace, "pods");
        if self.api.count(&pods).await? > 0 {
            self.api.delete_all(&pods).await?;
        }
        Ok(())
    }
}

/// Our kinds, our ServiceAccounts and the priority that the chart gives them, which is also that of
/// kube-controller-manager's.
async fn install(api: &Api) -> Result<()> {
    for kind in ironkeel_crds::crds()? {
        api.apply_crd(&kind.definition).await?;
    }
    ensure_namespace(api, OUR_NAMESPACE).await?;
    for name in OUR_CONTROLLERS {
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": name },
        });
        let target = Target::new(Family::BuiltIn, OUR_NAMESPACE, "serviceaccounts");
        api.ensure(&target, &account).await?;
    }
    let group = format!("system:serviceaccounts:{OUR_NAMESPACE}");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "ironkeel-bench" },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Group",
            "name": group,
        }],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    api.ensure(
        &Target::cluster_wide(bindings, "clusterrolebindings"),
        &binding,
    )
    .await?;
    let schemas = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    api.ensure(
        &Target::cluster_wide(schemas, "flowschemas"),
        &flow_schema(&group),
    )
    .await
}

async fn ensure_namespace(api: &Api, name: &str) -> Result<()> {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name },
    });
    let namespaces = Target::cluster_wide("/api/v1/namespaces", "namespaces");
    api.ensure(&namespaces, &namespace).await
}

/// A token of one of our ServiceAccounts that outlasts every race.
async fn token_of(api: &Api, account: &str) -> Result<String> {
    let accounts = Target::new(Family::BuiltIn, OUR_NAMESPACE, "serviceaccounts");
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": { "expirationSeconds": 86_400 },
    });
    let answer = api
        .create(&accounts.named(account).token(), &request)
        .await?;
    let token = answer.pointer("/status/token").and_then(Value::as_str);
    Ok(token.context("a TokenRequest without a token")?.to_owned())
}

fn flow_schema(group: &str) -> Value {
    json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": { "name": "ironkeel-bench" },
        "spec": {
            "priorityLevelConfiguration": { "name": "workload-high" },
            "matchingPrecedence": 810,
            "distinguisherMethod": { "type": "ByNamespace" },
            "rules": [{
                "subjects": [{ "kind": "Group", "group": { "name": group } }],
                "resourceRules": [{
                    "apiGroups": ["*"],
                    "resources": ["*"],
                    "namespaces": ["*"],
                    "clusterScope": true,
                    "verbs": ["*"],
                }],
                "nonResourceRules": [{ "nonResourceURLs": ["*"], "verbs": ["*"] }],
            }],
        },
    })
}
