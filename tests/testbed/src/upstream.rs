//! Upstream's programs: pinned Go modules, built once into the per-user cache.
//!
//! Each folder under `tests/testbed/upstream/` is a Go module of ours that requires one upstream release and nothing
//! else; its `go.sum` pins every byte, in the module of a suite that is changed by way of the `go.sum` that it comes with. What is built from it lies in `<cache>/upstream/<name>-<hash>/bin`, where the hash
//! covers those files and the flags, so that a clean checkout finds what an earlier one built.
//!
//! A file below `overlay/` of such a folder stands in for the one of upstream's module at that path when a test is built:
//! a suite that calls functions of its process calls a program then.
//!
//! To move to another release, change the version in the module's `go.mod` and in `table.rs` and run `go mod tidy -e`
//! there. Kubernetes has a `replace` line per staging module besides, the same list as in the `go.mod` of its release,
//! and needs `go get -t k8s.io/kubernetes/test/e2e` for the sums of its tests.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::lock::Lock;
use crate::paths::cache_dir;
use crate::progress::{Outcome, Progress, step};
use crate::run;

use table::{BUILDS, Build};

/// The folder of a build's module with files that stand in for upstream's.
const OVERLAY: &str = "overlay";

/// Programs that are built and kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgramSet {
    /// What a cluster needs: the control plane, kubelet, kube-proxy, kubectl, etcd, containerd, CNI plugins, CoreDNS, helm.
    Cluster,
    /// agnhost, the program inside most of upstream's test images.
    TestImages,
    /// Upstream's own tests: `e2e.test` and `ginkgo`.
    Conformance,
    /// KWOK, which plays the kubelet of fake nodes.
    Kwok,
    /// The suites of the CNI plugins, made to call a program.
    CniSuites,
}

/// Where the built programs lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    folders: Vec<(String, PathBuf)>,
}

impl Programs {
    /// Builds what is missing of the named sets and says where everything is. A second run at the same time waits for
    /// the first. Needs Go only where something has to be built.
    pub fn ready(sets: &[ProgramSet], progress: &dyn Progress) -> Result<Self> {
        let cache = cache_dir()?.join("upstream");
        let mut folders = Vec::new();
        for build in BUILDS.iter().filter(|build| sets.contains(&build.set)) {
            let folder = cache
                .join(format!("{}-{}", build.name, fingerprint(build)?))
                .join("bin");
            if !folder.is_dir() {
                make(build, &cache, &folder, progress)?;
            }
            folders.push((build.name.to_owned(), folder));
        }
        Ok(Self { folders })
    }

    /// The path of one program, by the name of its file: `kubectl`, `helm`, `e2e.test` …
    pub fn path(&self, program: &str) -> Result<PathBuf> {
        self.folders
            .iter()
            .map(|(_, folder)| folder.join(program))
            .find(|path| path.is_file())
            .with_context(|| {
                format!("upstream program {program} is not among the sets that were asked for")
            })
    }

    /// The folders that hold the programs, for a PATH.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(|(_, folder)| folder.as_path())
    }

    /// The folder of one build.
    pub(crate) fn folder(&self, build: &str) -> Result<&Path> {
        self.folders
            .iter()
            .find(|(name, _)| name == build)
            .map(|(_, folder)| folder.as_path())
            .with_context(|| {
                format!("upstream's {build} is not among the sets that were asked for")
            })
    }
}

/// Builds into a folder beside the final one and renames it, so that what has its final name is whole.
fn make(build: &Build, cache: &Path, folder: &Path, progress: &dyn Progress) -> Result<()> {
    let waiting = || {
        progress.note(&format!(
            "waiting for another run that builds {} {}",
            build.name, build.version
        ));
    };
    let _lock = Lock::wait(&cache.join(format!("{}.lock", build.name)), waiting)?;
    if folder.is_dir() {
        return Ok(());
    }
    require_go()?;
    let (Some(home), unfinished) = (
        folder.parent(),
        cache.join(format!("{}.unfinished", build.name)),
    ) else {
        bail!("{} has no parent folder", folder.display());
    };
    remove_folder(&unfinished)?;
    remove_folder(home)?;
    let bin = unfinished.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;

    let packages: Vec<_> = build
        .programs
        .iter()
        .chain(build.tests)
        .map(|(package, _)| *package)
        .collect();
    let total = step(
        progress,
        &format!("fetch {} {}", build.name, build.version),
        None,
        || {
            let name = format!("fetch {} {}", build.name, build.version);
            let mut fetched = 0;
            let mut fetch = || {
                let mut list = go(build);
                list.args(["list", "-deps"]);
                // What a test needs beside its package; where programs are built as well, it is among what they need.
                if build.programs.is_empty() {
                    list.arg("-test");
                }
                run::lines(list.args(&packages), |line| {
                    if let Some(module) = line.strip_prefix("go: downloading ") {
                        fetched += 1;
                        progress.advance(&name, fetched, module);
                    }
                })
            };
            // Go asks once for each module: a proxy that failed for a moment must not end a run of an hour.
            let listed = fetch().or_else(|_| fetch())?;
            let outcome = if fetched == 0 {
                Outcome::Unchanged
            } else {
                Outcome::Done
            };
            Ok((listed.lines().count() as u64, outcome))
        },
    )?;

    let name = format!("build {} {}", build.name, build.version);
    step(progress, &name, Some(total), || {
        let mut compiled = 0;
        let mut compile = |command: &mut Command| {
            run::lines(command, |line| {
                if !line.starts_with("go: ") {
                    compiled += 1;
                }
                progress.advance(&name, compiled.min(total), line);
            })
        };
        // One call for the programs that keep their package's name: Go then compiles them side by side.
        let (same, renamed): (Vec<_>, Vec<_>) = build
            .programs
            .iter()
            .partition(|(package, file)| package.rsplit('/').next() == Some(file));
        let same: Vec<_> = same.into_iter().map(|(package, _)| package).collect();
        if !same.is_empty() {
            compile(
                go(build)
                    .arg("build")
                    .args(flags(build))
                    .arg("-o")
                    .arg(format!("{}/", bin.display()))
                    .args(same),
            )?;
        }
        for (package, file) in renamed {
            compile(
                go(build)
                    .arg("build")
                    .args(flags(build))
                    .arg("-o")
                    .arg(bin.join(file))
                    .arg(package),
            )?;
        }
        for (package, file) in build.tests {
            compile(
                go_test(build, package, &unfinished)?
                    .arg("-o")
                    .arg(bin.join(file)),
            )?;
        }
        remove_folder(&unfinished.join("source"))?;
        for (module, path, file) in build.files {
            let root = run::output(go(build).args(["list", "-m", "-f", "{{.Dir}}", module]))?;
            let from = Path::new(root.trim()).join(path);
            fs::write(
                bin.join(file),
                fs::read(&from).with_context(|| format!("read {}", from.display()))?,
            )?;
        }
        Ok(((), Outcome::Done))
    })?;
    fs::rename(&unfinished, home)
        .with_context(|| format!("rename {} to {}", unfinished.display(), home.display()))
}

/// A `go test -c` of one of the build's test packages.
///
/// Where files of ours stand in for upstream's, it is that of a copy of the package's module below `folder`: Go replaces no
/// file of its own cache.
fn go_test(build: &Build, package: &str, folder: &Path) -> Result<Command> {
    let ours = module_dir(build).join(OVERLAY);
    let mut go_test = go(build);
    if !ours.is_dir() {
        go_test.args(["test", "-c"]).args(flags(build)).arg(package);
        return Ok(go_test);
    }
    let format = "{{.Module.Path}}\n{{.Module.Dir}}";
    let told = run::output(go(build).args(["list", "-f", format, package]))?;
    let Some((module, theirs)) = told.trim().split_once('\n') else {
        bail!("go list says {told:?} of {package}, not its module");
    };
    let copy = folder.join("source");
    if !copy.is_dir() {
        copy_files(Path::new(theirs), &copy)?;
        for file in files_below(&ours)? {
            let replaced = copy.join(file.strip_prefix(&ours)?);
            if !replaced.is_file() {
                bail!("{} stands in for nothing", file.display());
            }
            copy_file(&file, &replaced)?;
        }
    }
    let inside = package.trim_start_matches(module);
    go_test.current_dir(copy).args(["test", "-c"]);
    go_test.args(flags(build)).arg(format!(".{inside}"));
    Ok(go_test)
}

/// Copies every file below a folder. What Go keeps may not be written; the copies may.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        copy_file(&file, &to.join(file.strip_prefix(from)?))?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    fs::write(to, bytes).with_context(|| format!("write {}", to.display()))
}

/// Every file below a folder, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            files.extend(files_below(&entry)?);
        } else {
            files.push(entry);
        }
    }
    Ok(files)
}

/// A `go` that builds from the pinned module alone: no C, no other toolchain, no change to `go.mod`, no workspace, and no
/// commit of ours, which Go would write into a program whose main package is ours.
fn go(build: &Build) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module_dir(build))
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off");
    go
}

/// The flags that decide what the programs contain.
fn flags(build: &Build) -> Vec<String> {
    let mut flags = vec!["-v".to_owned(), "-trimpath".to_owned()];
    if !build.tags.is_empty() {
        flags.push(format!("-tags={}", build.tags));
    }
    flags.push(format!("-ldflags={}", build.stamp.linker_flags()));
    flags
}

fn module_dir(build: &Build) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("upstream")
        .join(build.module)
}

/// Names what a build is made of: every file of its module, its flags, what it puts where.
fn fingerprint(build: &Build) -> Result<String> {
    let module = module_dir(build);
    let mut hash = Sha256::new();
    hash.update(format!("{build:?} {:?}", flags(build)));
    for file in files_below(&module)? {
        hash.update(file.strip_prefix(&module)?.as_os_str().as_encoded_bytes());
        hash.update(fs::read(&file).with_context(|| format!("read {}", file.display()))?);
    }
    let digest = format!("{:x}", hash.finalize());
    Ok(digest[..16].to_owned())
}

fn require_go() -> Result<()> {
    if Command::new("go")
        .arg("version")
        .output()
        .is_ok_and(|said| said.status.success())
    {
        return Ok(());
    }
    bail!(
        "go is not on the PATH, and upstream's programs have to be built: install Go 1.26.6 or newer, from https://go.dev/dl/ \
         or with `apt-get install golang-1.26` (Debian backports) and its bin folder on the PATH"
    )
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
