//! House rules that no compiler checks, as pure functions over the files of the repository.

mod crates;
mod dependencies;
mod files;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::{bugs, conformance, generate, shell, workspace};

/// What tidy found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How many rules held for everything they were asked about.
    pub(crate) kept: usize,
    /// One line per breach, grouped by rule.
    pub(crate) breaches: Vec<(&'static str, Vec<String>)>,
}

impl Findings {
    fn rule(&mut self, name: &'static str, breaches: Vec<String>) {
        if breaches.is_empty() {
            self.kept += 1;
        } else {
            self.breaches.push((name, breaches));
        }
    }

    /// The findings as text: one paragraph per broken rule.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (rule, breaches) in &self.breaches {
            text.push_str(rule);
            for breach in breaches {
                text.push_str("\n  ");
                text.push_str(breach);
            }
            text.push('\n');
        }
        text
    }
}

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path, relative to the root.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Checks every rule. An error means that a rule could not be checked.
pub(crate) fn check() -> Result<Findings> {
    let root = workspace::root();
    let paths = list_paths()?;
    let sources = read_sources(&root, &paths)?;
    let mut findings = Findings::default();

    findings.rule(
        "dependencies point one way (design, section 3)",
        dependencies::check(&cargo_metadata()?)?,
    );
    findings.rule(
        "planners and CRDs hold no client and no runtime",
        impure_crates()?,
    );
    findings.rule(
        "a file is short enough to be read: planners and tests 900 lines, everything else 500",
        files::too_long(&sources),
    );
    findings.rule(
        "a module says what it is in its first line (`//! …`)",
        files::undocumented(&sources),
    );
    findings.rule("nothing is left for later", files::unfinished(&sources));
    findings.rule(
        "no file names the registry or proxy of one machine",
        files::registry_settings(&sources),
    );
    findings.rule(
        "every crate takes lints, licence and version from the workspace",
        crates::manifests(&sources),
    );
    findings.rule(
        "what a clean checkout needs is committed",
        crates::required_files(&paths),
    );
    findings.rule(
        "the conformance table in README.md matches docs/conformance",
        conformance::stale_table(&root)?,
    );
    findings.rule(
        "the deliberate bugs apply to the code as it is (`cargo xtask bugs`)",
        bugs::stale()?,
    );
    findings.rule(
        "generated files match their sources (`cargo xtask generate`)",
        stale_generated_files(),
    );
    Ok(findings)
}

/// The files that git tracks or would add.
fn list_paths() -> Result<Vec<String>> {
    let mut git = shell::command("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let mut paths: Vec<String> = shell::read(git)?
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Reads the files whose text rules speak about; a file that was deleted but not yet committed is left out.
fn read_sources(root: &Path, paths: &[String]) -> Result<Vec<SourceFile>> {
    let mut sources = Vec::new();
    for path in paths.iter().filter(|path| files::is_text(path)) {
        let full = root.join(path);
        if !full.is_file() {
            continue;
        }
        let text = fs::read_to_string(&full).with_context(|| format!("reading {path}"))?;
        sources.push(SourceFile {
            path: path.clone(),
            text,
        });
    }
    Ok(sources)
}

fn cargo_metadata() -> Result<String> {
    let mut cargo = shell::cargo();
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    cargo.arg("--filter-platform=x86_64-unknown-linux-musl");
    shell::read(cargo)
}

fn impure_crates() -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for name in dependencies::PURE {
        let mut cargo = shell::cargo();
        cargo.args([
            "tree",
            "--locked",
            "--edges=normal",
            "--prefix=none",
            "--package",
            name,
        ]);
        breaches.extend(dependencies::check_pure(name, &shell::read(cargo)?));
    }
    Ok(breaches)
}

fn stale_generated_files() -> Vec<String> {
    match generate::run(true) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("{error:#}")],
    }
}
