//! Which of upstream's specs are run.

use clap::ValueEnum;

/// Specs of the kinds that native mode drives, all that need no cloud.
const OURS: &str = include_str!("../../conformance/ours.txt");
/// Every `[sig-apps]` conformance spec.
const APPS: &str = include_str!("../../conformance/apps.txt");

/// A named set of specs of upstream's 1.37.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// Deployment (11), ReplicaSet (7) and ReplicationController (6): all that need no cloud.
    Ours,
    /// Every [sig-apps] conformance spec (60).
    Apps,
    /// Both, each spec once (64).
    All,
}

impl Set {
    /// The name used in file names and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Apps => "apps",
            Self::All => "all",
        }
    }

    /// The sets with a file of their own that this one consists of.
    pub(crate) const fn parts(self) -> &'static [Self] {
        match self {
            Self::Ours => &[Self::Ours],
            Self::Apps => &[Self::Apps],
            Self::All => &[Self::Ours, Self::Apps],
        }
    }

    /// The full names of its specs, sorted, each once.
    pub(crate) fn specs(self) -> Vec<&'static str> {
        let mut specs: Vec<&str> = self
            .parts()
            .iter()
            .flat_map(|part| match part {
                Self::Ours => OURS.lines(),
                Self::Apps | Self::All => APPS.lines(),
            })
            .collect();
        specs.sort_unstable();
        specs.dedup();
        specs
    }
}

/// A regular expression for ginkgo's `--focus` that matches exactly these specs.
///
/// Ginkgo puts the name of the suite before the name of a spec, so only the end can be anchored.
pub(super) fn focus(specs: &[&str]) -> String {
    let names: Vec<String> = specs.iter().map(|spec| escape(spec)).collect();
    format!("(?:{})$", names.join("|"))
}

/// The text as an expression that matches it literally.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_have_the_sizes_they_promise() {
        assert_eq!(Set::Ours.specs().len(), 24);
        assert_eq!(Set::Apps.specs().len(), 60);
        assert_eq!(Set::All.specs().len(), 64);
        let kinds = |kind: &str| {
            let start = format!("[sig-apps] {kind} ");
            Set::Ours
                .specs()
                .iter()
                .filter(|spec| spec.starts_with(&start))
                .count()
        };
        assert_eq!(
            (
                kinds("Deployment"),
                kinds("ReplicaSet"),
                kinds("ReplicationController")
            ),
            (11, 7, 6)
        );
    }

    #[test]
    fn a_focus_takes_names_literally() {
        assert_eq!(
            focus(&["[sig-apps] Job should (maybe)", "b"]),
            r"(?:\[sig\-apps\] Job should \(maybe\)|b)$"
        );
    }
}
