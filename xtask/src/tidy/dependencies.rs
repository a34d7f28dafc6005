//! Which crate may depend on which, read from what cargo says.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Crates a pure crate must not reach, not even through others: they are what a shell is made of.
const SHELL: [&str; 4] = ["tokio", "kube-client", "hyper", "reqwest"];

/// Our crates that stay free of [`SHELL`].
pub(super) const PURE: [&str; 2] = ["ironkeel-crds", "ironkeel-plan"];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

/// The crates of ours that `name`, which lies in `folder`, may depend on; `None` is any.
fn allowed(name: &str, folder: &str) -> Option<&'static [&'static str]> {
    match name {
        "ironkeel-runtime" => Some(&["ironkeel-plan"]),
        "ironkeel-controller-manager" => {
            Some(&["ironkeel-runtime", "ironkeel-plan", "ironkeel-crds"])
        }
        _ if folder == "xtask" || folder.starts_with("tests/") => None,
        // crds, plan, and whatever runs on a node stand alone.
        _ => Some(&[]),
    }
}

/// Breaches of the direction, from the output of `cargo metadata --format-version=1`.
pub(super) fn check(metadata: &str) -> Result<Vec<String>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("reading the output of cargo metadata")?;
    let ours: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|package| metadata.workspace_members.contains(&package.id))
        .collect();
    let names: BTreeSet<&str> = ours.iter().map(|package| package.name.as_str()).collect();

    let mut breaches = Vec::new();
    for package in &ours {
        let folder = package
            .manifest_path
            .trim_start_matches(&metadata.workspace_root)
            .trim_start_matches('/')
            .trim_end_matches("/Cargo.toml");
        let Some(allowed) = allowed(&package.name, folder) else {
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if names.contains(name) && !allowed.contains(&name) && name != package.name {
                breaches.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    breaches.sort();
    breaches.dedup();
    Ok(breaches)
}

/// What the pure crate `name` reaches and must not, from the output of `cargo tree --prefix=none` for it alone.
///
/// The tree of one crate, not `cargo metadata`: that adds up the features that all crates of the workspace ask for.
pub(super) fn check_pure(name: &str, tree: &str) -> Vec<String> {
    SHELL
        .into_iter()
        .filter(|found| {
            tree.lines()
                .any(|line| line.split(' ').next() == Some(found))
        })
        .map(|found| format!("{name} reaches {found}; it must stay pure"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Metadata of a workspace with the given crates, each with a folder and its dependencies.
    fn metadata(crates: &[(&str, &str, &[&str])]) -> String {
        let packages: Vec<Value> = crates
            .iter()
            .map(|(name, folder, dependencies)| {
                let dependencies: Vec<Value> =
                    dependencies.iter().map(|name| json!({ "name": name })).collect();
                json!({ "id": name, "name": name, "manifest_path": format!("/r/{folder}/Cargo.toml"),
                        "dependencies": dependencies })
            })
            .collect();
        let members: Vec<&str> = crates
            .iter()
            .filter(|(_, folder, _)| !folder.starts_with("registry"))
            .map(|(name, ..)| *name)
            .collect();
        json!({ "packages": packages, "workspace_members": members, "workspace_root": "/r" })
            .to_string()
    }

    #[test]
    fn the_designed_direction_is_fine() {
        let text = metadata(&[
            ("ironkeel-crds", "crds", &["serde"]),
            ("ironkeel-plan", "controllers/plan", &["serde"]),
            (
                "ironkeel-runtime",
                "controllers/runtime",
                &["ironkeel-plan", "tokio"],
            ),
            (
                "ironkeel-controller-manager",
                "controllers/manager",
                &["ironkeel-runtime", "ironkeel-plan", "ironkeel-crds"],
            ),
            (
                "ironkeel-e2e",
                "tests/e2e",
                &["ironkeel-testbed", "ironkeel-crds"],
            ),
            ("ironkeel-testbed", "tests/testbed", &[]),
            ("xtask", "xtask", &["ironkeel-testbed", "ironkeel-crds"]),
            ("tokio", "registry/tokio", &[]),
        ]);
        assert_eq!(check(&text).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_wrong_direction_is_named() {
        let text = metadata(&[
            ("ironkeel-crds", "crds", &["ironkeel-plan"]),
            ("ironkeel-plan", "controllers/plan", &[]),
            (
                "ironkeel-runtime",
                "controllers/runtime",
                &["ironkeel-crds"],
            ),
            ("ironkeel-cni", "cni-plugin/plugin", &["ironkeel-runtime"]),
        ]);
        assert_eq!(
            check(&text).unwrap(),
            [
                "ironkeel-cni must not depend on ironkeel-runtime",
                "ironkeel-crds must not depend on ironkeel-plan",
                "ironkeel-runtime must not depend on ironkeel-crds",
            ]
        );
    }

    #[test]
    fn a_pure_crate_that_reaches_a_runtime_is_named() {
        let tree =
            "ironkeel-plan v0.1.0 (/r)\ninnocent v1.0.0\ntokio v1.54.1\ntokio-free v1.0.0 (*)\n";
        assert_eq!(
            check_pure("ironkeel-plan", tree),
            ["ironkeel-plan reaches tokio; it must stay pure"]
        );
        assert!(
            check_pure("ironkeel-plan", "ironkeel-plan v0.1.0\ntokio-free v1.0.0\n").is_empty()
        );
    }
}
