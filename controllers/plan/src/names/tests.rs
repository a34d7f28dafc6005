use super::{ALPHABET, NameSource, SplitMix64, generated, prefix};

#[test]
fn a_name_is_the_set_and_five_characters() {
    assert_eq!(generated(&prefix("web"), "x2k9z"), "web-x2k9z");
}

#[test]
fn a_long_base_gives_way_to_the_suffix() {
    let name = generated(&prefix(&"a".repeat(70)), "x2k9z");
    assert_eq!(name, format!("{}x2k9z", "a".repeat(58)));
    assert_eq!(name.len(), 63);
}

#[test]
fn a_base_of_58_characters_is_kept_whole() {
    let set = "b".repeat(57);
    assert_eq!(generated(&prefix(&set), "x2k9z"), format!("{set}-x2k9z"));
    // One more, and the dash is what goes; upstream's generator cuts the same way.
    let set = "b".repeat(58);
    assert_eq!(generated(&prefix(&set), "x2k9z"), format!("{set}x2k9z"));
}

#[test]
fn a_base_that_is_not_ascii_is_cut_between_characters() {
    let name = generated(&"é".repeat(40), "x2k9z");
    assert_eq!(name, format!("{}x2k9z", "é".repeat(29)));
    let name = generated(&format!("a{}", "é".repeat(40)), "x2k9z");
    assert_eq!(name, format!("a{}x2k9z", "é".repeat(28)));
}

#[test]
fn suffixes_have_five_characters_of_the_safe_alphabet() {
    let mut source = SplitMix64::new(7);
    for _ in 0..1000 {
        let suffix = source.suffix();
        assert_eq!(suffix.len(), 5);
        assert!(
            suffix.bytes().all(|byte| ALPHABET.contains(&byte)),
            "{suffix}"
        );
    }
}

#[test]
fn equal_seeds_give_equal_suffixes_and_others_do_not() {
    let draw = |seed| {
        let mut source = SplitMix64::new(seed);
        (0..10).map(|_| source.suffix()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn suffixes_use_the_whole_alphabet_and_rarely_repeat() {
    let mut source = SplitMix64::new(0);
    let drawn: Vec<String> = (0..10_000).map(|_| source.suffix()).collect();
    for letter in ALPHABET {
        assert!(
            drawn
                .iter()
                .any(|suffix| suffix.as_bytes().contains(letter))
        );
    }
    let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
    // 10 000 draws out of 27^5 collide 3.5 times on average.
    assert!(distinct.len() > 9_980, "{}", distinct.len());
}
