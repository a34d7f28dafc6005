//! For each rule a history that keeps it and one that breaks it.

mod deployment;
mod general;
mod history;
mod replicaset;

use crate::catalogue;

#[test]
fn every_rule_has_words_and_a_name_of_its_own() {
    let mut ids: Vec<&str> = catalogue().iter().map(|rule| rule.id).collect();
    assert!(
        catalogue()
            .iter()
            .all(|rule| !rule.statement.is_empty() && !rule.source.is_empty())
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), catalogue().len());
}

/// A finding whose rule is not in the catalogue could not be looked up.
#[test]
fn every_rule_in_the_code_is_in_the_catalogue() {
    let sources = [
        include_str!("../general.rs"),
        include_str!("../general/fields.rs"),
        include_str!("../general/ownership.rs"),
        include_str!("../lease.rs"),
        include_str!("../replicaset.rs"),
        include_str!("../deployment.rs"),
        include_str!("../deployment/sizes.rs"),
        include_str!("../deployment/end.rs"),
    ];
    let mut used: Vec<&str> = sources
        .iter()
        .flat_map(|source| source.split('"').skip(1).step_by(2))
        .filter(|text| {
            let (chapter, _) = text.split_once('-').unwrap_or_default();
            matches!(
                chapter,
                "RS" | "D" | "G1" | "G2" | "G3" | "G4" | "G5" | "G7"
            ) || matches!(chapter, "G8" | "G9")
        })
        .collect();
    used.sort_unstable();
    used.dedup();
    let mut known: Vec<&str> = catalogue().iter().map(|rule| rule.id).collect();
    known.sort_unstable();
    assert_eq!(used, known);
}
