//! What a path means.

use super::resource::{STRATEGIES, Strategy};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    /// A collection, an object of it or a subresource of that.
    Resource(Place<'a>),
    /// The OpenAPI document of a group and version.
    OpenApi(&'a str),
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/version`.
    Version,
    /// A group that is served has no such resource.
    NoResource,
    /// Nothing.
    Nowhere,
}

/// A collection, an object or a subresource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) strategy: &'static Strategy,
    /// Place of the strategy in the table.
    pub(super) index: usize,
    /// None: all namespaces, or a cluster-scoped resource.
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) subresource: &'a str,
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        let mut parts = path.trim_matches('/').split('/');
        let (group, version) = match parts.next() {
            Some("api") => ("", parts.next().unwrap_or_default()),
            Some("apis") => {
                let group = parts.next().unwrap_or_default();
                (group, parts.next().unwrap_or_default())
            }
            Some("openapi") => {
                let document = path.trim_start_matches("/openapi/v3/");
                return Self::OpenApi(document);
            }
            Some("healthz" | "livez" | "readyz") => return Self::Health,
            Some("version") => return Self::Version,
            _ => return Self::Nowhere,
        };
        let of_group = |strategy: &&Strategy| {
            strategy.resource.group == group && strategy.resource.version == version
        };
        if !STRATEGIES.iter().any(|strategy| of_group(&strategy)) {
            return Self::Nowhere;
        }
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            // What follows a namespace's name is a resource in it, unless it is one of the namespace's own parts.
            ["namespaces", namespace, rest @ ..]
                if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) =>
            {
                (Some(*namespace), rest)
            }
            rest => (None, rest),
        };
        let Some(plural) = rest.first() else {
            return Self::NoResource;
        };
        let found = STRATEGIES
            .iter()
            .enumerate()
            .find(|(_, strategy)| of_group(strategy) && strategy.resource.plural == *plural);
        let Some((index, strategy)) = found else {
            return Self::NoResource;
        };
        if strategy.namespaced != namespace.is_some() && (rest.len() > 1 || !strategy.namespaced) {
            return Self::NoResource;
        }
        Self::Resource(Place {
            strategy,
            index,
            namespace,
            name: rest.get(1).copied(),
            subresource: rest.get(2).copied().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> String {
        match Route::of(path) {
            Route::Resource(place) => format!(
                "{} {:?} {:?} {:?}",
                place.strategy.resource, place.namespace, place.name, place.subresource
            ),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_lead_to_their_resources() {
        for (path, wanted) in [
            ("/api/v1/pods", "pods None None \"\""),
            ("/api/v1/namespaces/a/pods", "pods Some(\"a\") None \"\""),
            (
                "/api/v1/namespaces/a/pods/p/status",
                "pods Some(\"a\") Some(\"p\") \"status\"",
            ),
            ("/api/v1/namespaces", "namespaces None None \"\""),
            ("/api/v1/namespaces/a", "namespaces None Some(\"a\") \"\""),
            (
                "/api/v1/namespaces/a/finalize",
                "namespaces None Some(\"a\") \"finalize\"",
            ),
            (
                "/apis/apps.ironkeel.dev/v1/namespaces/a/deployments/d",
                "deployments.apps.ironkeel.dev Some(\"a\") Some(\"d\") \"\"",
            ),
            ("/api/v1/namespaces/a/wrong", "NoResource"),
            ("/apis/wrong/v1/namespaces/a/pods", "Nowhere"),
            ("/readyz", "Health"),
        ] {
            assert_eq!(place(path), wanted, "{path}");
        }
    }
}
