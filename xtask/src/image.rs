//! Our image: one static program, as an OCI archive.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ironkeel_testbed::Image;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::progress::Screen;
use crate::release::hex;
use crate::{program, workspace};

/// The program that the image holds.
const PROGRAM: &str = "ironkeel-controller-manager";
/// The registry in the chart's default values.
pub(crate) const REGISTRY: &str = "ghcr.io";
/// The repository in the chart's default values.
pub(crate) const REPOSITORY: &str = "ironkeel/ironkeel-controller-manager";
/// The largest archive that passes, in bytes.
const LARGEST: u64 = 15_000_000;

/// The image as it lies on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BuiltImage {
    /// The OCI archive.
    pub(crate) archive: PathBuf,
    /// The static program inside.
    pub(crate) binary: PathBuf,
    /// The tag, which changes with the program.
    pub(crate) tag: String,
    /// The manifest's digest, `sha256:…`.
    pub(crate) digest: String,
    /// The archive's size in bytes.
    pub(crate) size: u64,
}

impl BuiltImage {
    /// The full reference in the archive.
    pub(crate) fn reference(&self) -> String {
        reference(&self.tag)
    }
}

fn reference(tag: &str) -> String {
    format!("{REGISTRY}/{REPOSITORY}:{tag}")
}

/// Builds the static program with cargo and writes the archive, if the program is not the one in it already.
pub(crate) fn build(log: &Path, screen: &Screen) -> Result<BuiltImage> {
    let binary = program::build_static(PROGRAM, log, screen)?;
    let program = fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    let folder = workspace::target().join("images");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    // The tag names the content, so that a cluster never runs an older program under the same name.
    let tag = format!("dev-{}", &hex(&Sha256::digest(&program))[..12]);
    let archive = folder.join(format!("{PROGRAM}.oci.tar"));
    let note = folder.join(format!("{PROGRAM}.json"));

    let known = fs::read(&note)
        .ok()
        .and_then(|text| serde_json::from_slice::<BuiltImage>(&text).ok())
        .filter(|known| known.tag == tag && known.archive == archive)
        .filter(|known| fs::metadata(&archive).is_ok_and(|file| file.len() == known.size));
    let image = match known {
        Some(known) => BuiltImage { binary, ..known },
        None => screen.step("write the image", || write(binary, archive, tag, &note))?,
    };
    if image.size > LARGEST {
        bail!(
            "{} has {:.1} MB, more than the {} MB an image may have",
            workspace::shown(&image.archive),
            megabytes(image.size),
            LARGEST / 1_000_000
        );
    }
    Ok(image)
}

fn write(binary: PathBuf, archive: PathBuf, tag: String, note: &Path) -> Result<BuiltImage> {
    let digest = Image::of_binary(&binary, &format!("/{PROGRAM}"), &reference(&tag))?
        .label("org.opencontainers.image.title", PROGRAM)
        .label("org.opencontainers.image.licenses", "Apache-2.0")
        .label(
            "org.opencontainers.image.version",
            env!("CARGO_PKG_VERSION"),
        )
        .write(&archive)?;
    let size = fs::metadata(&archive)?.len();
    let image = BuiltImage {
        archive,
        binary,
        tag,
        digest,
        size,
    };
    fs::write(note, serde_json::to_vec_pretty(&image)?)
        .with_context(|| format!("writing {}", note.display()))?;
    Ok(image)
}

/// A size for people.
pub(crate) fn megabytes(bytes: u64) -> f64 {
    // Exact up to 2^53 bytes.
    #[expect(clippy::cast_precision_loss, reason = "one digit is printed")]
    let bytes = bytes as f64;
    bytes / 1e6
}
