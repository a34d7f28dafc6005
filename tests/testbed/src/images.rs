//! The images a test cluster needs, kept in the per-user cache as OCI archives.
//!
//! No registry is asked. What runs in them is built here: pause from a program of ours, CoreDNS and agnhost from upstream's
//! modules, and a Debian root with a shell and the network tools that upstream's tests call. They carry the names that
//! upstream's 1.37.1 tests ask for; a tag other than `latest` is not pulled where it is there already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::image::{Image, Layer, architecture, digest, write_archive};
use crate::lock::Lock;
use crate::mounts;
use crate::packages;
use crate::paths::cache_dir;
use crate::progress::{Outcome, Progress, step};
use crate::run;
use crate::upstream::Programs;

/// Changes whenever the same ingredients give other archives.
const FORMAT: u32 = 1;

/// The image that holds a pod's namespaces; containerd's configuration names it.
pub const PAUSE: &str = "registry.k8s.io/pause:3.10.2";
/// The image of the cluster's DNS.
pub const COREDNS: &str = "registry.k8s.io/coredns/coredns:v1.15.0";
/// Upstream's all-purpose test image: `netexec`, `pause`, `test-webserver` and many more behind one entry point, and a shell.
pub const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";
/// A shell and the usual small programs.
pub const BUSYBOX: &str = "registry.k8s.io/e2e-test-images/busybox:1.37.0-2";
/// A web server; agnhost's, under the name that upstream's tests use.
pub const NGINX: &str = "registry.k8s.io/e2e-test-images/nginx:1.27.0-2";

const AGNHOST_BEFORE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.55";
const BUSYBOX_BEFORE: &str = "registry.k8s.io/e2e-test-images/busybox:1.36.1-1";
const NGINX_NEXT: &str = "registry.k8s.io/e2e-test-images/nginx:1.28.0-2";
const DNS_TESTING: &str = "registry.k8s.io/e2e-test-images/glibc-dns-testing:2.1.1";

/// The Debian release and packages of the test images' root.
const DEBIAN: &str = "bookworm";
const DEBIAN_PACKAGES: &str = "curl,netcat-openbsd,dnsutils,iproute2,bash,busybox,ca-certificates";

/// What no test reads, by far the larger part of a minimal Debian.
const UNREAD: &[&str] = &[
    "dev",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt",
    "var/log",
];

/// Images that are made and kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageSet {
    /// [`PAUSE`] and [`COREDNS`]: every cluster needs them.
    Base,
    /// [`AGNHOST`], [`BUSYBOX`], [`NGINX`] and glibc-dns-testing, with the older tags that upstream's tests use too. Needs
    /// [`crate::ProgramSet::TestImages`].
    Test,
}

/// Makes what is missing of the named sets and returns the archives.
pub fn ready(
    sets: &[ImageSet],
    programs: &Programs,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>> {
    let cache = cache_dir()?.join("images");
    sets.iter()
        .map(|set| match set {
            ImageSet::Base => {
                let ingredients =
                    format!("{}{}", PAUSE_SOURCE, programs.folder("coredns")?.display());
                archive(&cache, "base", &ingredients, progress, |unfinished| {
                    base(unfinished, programs, progress)
                })
            }
            ImageSet::Test => {
                let ingredients = format!(
                    "{DEBIAN} {DEBIAN_PACKAGES} {}",
                    programs.folder("agnhost")?.display()
                );
                archive(&cache, "test", &ingredients, progress, |unfinished| {
                    test(unfinished, programs, progress)
                })
            }
        })
        .collect()
}

/// The source of the pause program, which names its build.
const PAUSE_SOURCE: &str = include_str!("../pause/src/main.rs");

/// The archive of these ingredients from the cache, made first where it is missing.
fn archive(
    cache: &Path,
    name: &str,
    ingredients: &str,
    progress: &dyn Progress,
    make: impl FnOnce(&Path) -> Result<Vec<Image>>,
) -> Result<PathBuf> {
    let key = digest(format!("{FORMAT} {} {ingredients}", architecture()).as_bytes());
    let path = cache.join(format!("{name}-{}.tar", &key["sha256:".len()..][..16]));
    if path.is_file() {
        return Ok(path);
    }
    let waiting = || {
        progress.note(&format!(
            "waiting for another run that makes the {name} images"
        ));
    };
    let _lock = Lock::wait(&cache.join(format!("{name}.lock")), waiting)?;
    if path.is_file() {
        return Ok(path);
    }
    let unfinished = cache.join(format!("{name}.unfinished"));
    if unfinished.exists() {
        // A debootstrap that was killed leaves its /proc and /sys there.
        if let Some(mount) = mounts::detach_below(&unfinished).first() {
            bail!(
                "{} is still mounted; unmount it and try again",
                mount.display()
            );
        }
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("remove {}", unfinished.display()))?;
    }
    fs::create_dir_all(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    step(progress, &format!("make the {name} images"), None, || {
        let images = make(&unfinished)?;
        write_archive(&path, &images)?;
        Ok(((), Outcome::Done))
    })?;
    fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
    Ok(path)
}

fn base(_: &Path, programs: &Programs, progress: &dyn Progress) -> Result<Vec<Image>> {
    progress.advance("make the base images", 0, "pause");
    let pause = build_pause(progress)?;
    let coredns = programs.path("coredns")?;
    let coredns = fs::read(&coredns).with_context(|| format!("read {}", coredns.display()))?;
    Ok(vec![
        Image::of_layer(Layer::of_program("/pause", &pause)?, PAUSE)?
            .entrypoint(&["/pause"])
            .user("65535:65535"),
        Image::of_layer(Layer::of_program("/coredns", &coredns)?, COREDNS)?
            .entrypoint(&["/coredns"]),
    ])
}

/// Builds the pause program for this machine, statically.
fn build_pause(progress: &dyn Progress) -> Result<Vec<u8>> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    packages::ensure_rust_target(&target, progress)?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = run::output(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(here)
            .args([
                "build",
                "--release",
                "--package",
                "ironkeel-pause",
                "--target",
                &target,
                "--message-format",
                "json",
            ]),
    )
    .context("build the pause program")?;
    let built = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| {
            let executable = message["executable"].as_str()?;
            (message["target"]["name"] == "pause").then(|| PathBuf::from(executable))
        });
    let Some(path) = built else {
        bail!("cargo built the pause program and did not say where");
    };
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}

fn test(unfinished: &Path, programs: &Programs, progress: &dyn Progress) -> Result<Vec<Image>> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the test images need a Debian root file system, which only root can make: run this as root"
        );
    }
    packages::ensure(packages::TEST_IMAGES, progress)?;
    let name = "make the test images";
    let root = unfinished.join("root");
    let mut done = 0;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args([
            "--variant=minbase",
            &format!("--include={DEBIAN_PACKAGES}"),
            DEBIAN,
        ])
        .arg(&root)
        .env("PATH", packages::search_path());
    run::merged_lines(debootstrap, |line| {
        done += 1;
        progress.advance(name, done, line.trim_start_matches("I: "));
    })
    .context("make a Debian root file system from Debian's mirror")?;
    progress.advance(name, done, "packing");
    furnish(&root, programs)?;
    let layer = Layer::of_folder(&root)?;
    Ok(vec![
        Image::of_layer(layer.clone(), AGNHOST)?
            .name(AGNHOST_BEFORE)?
            .entrypoint(&["/agnhost"])
            .arguments(&["pause"]),
        Image::of_layer(layer.clone(), BUSYBOX)?
            .name(BUSYBOX_BEFORE)?
            .arguments(&["sh"]),
        Image::of_layer(layer.clone(), NGINX)?
            .name(NGINX_NEXT)?
            .entrypoint(&["/agnhost"])
            .arguments(&["test-webserver"]),
        Image::of_layer(layer, DNS_TESTING)?.arguments(&["sh"]),
    ])
}

/// Turns a minimal Debian into the root that the tests expect.
fn furnish(root: &Path, programs: &Programs) -> Result<()> {
    for path in UNREAD {
        let path = root.join(path);
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
            fs::create_dir(&path)?;
        }
    }
    // These differ from one debootstrap to the next.
    fs::write(root.join("etc/machine-id"), "")?;
    for file in ["agnhost", "localhost.crt", "localhost.key"] {
        fs::copy(programs.path(file)?, root.join(file)).with_context(|| format!("copy {file}"))?;
    }
    symlink("agnhost", root.join("agnhost-2"))?;
    // Job specs use `[[ … ]]`, which dash lacks.
    fs::remove_file(root.join("bin/sh")).context("remove bin/sh")?;
    symlink("bash", root.join("bin/sh"))?;
    fs::create_dir_all(root.join("uploads"))?;
    // A SupplementalGroups spec looks for this user and this group.
    append(
        &root.join("etc/passwd"),
        "user-defined-in-image:x:1000:1000::/:/bin/sh\n",
    )?;
    append(
        &root.join("etc/group"),
        "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n",
    )
}

fn append(path: &Path, lines: &str) -> Result<()> {
    let mut text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.push_str(lines);
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
