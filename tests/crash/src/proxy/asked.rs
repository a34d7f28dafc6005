//! What a request is about, read from its method and path.

use http::{Method, Uri};
use serde_json::Value;

/// Collections that nobody loses anything with: leases are renewed, and events are told, while nothing happens.
const UNCOUNTED: [&str; 2] = ["leases", "events"];

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The prefix with group and version: `/api/v1`, `/apis/apps/v1`.
    pub prefix: String,
    /// The namespace, where the path names one.
    pub namespace: Option<String>,
    /// The collection.
    pub resource: String,
    /// The object, where the path names one.
    pub name: Option<String>,
    /// Its subresource, where the path names one.
    pub subresource: Option<String>,
    /// Whether it is a watch.
    pub watch: bool,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
}

impl Asked {
    /// Reads a request; `None` where it is about no collection: discovery, health, metrics.
    pub fn read(method: &Method, uri: &Uri) -> Option<Self> {
        let mut parts = uri.path().trim_start_matches('/').split('/').peekable();
        let prefix = match parts.next()? {
            "api" => format!("/api/{}", parts.next()?),
            "apis" => format!("/apis/{}/{}", parts.next()?, parts.next()?),
            _ => return None,
        };
        let mut resource = parts.next().filter(|part| !part.is_empty())?;
        let mut name = parts.next();
        let mut namespace = None;
        // `/namespaces/a` is the object, `/namespaces/a/pods` a collection in it.
        if resource == "namespaces"
            && let Some(next) = parts.peek()
            && !matches!(*next, "status" | "finalize")
        {
            namespace = name.map(str::to_owned);
            resource = parts.next()?;
            name = parts.next();
        }
        let query = |wanted: &str, values: &[&str]| {
            uri.query().is_some_and(|query| {
                query.split('&').any(|pair| {
                    pair.split_once('=')
                        .is_some_and(|(key, value)| key == wanted && values.contains(&value))
                })
            })
        };
        Some(Self {
            method: method.clone(),
            prefix,
            namespace,
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            subresource: parts.next().map(str::to_owned),
            watch: method == Method::GET && query("watch", &["true", "1"]),
            dry_run: query("dryRun", &["All"]),
        })
    }

    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        matches!(
            self.method,
            Method::POST | Method::PUT | Method::PATCH | Method::DELETE
        )
    }

    /// Whether it is a write that the campaign counts: one in `namespace`, but for leases, events and tokens. A dry run
    /// counts, because whoever asks for one waits for its answer.
    pub fn is_counted(&self, namespace: &str) -> bool {
        self.is_write()
            && self.namespace.as_deref() == Some(namespace)
            && !UNCOUNTED.contains(&self.resource.as_str())
            && self.subresource.as_deref() != Some("token")
    }

    /// Where a list or watch of `resources` over all namespaces is to go instead, so that its reader sees `namespace`
    /// alone.
    pub fn confined(&self, uri: &Uri, resources: &[&str], namespace: &str) -> Option<String> {
        let over_all =
            self.method == Method::GET && self.namespace.is_none() && self.name.is_none();
        if !over_all || !resources.contains(&self.resource.as_str()) {
            return None;
        }
        let query = uri
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        Some(format!(
            "{}/namespaces/{namespace}/{}{query}",
            self.prefix, self.resource
        ))
    }

    /// The request in a few words: `POST pods`, `PATCH deployments/web/status`.
    pub fn line(&self) -> String {
        let mut text = format!("{} {}", self.method, self.resource);
        for part in [&self.name, &self.subresource].into_iter().flatten() {
            text.push('/');
            text.push_str(part);
        }
        if self.dry_run {
            text.push_str(" (dry run)");
        }
        text
    }
}

/// What a write says that it must find unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// The UID of the object.
    pub uid: bool,
}

impl Names {
    /// Reads it from a body in JSON: an object, a merge patch, options of a delete, or a JSON patch.
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let uid = match &body {
            Value::Array(operations) => operations
                .iter()
                .any(|operation| operation["op"] == "test" && operation["path"] == "/metadata/uid"),
            _ => body["metadata"]["uid"].is_string() || body["preconditions"]["uid"].is_string(),
        };
        Some(Self { uid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, path: &str) -> Option<Asked> {
        Asked::read(method, &path.parse().unwrap())
    }

    #[test]
    fn a_request_is_told_in_a_few_words() {
        for (method, path, line) in [
            (Method::POST, "/api/v1/namespaces/a/pods", "POST pods"),
            (
                Method::POST,
                "/api/v1/namespaces/a/pods?dryRun=All",
                "POST pods (dry run)",
            ),
            (
                Method::PUT,
                "/apis/apps/v1/namespaces/a/deployments/web/status",
                "PUT deployments/web/status",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/a",
                "DELETE namespaces/a",
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/a/finalize",
                "PUT namespaces/a/finalize",
            ),
            (
                Method::GET,
                "/apis/apps/v1/replicasets?watch=true",
                "GET replicasets",
            ),
        ] {
            assert_eq!(read(&method, path).unwrap().line(), line);
        }
        for path in ["/readyz", "/api", "/api/v1", "/apis/apps/v1", "/openapi/v3"] {
            assert_eq!(read(&Method::GET, path), None, "{path}");
        }
    }

    #[test]
    fn what_counts_is_a_write_in_the_namespace() {
        for (method, path, counts) in [
            (Method::POST, "/api/v1/namespaces/a/pods", true),
            (Method::DELETE, "/api/v1/namespaces/a/pods/p", true),
            (Method::GET, "/api/v1/namespaces/a/pods/p", false),
            (Method::POST, "/api/v1/namespaces/b/pods", false),
            (Method::POST, "/api/v1/namespaces/a/events", false),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/a/events",
                false,
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/l",
                false,
            ),
            (
                Method::POST,
                "/api/v1/namespaces/a/serviceaccounts/s/token",
                false,
            ),
            (
                Method::POST,
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                false,
            ),
        ] {
            assert_eq!(
                read(&method, path).unwrap().is_counted("a"),
                counts,
                "{path}"
            );
        }
    }

    #[test]
    fn lists_and_watches_of_all_namespaces_are_confined() {
        let confined = |path: &str| {
            let uri: Uri = path.parse().unwrap();
            read(&Method::GET, path)
                .unwrap()
                .confined(&uri, &["pods", "replicasets"], "a")
        };
        assert_eq!(
            confined("/apis/apps/v1/replicasets?watch=1&x=y").as_deref(),
            Some("/apis/apps/v1/namespaces/a/replicasets?watch=1&x=y")
        );
        assert_eq!(
            confined("/api/v1/pods").as_deref(),
            Some("/api/v1/namespaces/a/pods")
        );
        assert_eq!(confined("/api/v1/namespaces/b/pods"), None);
        assert_eq!(confined("/api/v1/nodes"), None);
    }

    #[test]
    fn a_body_says_what_it_must_find() {
        for (body, uid) in [
            (r#"{"metadata":{"uid":"u","resourceVersion":"7"}}"#, true),
            (r#"{"preconditions":{"uid":"u"}}"#, true),
            (
                r#"[{"op":"test","path":"/metadata/uid","value":"u"}]"#,
                true,
            ),
            (
                r#"[{"op":"test","path":"/metadata/resourceVersion","value":"7"}]"#,
                false,
            ),
            (r#"{"spec":{}}"#, false),
        ] {
            assert_eq!(Names::read(body.as_bytes()), Some(Names { uid }), "{body}");
        }
        assert_eq!(Names::read(b"k8s\0"), None);
    }
}
