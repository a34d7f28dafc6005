//! Connections to the API server.
//!
//! kube's own retry is off: it repeats every verb, a create included, for minutes. The
//! queue retries instead, and knows what it repeats. There is no limit on idle pooled
//! connections, so the writes in flight keep theirs; each costs one, as kube speaks
//! HTTP/1.1 only.

mod kubeconfig;
mod measure;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{HeaderValue, USER_AGENT};
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, Config};

use crate::identity::{Bearer, BearerLayer};
use crate::metrics::ClientMetrics;
use measure::MeasureLayer;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A kubeconfig that cannot be used: which file, which field, which value, which rule.
    #[error("kubeconfig {}: {field}{}: {rule}", path.display(), value_text(value.as_deref()))]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The field, as a path in the file; `file` for the file as a whole.
        field: String,
        /// The value, if it is one that may be shown.
        value: Option<String>,
        /// What is wrong with it.
        rule: String,
    },
    /// Without a kubeconfig, the pod's own service account is used, and there is none.
    #[error("no --kubeconfig given and no in-cluster configuration: {0}")]
    InCluster(kube::config::InClusterError),
    /// The user agent is not a valid header value.
    #[error("user agent {0:?} cannot be sent in a header")]
    UserAgent(String),
    /// TLS or proxy settings that no client can be built from.
    #[error("client for {server}: {error}")]
    Build {
        /// URL of the API server.
        server: String,
        /// kube's own words.
        error: kube::Error,
    },
}

fn value_text(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!(" {value:?}"))
}

/// Makes ring the process's TLS provider. Every entry point of this crate that opens a
/// connection calls it; calling it again changes nothing.
pub fn install_tls_provider() {
    // An error means that a provider is installed already, which is the aim.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Where the API server is and who this process is there. Makes clients.
#[derive(Clone, Debug)]
pub struct Connection {
    config: Config,
    user_agent: String,
    metrics: ClientMetrics,
}

impl Connection {
    /// Reads the kubeconfig, or the pod's service account if none is given.
    ///
    /// `user_agent` names the program, for example `ironkeel-controller-manager/0.1.0`.
    pub async fn open(
        kubeconfig: Option<&Path>,
        user_agent: &str,
        metrics: ClientMetrics,
    ) -> Result<Self, ConnectError> {
        let config = match kubeconfig {
            Some(path) => kubeconfig::load(path).await?,
            None => Config::incluster().map_err(ConnectError::InCluster)?,
        };
        Ok(Self::with_config(config, user_agent, metrics))
    }

    /// A connection from a configuration that was made elsewhere.
    pub fn with_config(mut config: Config, user_agent: &str, metrics: ClientMetrics) -> Self {
        config.default_retry = false;
        Self {
            config,
            user_agent: user_agent.to_owned(),
            metrics,
        }
    }

    /// URL of the API server.
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// Namespace of the kubeconfig's context or of the pod.
    pub fn default_namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// A client with this process's own identity.
    pub fn client(&self) -> Result<Client, ConnectError> {
        self.build(self.config.clone(), &self.user_agent, None)
    }

    /// A client that has no credentials of its own but the bearer token in `bearer`, whatever
    /// this process's own identity is. `name` is added to the user agent.
    pub fn client_with_token(
        &self,
        bearer: Arc<Bearer>,
        name: &str,
    ) -> Result<Client, ConnectError> {
        let mut config = self.config.clone();
        // A client certificate would win over the token.
        config.auth_info = AuthInfo::default();
        let user_agent = format!("{}/{name}", self.user_agent);
        self.build(config, &user_agent, Some(bearer))
    }

    fn build(
        &self,
        mut config: Config,
        user_agent: &str,
        bearer: Option<Arc<Bearer>>,
    ) -> Result<Client, ConnectError> {
        install_tls_provider();
        let value = HeaderValue::from_str(user_agent)
            .map_err(|_| ConnectError::UserAgent(user_agent.to_owned()))?;
        config.headers.push((USER_AGENT, value));
        let host = config
            .cluster_url
            .authority()
            .map_or_else(String::new, ToString::to_string);
        let builder = ClientBuilder::try_from(config).map_err(|error| ConnectError::Build {
            server: self.server(),
            error,
        })?;
        let measure = MeasureLayer::new(self.metrics.clone(), host);
        Ok(match bearer {
            Some(bearer) => builder
                .with_layer(&BearerLayer::new(bearer))
                .with_layer(&measure)
                .build(),
            None => builder.with_layer(&measure).build(),
        })
    }
}
