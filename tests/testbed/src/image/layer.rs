//! A layer: one tar file with the root file system of an image.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tar::{EntryType, Header};

use super::digest;

/// An uncompressed layer, held in memory and shared by the images built on it.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    bytes: Arc<Vec<u8>>,
    digest: String,
}

impl Layer {
    /// A layer with one executable at the absolute path `inside`.
    pub(crate) fn of_program(inside: &str, program: &[u8]) -> Result<Self> {
        let Some(relative) = inside.strip_prefix('/').filter(|rest| !rest.is_empty()) else {
            bail!("path {inside:?} of a program in an image is not absolute");
        };
        let mut tar = tar::Builder::new(Vec::new());
        for parent in parents(Path::new(relative)) {
            tar.append_data(
                &mut header(EntryType::Directory, 0o755, 0, 0),
                parent,
                std::io::empty(),
            )?;
        }
        let mut file = header(EntryType::Regular, 0o755, 0, 0);
        file.set_size(program.len() as u64);
        tar.append_data(&mut file, relative, program)?;
        Ok(Self::of_tar(tar.into_inner()?))
    }

    /// A layer with everything under `root`, but device nodes and sockets, which a runtime supplies itself. Owners and
    /// modes are those on disk, so an unprivileged caller gets its own.
    pub(crate) fn of_folder(root: &Path) -> Result<Self> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut seen = HashMap::new();
        append_folder(&mut tar, root, Path::new(""), &mut seen)
            .with_context(|| format!("pack {} into a layer", root.display()))?;
        Ok(Self::of_tar(tar.into_inner()?))
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn of_tar(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self {
            bytes: Arc::new(bytes),
            digest,
        }
    }
}

/// A header in which everything that could differ between two runs is fixed.
pub(super) fn header(kind: EntryType, mode: u32, uid: u64, gid: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn append_folder(
    tar: &mut tar::Builder<impl Write>,
    root: &Path,
    inside: &Path,
    seen: &mut HashMap<(u64, u64), PathBuf>,
) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(root.join(inside))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    names.sort();
    for name in names {
        let path = inside.join(name);
        let on_disk = root.join(&path);
        let data = fs::symlink_metadata(&on_disk)?;
        let make = |kind| {
            header(
                kind,
                data.mode() & 0o7777,
                data.uid().into(),
                data.gid().into(),
            )
        };
        if data.is_dir() {
            tar.append_data(&mut make(EntryType::Directory), &path, std::io::empty())?;
            append_folder(tar, root, &path, seen)?;
        } else if data.is_symlink() {
            tar.append_link(
                &mut make(EntryType::Symlink),
                &path,
                fs::read_link(&on_disk)?,
            )?;
        } else if data.is_file() {
            // The second name of a file is a link to its first, as it is on disk.
            if let Some(first) = seen.get(&(data.dev(), data.ino())) {
                tar.append_link(&mut make(EntryType::Link), &path, first)?;
                continue;
            }
            if data.nlink() > 1 {
                seen.insert((data.dev(), data.ino()), path.clone());
            }
            let mut file = make(EntryType::Regular);
            file.set_size(data.len());
            tar.append_data(&mut file, &path, File::open(&on_disk)?)?;
        }
    }
    Ok(())
}

/// The folders above a path, outermost first, without the root.
fn parents(path: &Path) -> Vec<&Path> {
    let mut all: Vec<_> = path
        .ancestors()
        .skip(1)
        .filter(|parent| !parent.as_os_str().is_empty())
        .collect();
    all.reverse();
    all
}
