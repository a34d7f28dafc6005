//! `cargo xtask generate`: files that are made from code and committed.
//!
//! RBAC rules come from `ironkeel_crds::rbac`, CustomResourceDefinitions from the types of
//! `ironkeel_crds`. The files are committed so that a chart can be installed, and a change
//! reviewed, without Rust. `--check` compares and writes nothing.

mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ironkeel_crds::rbac;

use crate::workspace;

/// Folders in which every YAML file is made here; a file that nothing makes is stale as well.
const FOLDERS: [&str; 2] = [
    "charts/ironkeel-controllers/files/rbac",
    "charts/ironkeel-crds/files/crds",
];

/// First line of every generated file.
const HEADER: &str =
    "# Made by `cargo xtask generate` from the crate ironkeel-crds. Do not edit.\n";

/// A file's path below the root of the repository and its text.
type Generated = (String, String);

/// Writes every generated file, or with `check` only says which ones are stale.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = workspace::root();
    let files = generated()?;
    let stale = stale(&root, &files)?;
    if check {
        if stale.is_empty() {
            return Ok(());
        }
        bail!(
            "generated files are stale; run `cargo xtask generate`:\n  {}",
            stale.join("\n  ")
        );
    }
    write(&root, &files)?;
    let mut out = io::stdout();
    for line in &stale {
        writeln!(out, "was stale: {line}")?;
    }
    writeln!(out, "{} generated files are current", files.len())?;
    Ok(())
}

/// Every generated file, in the order of their paths.
fn generated() -> Result<Vec<Generated>> {
    let mut files = Vec::new();
    for grant in rbac::GRANTS {
        files.push((
            format!(
                "{}/{}.{}.yaml",
                FOLDERS[0],
                grant.identity,
                grant.mode.as_str()
            ),
            rules(
                &format!(
                    "What {} may do in {} mode.",
                    grant.identity,
                    grant.mode.as_str()
                ),
                grant.rules,
            )?,
        ));
    }
    for aggregate in rbac::AGGREGATES {
        files.push((
            format!("{}/aggregate-{}.yaml", FOLDERS[0], aggregate.role),
            rules(
                &format!("What the role {} gains for our kinds.", aggregate.role),
                aggregate.rules,
            )?,
        ));
    }
    for kind in ironkeel_crds::crds()? {
        let definition = yaml::render(&kind.definition)?;
        files.push((
            format!("{}/{}.yaml", FOLDERS[1], kind.plural),
            format!("{HEADER}{definition}"),
        ));
    }
    files.sort();
    Ok(files)
}

fn rules(title: &str, rules: &[rbac::Rule]) -> Result<String> {
    let list = yaml::render(&serde_json::to_value(rules)?)?;
    Ok(format!("{HEADER}# {title}\n{list}"))
}

/// What differs between the repository and what would be made, one line a file.
fn stale(root: &Path, files: &[Generated]) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for (path, text) in files {
        match fs::read_to_string(root.join(path)) {
            Ok(found) if found == *text => {}
            Ok(found) => stale.push(format!(
                "{path}: differs {}",
                first_difference(&found, text)
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                stale.push(format!("{path}: is missing"));
            }
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        }
    }
    for path in strangers(root, files)? {
        stale.push(format!("{path}: is made by nothing"));
    }
    Ok(stale)
}

fn first_difference(found: &str, made: &str) -> String {
    let line = found
        .lines()
        .zip(made.lines())
        .take_while(|(found, made)| found == made)
        .count()
        + 1;
    let at = |text: &str| {
        text.lines()
            .nth(line - 1)
            .unwrap_or("(end of file)")
            .trim()
            .to_owned()
    };
    format!(
        "from line {line}: has {:?}, should have {:?}",
        at(found),
        at(made)
    )
}

/// YAML files in the generated folders that are not among `files`.
fn strangers(root: &Path, files: &[Generated]) -> Result<Vec<String>> {
    let known: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let mut strangers = Vec::new();
    for folder in FOLDERS {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("list {folder}")),
        };
        for entry in entries {
            let name = entry.with_context(|| format!("list {folder}"))?.file_name();
            let path = format!("{folder}/{}", name.to_string_lossy());
            if !known.contains(path.as_str()) {
                strangers.push(path);
            }
        }
    }
    strangers.sort();
    Ok(strangers)
}

/// Makes the repository equal to `files`; a current file keeps its time stamp.
fn write(root: &Path, files: &[Generated]) -> Result<()> {
    for (path, text) in files {
        let target = root.join(path);
        if fs::read_to_string(&target).is_ok_and(|found| found == *text) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make the folder of {path}"))?;
        }
        fs::write(&target, text).with_context(|| format!("write {path}"))?;
    }
    for path in strangers(root, files)? {
        fs::remove_file(root.join(&path)).with_context(|| format!("remove {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
