use std::collections::BTreeSet;

use super::*;

#[test]
fn names_differ_and_are_found() {
    let names: BTreeSet<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), ALL.len());
    assert!(find("rolling-update").is_some());
    assert!(find("rolling").is_none());
}

#[test]
fn a_seed_tells_the_same_story_and_another_seed_another() {
    for scenario in ALL {
        let text = |seed| format!("{:?}", scenario.story(seed));
        assert_eq!(text(1), text(1), "{}", scenario.name);
        let stories: BTreeSet<String> = (0..20).map(text).collect();
        assert!(stories.len() > 15, "{}: {}", scenario.name, stories.len());
    }
}

#[test]
fn both_kinds_have_every_scenario_that_is_not_for_one_alone() {
    for scenario in ALL {
        let kinds: BTreeSet<&str> = (0..30)
            .map(|seed| match scenario.story(seed).kinds {
                Kinds::Native => "native",
                Kinds::Own => "own",
            })
            .collect();
        let one = matches!(scenario.name, "auto-rollback" | "replication-controller");
        assert_eq!(kinds.len(), if one { 1 } else { 2 }, "{}", scenario.name);
    }
}
