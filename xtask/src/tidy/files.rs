//! Rules about the text of single files.

use std::path::Path;

use super::SourceFile;

/// Lines a planner or a file of tests may have.
const LONG: usize = 900;
/// Lines any other Rust file may have.
const SHORT: usize = 500;

/// Words that mark unfinished work, in pieces so that this file does not hold them.
const MARKS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Calls and phrases that mark unfinished work.
const PHRASES: [&str; 6] = [
    concat!("#[", "ignore"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("for ", "now"),
    concat!("place", "holder"),
    concat!("simplified ", "version"),
];

/// Settings that would bind the repository to one machine's registry or proxy.
const SETTINGS: [&str; 6] = [
    concat!("GO", "PROXY=http"),
    concat!("replace-", "with ="),
    concat!("index-", "url"),
    concat!("registry ", "= \"http"),
    concat!("GO", "NOSUMDB="),
    concat!("npm_config_", "registry"),
];

/// The one source that a locked crate may come from.
const CRATES: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether rules look into the file: sources, configuration and prose, not archives or pictures.
pub(super) fn is_text(path: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "rs", "toml", "lock", "yaml", "yml", "md", "sh", "json", "go", "mod", "tpl", "txt",
    ];
    path.starts_with(".ci/")
        || Path::new(path)
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| ENDINGS.contains(&ending))
}

pub(super) fn too_long(sources: &[SourceFile]) -> Vec<String> {
    rust(sources)
        .filter_map(|file| {
            let lines = file.text.lines().count();
            let most = if file.path.starts_with("controllers/plan/") || holds_tests(&file.path) {
                LONG
            } else {
                SHORT
            };
            (lines > most).then(|| format!("{}: {lines} lines, at most {most}", file.path))
        })
        .collect()
}

pub(super) fn undocumented(sources: &[SourceFile]) -> Vec<String> {
    rust(sources)
        .filter(|file| !holds_tests(&file.path))
        .filter(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            first
                .strip_prefix("//! ")
                .is_none_or(|line| line.trim().is_empty())
        })
        .map(|file| format!("{}: its first line is no `//!` comment", file.path))
        .collect()
}

pub(super) fn unfinished(sources: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in sources.iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in numbered(&file.text) {
            let mark = words(line)
                .find(|word| MARKS.contains(word))
                .or_else(|| PHRASES.into_iter().find(|phrase| line.contains(phrase)));
            if let Some(mark) = mark {
                breaches.push(format!("{}:{number}: `{mark}`", file.path));
            }
        }
    }
    breaches
}

pub(super) fn registry_settings(sources: &[SourceFile]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in sources {
        for (number, line) in numbered(&file.text) {
            if let Some(setting) = SETTINGS.into_iter().find(|setting| line.contains(setting)) {
                breaches.push(format!("{}:{number}: `{setting}`", file.path));
            }
            let source = line
                .strip_prefix("source = \"")
                .and_then(|rest| rest.strip_suffix('"'));
            if let Some(source) = source
                && file.path == "Cargo.lock"
                && source != CRATES
            {
                breaches.push(format!(
                    "{}:{number}: a crate from {source} instead of crates.io",
                    file.path
                ));
            }
        }
    }
    breaches
}

fn rust(sources: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    sources.iter().filter(|file| {
        Path::new(&file.path)
            .extension()
            .is_some_and(|ending| ending == "rs")
    })
}

/// Whether the file is a sibling that holds a module's tests.
fn holds_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn length_depends_on_the_place() {
        let text = "//! x\n".repeat(501);
        let sources = [
            file("controllers/plan/src/deployment/mod.rs", &text),
            file("controllers/runtime/src/store/tests.rs", &text),
            file("controllers/runtime/src/store.rs", &text),
            file("README.md", &text),
        ];
        assert_eq!(
            too_long(&sources),
            ["controllers/runtime/src/store.rs: 501 lines, at most 500"]
        );
    }

    #[test]
    fn a_module_without_a_first_line_is_found() {
        let sources = [
            file("a/src/good.rs", "//! What it is.\nfn main() {}\n"),
            file("a/src/empty.rs", "//! \nfn main() {}\n"),
            file("a/src/bare.rs", "use std::fs;\n"),
            file("a/src/bare/tests.rs", "use super::*;\n"),
        ];
        assert_eq!(undocumented(&sources).len(), 2);
    }

    #[test]
    fn marks_are_words_not_syllables() {
        let mark = MARKS[0];
        let sources = [
            file("a.rs", &format!("fine\n// {mark}: later\n")),
            file("b.rs", &format!("let mas{mark}n = 1; // {mark}_LIST\n")),
            file("c.md", &format!("This does {} what it says.\n", PHRASES[3])),
        ];
        assert_eq!(
            unfinished(&sources),
            [
                format!("a.rs:2: `{mark}`"),
                format!("c.md:1: `{}`", PHRASES[3])
            ]
        );
    }

    #[test]
    fn a_crate_from_elsewhere_is_found() {
        let lock =
            format!("[[package]]\nsource = \"{CRATES}\"\nsource = \"git+https://example.org/x\"\n");
        let breaches = registry_settings(&[file("Cargo.lock", &lock)]);
        assert_eq!(
            breaches,
            ["Cargo.lock:3: a crate from git+https://example.org/x instead of crates.io"]
        );
    }

    #[test]
    fn a_proxy_setting_is_found() {
        let line = format!("export {}s://proxy.example.org", SETTINGS[0]);
        assert_eq!(registry_settings(&[file("x.sh", &line)]).len(), 1);
    }
}
