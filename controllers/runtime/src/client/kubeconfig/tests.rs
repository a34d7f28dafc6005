use std::path::PathBuf;

use super::*;
use crate::client::{ConnectError, Connection};
use crate::metrics::ClientMetrics;

/// A directory that is removed again.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ironkeel-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str = r"
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: { cluster: c, user: u, namespace: ops }
clusters:
- name: c
  cluster: { server: 'https://10.0.0.1:6443', CA }
users:
- name: u
  user: { token: secret }
";

/// What is said of `text`, without the path of the file.
async fn complaint(dir: &Dir, text: &str) -> String {
    let path = dir.write("config", text);
    let error = load(&path).await.unwrap_err();
    let text = error.to_string();
    let start = format!("kubeconfig {}: ", path.display());
    text.strip_prefix(&start)
        .unwrap_or_else(|| panic!("{text} does not start with {start}"))
        .replace(&dir.0.display().to_string(), "DIR")
}

#[tokio::test]
async fn each_mistake_names_its_field_value_and_rule() {
    let dir = Dir::new("kubeconfig");
    dir.write("empty.pem", "nothing here\n");
    let good = GOOD.replace(", CA", "");
    for (from, to, expected) in [
        (
            "current-context: here",
            "",
            "current-context: is not set, so no cluster is chosen",
        ),
        (
            "current-context: here",
            "current-context: there",
            r#"current-context "there": names no entry of contexts (there are: here)"#,
        ),
        (
            "cluster: c,",
            "cluster: d,",
            r#"contexts[here].context.cluster "d": names no entry of clusters (there are: c)"#,
        ),
        (
            "user: u,",
            "user: v,",
            r#"contexts[here].context.user "v": names no entry of users (there are: u)"#,
        ),
        (
            "server: 'https://10.0.0.1:6443'",
            "insecure-skip-tls-verify: true",
            "clusters[c].cluster.server: is not set",
        ),
        (
            "https://10.0.0.1:6443",
            "10.0.0.1:6443",
            r#"clusters[c].cluster.server "10.0.0.1:6443": must start with https:// or http://"#,
        ),
        (
            "https://10.0.0.1:6443",
            "https://a b",
            r#"clusters[c].cluster.server "https://a b": is not a URL: invalid uri character"#,
        ),
        (
            "6443' }",
            "6443', certificate-authority: gone.pem }",
            r#"clusters[c].cluster.certificate-authority "DIR/gone.pem": the file cannot be read: No such file or directory (os error 2)"#,
        ),
        (
            "6443' }",
            "6443', certificate-authority: empty.pem }",
            r#"clusters[c].cluster.certificate-authority "DIR/empty.pem": the file holds no PEM block CERTIFICATE"#,
        ),
        (
            "token: secret",
            "tokenFile: gone",
            r#"users[u].user.tokenFile "DIR/gone": the file cannot be read: No such file or directory (os error 2)"#,
        ),
        (
            "token: secret",
            "client-certificate: empty.pem",
            r#"users[u].user.client-certificate "DIR/empty.pem": the file holds no PEM block CERTIFICATE"#,
        ),
        (
            "token: secret",
            "client-certificate-data: aGk=",
            "users[u].user.client-key: is not set, but client-certificate is",
        ),
        (
            "token: secret",
            "client-key-data: aGk=",
            "users[u].user.client-certificate: is not set, but client-key is",
        ),
    ] {
        assert!(good.contains(from), "the sample has no {from}");
        assert_eq!(complaint(&dir, &good.replace(from, to)).await, expected);
    }
}

#[tokio::test]
async fn a_missing_file_and_bad_yaml_are_named() {
    let dir = Dir::new("kubeconfig-file");
    let missing = dir.0.join("nowhere");
    let error = load(&missing).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "kubeconfig {}: file: cannot be read: No such file or directory (os error 2)",
            missing.display()
        )
    );
    let bad = complaint(&dir, "contexts: [").await;
    assert!(
        bad.starts_with("file: is not a valid kubeconfig: "),
        "{bad}"
    );
    let data = GOOD.replace("CA", "certificate-authority-data: '%%%'");
    let bad = complaint(&dir, &data).await;
    assert!(
        bad.contains("certificate authority") && bad.contains("base64"),
        "{bad}"
    );
}

#[tokio::test]
async fn a_good_file_makes_a_client_that_does_not_retry() {
    let dir = Dir::new("kubeconfig-good");
    let path = dir.write("config", &GOOD.replace(", CA", ""));
    let connection = Connection::open(Some(&path), "test/1", ClientMetrics::default())
        .await
        .unwrap();
    assert_eq!(connection.server(), "https://10.0.0.1:6443/");
    assert_eq!(connection.default_namespace(), "ops");
    assert!(!connection.config.default_retry);
    connection.client().unwrap();
    let bad = Connection::open(Some(&path), "test\n1", ClientMetrics::default())
        .await
        .unwrap();
    assert!(matches!(bad.client(), Err(ConnectError::UserAgent(_))));
}
