//! Rules about the crates' manifests and about files that must be there.

use super::SourceFile;

/// Lines that every crate's manifest holds.
const INHERITED: [&str; 4] = [
    "version.workspace = true",
    "edition.workspace = true",
    "license.workspace = true",
    "rust-version.workspace = true",
];

/// Files without which a clean checkout does not build, or may not be passed on.
const REQUIRED: [&str; 11] = [
    "Cargo.lock",
    "LICENSE",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deny.toml",
    "clippy.toml",
    "rustfmt.toml",
    "rust-toolchain.toml",
    ".ci/run",
];

pub(super) fn manifests(sources: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in sources {
        if !file.path.ends_with("/Cargo.toml") {
            continue;
        }
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for wanted in INHERITED {
            if !lines.contains(&wanted) {
                breaches.push(format!("{}: lacks `{wanted}`", file.path));
            }
        }
        let takes_lints = lines
            .windows(2)
            .any(|pair| pair == ["[lints]", "workspace = true"]);
        if !takes_lints {
            breaches.push(format!("{}: lacks `[lints] workspace = true`", file.path));
        }
    }
    breaches
}

pub(super) fn required_files(paths: &[String]) -> Vec<String> {
    let missing = |wanted: &str| !paths.iter().any(|path| path == wanted);
    let mut breaches: Vec<String> = REQUIRED
        .into_iter()
        .filter(|wanted| missing(wanted))
        .map(|wanted| format!("{wanted} is missing"))
        .collect();
    for path in paths {
        if let Some(folder) = path.strip_suffix("/go.mod")
            && missing(&format!("{folder}/go.sum"))
        {
            breaches.push(format!("{folder}/go.sum is missing beside its go.mod"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_goes_its_own_way_is_found() {
        let good = "[package]\nversion.workspace = true\nedition.workspace = true\nlicense.workspace = true\n\
                    rust-version.workspace = true\n\n[lints]\nworkspace = true\n";
        let file = |text: &str| SourceFile {
            path: "crds/Cargo.toml".to_owned(),
            text: text.to_owned(),
        };
        assert!(manifests(&[file(good)]).is_empty());
        let without_lints = good.replace("[lints]\n", "");
        assert_eq!(
            manifests(&[file(&without_lints)]),
            ["crds/Cargo.toml: lacks `[lints] workspace = true`"]
        );
        let own_edition = good.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(
            manifests(&[file(&own_edition)]),
            ["crds/Cargo.toml: lacks `edition.workspace = true`"]
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut paths: Vec<String> = REQUIRED.map(str::to_owned).to_vec();
        assert!(required_files(&paths).is_empty());
        paths.retain(|path| path != "LICENSE");
        paths.push("tests/testbed/upstream/etcd/go.mod".to_owned());
        assert_eq!(
            required_files(&paths),
            [
                "LICENSE is missing",
                "tests/testbed/upstream/etcd/go.sum is missing beside its go.mod"
            ]
        );
    }
}
