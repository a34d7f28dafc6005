use super::*;

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("ironkeel-generate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_written_tree_is_current_and_writing_again_changes_nothing() {
    let root = Scratch::new("current");
    let files = generated().unwrap();
    assert!(files.len() > 9, "only {} files", files.len());
    write(&root.0, &files).unwrap();
    assert_eq!(stale(&root.0, &files).unwrap(), Vec::<String>::new());
    let written = fs::metadata(root.0.join(&files[0].0))
        .unwrap()
        .modified()
        .unwrap();
    write(&root.0, &files).unwrap();
    assert_eq!(
        fs::metadata(root.0.join(&files[0].0))
            .unwrap()
            .modified()
            .unwrap(),
        written
    );
}

#[test]
fn a_stale_file_is_named_with_the_line_that_differs() {
    let root = Scratch::new("stale");
    let files = generated().unwrap();
    write(&root.0, &files).unwrap();
    let path = format!("{}/aggregate-view.yaml", FOLDERS[0]);
    let text = fs::read_to_string(root.0.join(&path)).unwrap();
    fs::write(root.0.join(&path), text.replace("watch", "create")).unwrap();
    fs::remove_file(root.0.join(&files[1].0)).unwrap();
    fs::write(root.0.join(FOLDERS[0]).join("left-over.yaml"), "[]\n").unwrap();
    let found = stale(&root.0, &files).unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found.contains(&format!("{}: is missing", files[1].0)),
        "{found:?}"
    );
    assert!(
        found.contains(&format!(
            "{}/left-over.yaml: is made by nothing",
            FOLDERS[0]
        )),
        "{found:?}"
    );
    let differs = found.iter().find(|line| line.starts_with(&path)).unwrap();
    assert!(
        differs.ends_with("has \"- create\", should have \"- watch\""),
        "{differs}"
    );
    write(&root.0, &files).unwrap();
    assert_eq!(stale(&root.0, &files).unwrap(), Vec::<String>::new());
}

#[test]
fn paths_are_sorted_and_none_comes_twice() {
    let files = generated().unwrap();
    assert!(files.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(files.iter().all(|(_, text)| text.starts_with(HEADER)));
}

#[test]
fn every_file_is_below_what_kubernetes_takes() {
    for (path, text) in generated().unwrap() {
        assert!(text.len() < 262_144, "{path} has {} bytes", text.len());
    }
}
