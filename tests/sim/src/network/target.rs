//! What a request is about, from its path.

use http::Method;

use crate::api::Request;

/// The parts of a path that rules and faults ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The collection; empty where the path names none.
    pub(crate) plural: &'a str,
    /// The object; empty for a collection.
    pub(crate) name: &'a str,
    /// Its subresource, or empty.
    pub(crate) subresource: &'a str,
}

impl<'a> Target<'a> {
    /// The target of a path, without query.
    pub(crate) fn of(path: &'a str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        let known = match parts.next() {
            Some("api") => parts.next().is_some(),
            Some("apis") => parts.next().is_some() && parts.next().is_some(),
            _ => false,
        };
        if !known {
            return Self::default();
        }
        let mut rest = parts.clone();
        // `namespaces/NAME/PLURAL`; a namespace itself is no target of a controller.
        if rest.next() == Some("namespaces") && rest.next().is_some() {
            parts = rest;
        }
        let mut next = || parts.next().unwrap_or_default();
        Self {
            plural: next(),
            name: next(),
            subresource: next(),
        }
    }
}

impl Request {
    /// Whether it asks for a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.method == Method::GET
            && self
                .query
                .split('&')
                .any(|part| matches!(part, "watch=true" | "watch=1"))
    }

    /// Whether it would change something that faults can strike at: no lease, no event, no dry run.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
            && !matches!(Target::of(&self.path).plural, "leases" | "events")
            && !self
                .query
                .split('&')
                .any(|part| part.starts_with("dryRun="))
    }

    /// Whether it is a list or a watch that a server has to answer with the newest state, so that one whose watch cache lags
    /// waits until that has caught up.
    pub(crate) fn wants_newest(&self) -> bool {
        let target = Target::of(&self.path);
        let versioned = self
            .query
            .split('&')
            .any(|part| part.starts_with("resourceVersion=") && part != "resourceVersion=");
        self.method == Method::GET
            && !target.plural.is_empty()
            && target.name.is_empty()
            && !versioned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_their_parts() {
        let parts = |path| {
            let Target {
                plural,
                name,
                subresource,
            } = Target::of(path);
            [plural, name, subresource]
        };
        assert_eq!(parts("/api/v1/pods"), ["pods", "", ""]);
        assert_eq!(parts("/api/v1/namespaces/sim/pods"), ["pods", "", ""]);
        assert_eq!(
            parts("/apis/apps/v1/namespaces/sim/replicasets/web/status"),
            ["replicasets", "web", "status"]
        );
        assert_eq!(parts("/openapi/v3/apis/apps.ironkeel.dev/v1"), ["", "", ""]);
    }

    #[test]
    fn what_changes_nothing_that_counts_is_no_write() {
        let create = |path: &str| Request::post(path, &serde_json::json!({}));
        assert!(create("/api/v1/namespaces/sim/pods").is_write());
        assert!(!create("/api/v1/namespaces/sim/pods?dryRun=All&x=y").is_write());
        assert!(!create("/api/v1/namespaces/sim/events").is_write());
        assert!(!Request::get("/api/v1/namespaces/sim/pods").is_write());
    }

    #[test]
    fn a_read_without_version_wants_the_newest_state() {
        for (path, newest) in [
            ("/api/v1/pods", true),
            (
                "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                true,
            ),
            ("/api/v1/pods?resourceVersion=0", false),
            ("/api/v1/pods?watch=true&resourceVersion=7", false),
            ("/api/v1/namespaces/sim/pods/web", false),
        ] {
            assert_eq!(Request::get(path).wants_newest(), newest, "{path}");
        }
    }
}
