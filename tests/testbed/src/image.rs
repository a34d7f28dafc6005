//! Container images as OCI archives, written without registry or daemon.
//!
//! An archive is an OCI image layout in one tar file, with the `manifest.json` of `docker save` beside it, so that
//! `ctr images import`, `docker load` and `kind load image-archive` all take it. The same input gives the same bytes:
//! entries are sorted, times are the epoch, owners are fixed, nothing is compressed.

mod layer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use layer::Layer;

/// The annotation by which containerd names an imported image. A bare tag in `org.opencontainers.image.ref.name` is
/// skipped without a word by `ctr`.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user and group of an image that needs no rights: distroless's `nonroot`.
const NONROOT: u32 = 65_532;

/// One image: a root file system of one layer, and what a runtime needs to start it.
#[derive(Debug, Clone)]
pub struct Image {
    names: Vec<String>,
    layer: Layer,
    user: Option<String>,
    entrypoint: Vec<String>,
    arguments: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl Image {
    /// An image that holds one static program and nothing else, run as user and group 65532.
    ///
    /// `inside` is the absolute path of the program in the image and becomes the entry point; `name` is the full
    /// reference with its tag.
    pub fn of_binary(binary: &Path, inside: &str, name: &str) -> Result<Self> {
        let bytes = fs::read(binary)
            .with_context(|| format!("read {} for image {name}", binary.display()))?;
        let layer = Layer::of_program(inside, &bytes)?;
        let image = Self::of_layer(layer, name)?;
        Ok(image
            .user(&format!("{NONROOT}:{NONROOT}"))
            .entrypoint(&[inside]))
    }

    /// An image over a layer that is there already, with neither user nor entry point.
    pub(crate) fn of_layer(layer: Layer, name: &str) -> Result<Self> {
        let image = Self {
            names: Vec::new(),
            layer,
            user: None,
            entrypoint: Vec::new(),
            arguments: Vec::new(),
            labels: BTreeMap::new(),
        };
        image.name(name)
    }

    /// Gives the image another full name, `registry/path:tag`.
    pub fn name(mut self, name: &str) -> Result<Self> {
        let tag = tag_of(name).with_context(|| format!("image name {name:?} has no tag"))?;
        if tag.is_empty() || !name.contains('/') {
            bail!("image name {name:?} is not of the form registry/path:tag");
        }
        self.names.push(name.to_owned());
        Ok(self)
    }

    /// Sets a label, such as `org.opencontainers.image.source`.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets the user the program runs as, `uid:gid`.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Sets the program and its first arguments.
    #[must_use]
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets the arguments that a container may replace.
    #[must_use]
    pub fn arguments(mut self, words: &[&str]) -> Self {
        self.arguments = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Writes the image as an archive and returns the digest of its manifest, `sha256:…`.
    pub fn write(&self, archive: &Path) -> Result<String> {
        let digests = write_archive(archive, std::slice::from_ref(self))?;
        digests
            .into_iter()
            .next()
            .context("an archive of one image has one manifest")
    }

    fn config(&self) -> Value {
        let mut config = json!({ "Env": [PATH], "WorkingDir": "/" });
        if let Some(user) = &self.user {
            config["User"] = json!(user);
        }
        if !self.entrypoint.is_empty() {
            config["Entrypoint"] = json!(self.entrypoint);
        }
        if !self.arguments.is_empty() {
            config["Cmd"] = json!(self.arguments);
        }
        if !self.labels.is_empty() {
            config["Labels"] = json!(self.labels);
        }
        json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": [self.layer.digest()] },
            "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "ironkeel" }],
        })
    }
}

/// Writes several images into one archive; layers they share are written once. Returns the digests of their manifests in
/// the same order.
pub(crate) fn write_archive(archive: &Path, images: &[Image]) -> Result<Vec<String>> {
    let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut layers: BTreeMap<String, &Layer> = BTreeMap::new();
    let mut index = Vec::new();
    let mut docker = Vec::new();
    let mut digests = Vec::new();
    for image in images {
        let config = serde_json::to_vec(&image.config())?;
        let config_digest = digest(&config);
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest,
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": image.layer.digest(),
                "size": image.layer.bytes().len(),
            }],
        }))?;
        let manifest_digest = digest(&manifest);
        for name in &image.names {
            index.push(json!({
                "mediaType": MANIFEST_TYPE,
                "digest": manifest_digest,
                "size": manifest.len(),
                "annotations": { CONTAINERD_NAME: name, OCI_NAME: tag_of(name) },
                "platform": { "architecture": architecture(), "os": "linux" },
            }));
        }
        docker.push(json!({
            "Config": blob_path(&config_digest),
            "RepoTags": image.names,
            "Layers": [blob_path(image.layer.digest())],
        }));
        layers.insert(image.layer.digest().to_owned(), &image.layer);
        blobs.insert(config_digest, config);
        blobs.insert(manifest_digest.clone(), manifest);
        digests.push(manifest_digest);
    }

    // A reader never sees half an archive: it appears under its name when it is whole.
    let unfinished = archive.with_extension("unfinished");
    let file =
        File::create(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(file));
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": index,
    });
    append(&mut tar, "index.json", &serde_json::to_vec(&index)?)?;
    append(&mut tar, "manifest.json", &serde_json::to_vec(&docker)?)?;
    for (digest, bytes) in &blobs {
        append(&mut tar, &blob_path(digest), bytes)?;
    }
    for (digest, layer) in &layers {
        append(&mut tar, &blob_path(digest), layer.bytes())?;
    }
    tar.into_inner()?.flush()?;
    fs::rename(&unfinished, archive).with_context(|| format!("rename to {}", archive.display()))?;
    Ok(digests)
}

/// The names in an archive and the digest of the manifest each stands for.
pub(crate) fn names_in(archive: &Path) -> Result<Vec<(String, String)>> {
    let file =
        File::open(archive).with_context(|| format!("open image archive {}", archive.display()))?;
    for entry in tar::Archive::new(file).entries()? {
        let mut entry =
            entry.with_context(|| format!("read image archive {}", archive.display()))?;
        if entry.path()?.as_ref() != Path::new("index.json") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        let index: Index = serde_json::from_str(&text)
            .with_context(|| format!("parse index.json of {}", archive.display()))?;
        let named = index.manifests.into_iter().filter_map(|mut one| {
            let name = one.annotations.remove(CONTAINERD_NAME)?;
            Some((name, one.digest))
        });
        return Ok(named.collect());
    }
    bail!(
        "{} holds no index.json: it is not an OCI archive",
        archive.display()
    )
}

#[derive(Serialize, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Serialize, Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = layer::header(tar::EntryType::Regular, 0o644, 0, 0);
    header.set_size(bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
        .with_context(|| format!("write {name}"))
}

/// The tag of a full reference: what follows the last colon, unless a slash follows that colon (a port).
fn tag_of(name: &str) -> Option<&str> {
    name.rsplit_once(':')
        .map(|(_, tag)| tag)
        .filter(|tag| !tag.contains('/'))
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// This machine's architecture as images spell it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
