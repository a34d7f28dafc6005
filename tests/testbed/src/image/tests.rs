use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::Value;

use super::{Image, Layer, digest, names_in, write_archive};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ironkeel-image-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        all.insert(path, bytes);
    }
    all
}

fn blob<'a>(entries: &'a BTreeMap<String, Vec<u8>>, digest: &Value) -> &'a [u8] {
    &entries[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))]
}

fn program_image(folder: &Folder) -> Image {
    let program = folder.0.join("program");
    fs::write(&program, b"\x7fELF and so on").unwrap();
    Image::of_binary(&program, "/usr/bin/program", "example.org/a/program:v1")
        .unwrap()
        .label("org.opencontainers.image.title", "program")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = Folder::new("bytes");
    let image = program_image(&folder);
    let (one, two) = (folder.0.join("1.tar"), folder.0.join("2.tar"));
    let first = image.write(&one).unwrap();
    fs::set_permissions(folder.0.join("program"), fs::Permissions::from_mode(0o700)).unwrap();
    let second = program_image(&folder).write(&two).unwrap();
    assert_eq!(first, second);
    assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
}

#[test]
fn every_digest_and_size_in_the_layout_is_right() {
    let folder = Folder::new("digests");
    let archive = folder.0.join("image.tar");
    let manifest_digest = program_image(&folder).write(&archive).unwrap();
    let entries = entries(&fs::read(&archive).unwrap());
    for (path, bytes) in &entries {
        if let Some(hash) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(digest(bytes), format!("sha256:{hash}"));
        }
    }
    let index: Value = serde_json::from_slice(&entries["index.json"]).unwrap();
    let described = &index["manifests"][0];
    assert_eq!(described["digest"], manifest_digest);
    assert_eq!(
        described["annotations"]["io.containerd.image.name"],
        "example.org/a/program:v1"
    );
    let manifest_bytes = blob(&entries, &described["digest"]);
    assert_eq!(described["size"], manifest_bytes.len());
    let manifest: Value = serde_json::from_slice(manifest_bytes).unwrap();
    let config_bytes = blob(&entries, &manifest["config"]["digest"]);
    assert_eq!(manifest["config"]["size"], config_bytes.len());
    let config: Value = serde_json::from_slice(config_bytes).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/program");
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.title"],
        "program"
    );
    let layer = &manifest["layers"][0];
    assert_eq!(layer["size"], blob(&entries, &layer["digest"]).len());
    assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);

    let docker: Value = serde_json::from_slice(&entries["manifest.json"]).unwrap();
    assert_eq!(docker[0]["RepoTags"][0], "example.org/a/program:v1");
    assert!(entries.contains_key(docker[0]["Config"].as_str().unwrap()));
    assert!(entries.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
}

#[test]
fn a_program_lies_in_its_folders_owned_by_root() {
    let layer = Layer::of_program("/usr/bin/program", b"code").unwrap();
    let mut archive = tar::Archive::new(layer.bytes());
    let seen: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            (
                path,
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("usr", 0o755),
        ("usr/bin", 0o755),
        ("usr/bin/program", 0o755),
    ];
    assert_eq!(
        seen,
        expected.map(|(path, mode)| (path.to_owned(), mode, 0, 0))
    );
}

#[test]
fn a_folder_keeps_links_modes_and_order() {
    let folder = Folder::new("folder");
    let root = folder.0.join("root");
    fs::create_dir_all(root.join("b")).unwrap();
    fs::write(root.join("b/file"), b"x").unwrap();
    fs::set_permissions(root.join("b/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("b/file"), root.join("c")).unwrap();
    symlink("b/file", root.join("a")).unwrap();
    let layer = Layer::of_folder(&root).unwrap();
    let seen: Vec<_> = tar::Archive::new(layer.bytes())
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let target = entry
                .link_name()
                .unwrap()
                .map(|target| target.display().to_string());
            let mode = entry.header().mode().unwrap();
            (
                entry.path().unwrap().display().to_string(),
                entry.header().entry_type(),
                mode & 0o7000,
                target,
            )
        })
        .collect();
    let link = Some("b/file".to_owned());
    assert_eq!(
        seen,
        [
            ("a".to_owned(), tar::EntryType::Symlink, 0, link.clone()),
            ("b".to_owned(), tar::EntryType::Directory, 0, None),
            ("b/file".to_owned(), tar::EntryType::Regular, 0o4000, None),
            ("c".to_owned(), tar::EntryType::Link, 0o4000, link),
        ]
    );
}

#[test]
fn two_images_share_a_layer_and_every_name_is_found_again() {
    let folder = Folder::new("share");
    let layer = Layer::of_program("/x", b"code").unwrap();
    let one = Image::of_layer(layer.clone(), "example.org/one:1")
        .unwrap()
        .name("example.org/one:2")
        .unwrap();
    let two = Image::of_layer(layer, "example.org:5000/two:1")
        .unwrap()
        .entrypoint(&["/x"]);
    let archive = folder.0.join("both.tar");
    let digests = write_archive(&archive, &[one, two]).unwrap();
    let named = names_in(&archive).unwrap();
    let expected = [("one:1", 0), ("one:2", 0), (":5000/two:1", 1)].map(|(name, image)| {
        let join = if name.starts_with(':') { "" } else { "/" };
        (format!("example.org{join}{name}"), digests[image].clone())
    });
    assert_eq!(named, expected);
    let blobs = entries(&fs::read(&archive).unwrap())
        .into_keys()
        .filter(|path| path.starts_with("blobs/"))
        .count();
    assert_eq!(blobs, 5, "one layer, two configurations, two manifests");
}

#[test]
fn names_without_a_tag_are_refused() {
    let layer = Layer::of_program("/x", b"code").unwrap();
    for name in [
        "program",
        "program:1",
        "example.org:5000/program",
        "example.org/program:",
    ] {
        let error = Image::of_layer(layer.clone(), name)
            .unwrap_err()
            .to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(Layer::of_program("relative", b"code").is_err());
}

#[test]
fn something_else_than_an_archive_is_named() {
    let folder = Folder::new("else");
    let file = folder.0.join("else.tar");
    fs::write(&file, [0; 1024]).unwrap();
    let error = names_in(&file).unwrap_err().to_string();
    assert!(error.contains("holds no index.json"), "{error}");
}
