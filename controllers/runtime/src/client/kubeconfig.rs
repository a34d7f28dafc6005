//! Reads a kubeconfig and says exactly what is wrong with it.
//!
//! kube's own loader accepts more than it can use (a CA file without a certificate, an
//! unknown user) and names neither the file nor the field; the checks come first here.

#[cfg(test)]
mod tests;

use std::path::Path;

use kube::config::{
    AuthInfo, Cluster, Config, Context, KubeConfigOptions, Kubeconfig, KubeconfigError,
};

use super::ConnectError;

/// Reads the kubeconfig at `path` and its current context.
pub(super) async fn load(path: &Path) -> Result<Config, ConnectError> {
    let blame = |complaint: Complaint| ConnectError::Kubeconfig {
        path: path.to_owned(),
        field: complaint.field,
        value: complaint.value,
        rule: complaint.rule,
    };
    let kubeconfig = read(path).map_err(blame)?;
    check(&kubeconfig).map_err(blame)?;
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| blame(Complaint::new("file", None, error.to_string())))
}

/// What is wrong with which field.
#[derive(Debug)]
struct Complaint {
    field: String,
    value: Option<String>,
    rule: String,
}

impl Complaint {
    fn new(field: impl Into<String>, value: Option<&str>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            value: value.map(ToOwned::to_owned),
            rule: rule.into(),
        }
    }
}

fn read(path: &Path) -> Result<Kubeconfig, Complaint> {
    Kubeconfig::read_from(path).map_err(|error| match error {
        KubeconfigError::ReadConfig(error, _) => {
            Complaint::new("file", None, format!("cannot be read: {error}"))
        }
        KubeconfigError::Parse(error) => {
            Complaint::new("file", None, format!("is not a valid kubeconfig: {error}"))
        }
        other => Complaint::new("file", None, other.to_string()),
    })
}

fn check(kubeconfig: &Kubeconfig) -> Result<(), Complaint> {
    let name = kubeconfig
        .current_context
        .as_deref()
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Complaint::new(
                "current-context",
                None,
                "is not set, so no cluster is chosen",
            )
        })?;
    let contexts: Vec<&str> = kubeconfig
        .contexts
        .iter()
        .map(|named| named.name.as_str())
        .collect();
    let context: &Context = kubeconfig
        .contexts
        .iter()
        .find(|named| named.name == name)
        .and_then(|named| named.context.as_ref())
        .ok_or_else(|| {
            Complaint::new(
                "current-context",
                Some(name),
                names_none("contexts", &contexts),
            )
        })?;

    let clusters: Vec<&str> = kubeconfig
        .clusters
        .iter()
        .map(|named| named.name.as_str())
        .collect();
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|named| named.cluster.as_ref())
        .ok_or_else(|| {
            Complaint::new(
                format!("contexts[{name}].context.cluster"),
                Some(&context.cluster),
                names_none("clusters", &clusters),
            )
        })?;
    check_cluster(&context.cluster, cluster)?;

    let Some(user) = context.user.as_deref().filter(|user| !user.is_empty()) else {
        return Ok(());
    };
    let users: Vec<&str> = kubeconfig
        .auth_infos
        .iter()
        .map(|named| named.name.as_str())
        .collect();
    let auth = kubeconfig
        .auth_infos
        .iter()
        .find(|named| named.name == user)
        .and_then(|named| named.auth_info.as_ref())
        .ok_or_else(|| {
            Complaint::new(
                format!("contexts[{name}].context.user"),
                Some(user),
                names_none("users", &users),
            )
        })?;
    check_user(user, auth)
}

fn names_none(list: &str, known: &[&str]) -> String {
    if known.is_empty() {
        format!("names no entry of {list}, which is empty")
    } else {
        format!("names no entry of {list} (there are: {})", known.join(", "))
    }
}

fn check_cluster(name: &str, cluster: &Cluster) -> Result<(), Complaint> {
    let at = |field: &str| format!("clusters[{name}].cluster.{field}");
    let server = cluster
        .server
        .as_deref()
        .filter(|server| !server.is_empty())
        .ok_or_else(|| Complaint::new(at("server"), None, "is not set"))?;
    let url: http::Uri = server.parse().map_err(|error| {
        Complaint::new(at("server"), Some(server), format!("is not a URL: {error}"))
    })?;
    if !matches!(url.scheme_str(), Some("https" | "http")) {
        return Err(Complaint::new(
            at("server"),
            Some(server),
            "must start with https:// or http://",
        ));
    }
    if cluster.certificate_authority_data.is_none() {
        check_pem(
            &at("certificate-authority"),
            cluster.certificate_authority.as_deref(),
            "CERTIFICATE",
        )?;
    }
    Ok(())
}

fn check_user(name: &str, user: &AuthInfo) -> Result<(), Complaint> {
    let at = |field: &str| format!("users[{name}].user.{field}");
    if user.client_certificate_data.is_none() {
        check_pem(
            &at("client-certificate"),
            user.client_certificate.as_deref(),
            "CERTIFICATE",
        )?;
    }
    if user.client_key_data.is_none() {
        check_pem(&at("client-key"), user.client_key.as_deref(), "PRIVATE KEY")?;
    }
    let has_certificate =
        user.client_certificate.is_some() || user.client_certificate_data.is_some();
    let has_key = user.client_key.is_some() || user.client_key_data.is_some();
    match (has_certificate, has_key) {
        (true, false) => {
            return Err(Complaint::new(
                at("client-key"),
                None,
                "is not set, but client-certificate is",
            ));
        }
        (false, true) => {
            return Err(Complaint::new(
                at("client-certificate"),
                None,
                "is not set, but client-key is",
            ));
        }
        _ => {}
    }
    if let Some(file) = &user.token_file {
        let token = read_file(&at("tokenFile"), file)?;
        if token.trim_ascii().is_empty() {
            return Err(Complaint::new(
                at("tokenFile"),
                Some(file),
                "the file holds no token",
            ));
        }
    }
    Ok(())
}

/// Checks that a file can be read and holds a PEM block of the kind.
fn check_pem(field: &str, file: Option<&str>, kind: &str) -> Result<(), Complaint> {
    let Some(file) = file else {
        return Ok(());
    };
    let content = read_file(field, file)?;
    let text = String::from_utf8_lossy(&content);
    let found = text.lines().any(|line| {
        line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{kind}-----"))
    });
    if found {
        Ok(())
    } else {
        Err(Complaint::new(
            field,
            Some(file),
            format!("the file holds no PEM block {kind}"),
        ))
    }
}

fn read_file(field: &str, file: &str) -> Result<Vec<u8>, Complaint> {
    std::fs::read(file).map_err(|error| {
        Complaint::new(
            field,
            Some(file),
            format!("the file cannot be read: {error}"),
        )
    })
}
