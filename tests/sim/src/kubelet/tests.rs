//! What becomes of pods, without a server.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::course::{Course, Deed, Next, Pod, Stage, next};
use super::{Mishap, Settings, Trouble, status};
use crate::dice::Dice;

const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn settings(mishaps: Vec<Mishap>) -> Settings {
    Settings {
        bind: 10..=10,
        start: 20..=20,
        ready: 30..=30,
        stop: 40..=40,
        mishaps,
        ..Settings::default()
    }
}

fn pod(image: &str) -> Value {
    json!({
        "metadata": {"uid": "u", "name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "main", "image": image}]},
        "status": {"phase": "Pending"},
    })
}

/// Lives through a pod's whole life; the deeds with the milliseconds at which they were done.
fn live(mut object: Value, settings: &Settings, delete_at: Option<u64>) -> Vec<(u64, Deed)> {
    let mut course = Course::draw(settings, &mut Dice::new(1, "pod 0"), 0);
    let mut deeds = Vec::new();
    let (mut since, mut stage) = (START, Stage::Unbound);
    for millis in 0..3_000 {
        let now = START + Duration::from_millis(millis);
        if delete_at == Some(millis) {
            object["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
            object["metadata"]["deletionGracePeriodSeconds"] = json!(30);
        }
        let current = Pod::of(&object).stage();
        if current != stage {
            (stage, since) = (current, now);
        }
        let Next::Do(deed) = next(&Pod::of(&object), &course, since, now) else {
            continue;
        };
        deeds.push((millis, deed.clone()));
        course.performed(&deed);
        match &deed {
            Deed::Bind(node) => object["spec"]["nodeName"] = json!(node),
            Deed::Remove => break,
            Deed::Drain => {
                object["metadata"]["deletionTimestamp"] = json!("2027-01-15T08:00:00Z");
            }
            _ => {
                let patch = status::patch(&Pod::of(&object), &deed, now);
                for (field, value) in patch["status"].as_object().unwrap() {
                    object["status"][field] = value.clone();
                }
            }
        }
    }
    deeds
}

fn times(deeds: &[(u64, Deed)]) -> Vec<u64> {
    deeds.iter().map(|(at, _)| *at).collect()
}

#[test]
fn a_pod_is_bound_started_ready_and_ends_after_its_deletion() {
    let deeds = live(pod("web:1"), &settings(Vec::new()), Some(500));
    assert_eq!(times(&deeds)[..3], [10, 31, 62]);
    assert!(matches!(deeds[0].1, Deed::Bind(_)));
    assert_eq!(deeds[1].1, Deed::Start);
    assert_eq!(deeds[2].1, Deed::Ready);
    assert_eq!(deeds.last().unwrap().1, Deed::Remove);
    assert!(deeds.last().unwrap().0 >= 540);
}

#[test]
fn a_broken_image_never_runs() {
    let deeds = live(pod("broken:1"), &settings(Vec::new()), None);
    assert_eq!(deeds.len(), 2);
    assert_eq!(deeds[1].1, Deed::Wait);
}

#[test]
fn a_pod_that_fails_a_probe_is_ready_again_and_one_that_failed_is_not() {
    let trouble = |trouble| {
        vec![Mishap {
            pod: 0,
            after: Duration::from_millis(100),
            trouble,
        }]
    };
    let unready = Trouble::Unready(Duration::from_millis(200));
    let deeds = live(pod("web:1"), &settings(trouble(unready)), None);
    let last: Vec<_> = deeds.iter().skip(3).cloned().collect();
    assert_eq!(last, [(163, Deed::Go(unready)), (364, Deed::Ready)]);

    let deeds = live(pod("web:1"), &settings(trouble(Trouble::Fail)), None);
    assert_eq!(deeds.last().unwrap().1, Deed::Go(Trouble::Fail));

    let deeds = live(pod("web:1"), &settings(trouble(Trouble::Drain)), None);
    assert_eq!(deeds[3].1, Deed::Drain);
    assert_eq!(deeds.last().unwrap().1, Deed::Remove);
}

#[test]
fn a_condition_that_stays_keeps_its_time() {
    let mut object = pod("web:1");
    object["status"]["conditions"] = json!([{"type": "Initialized", "status": "True", "lastTransitionTime": "2001-01-01T00:00:00Z"}]);
    let patch = status::patch(&Pod::of(&object), &Deed::Ready, START);
    assert_eq!(
        patch["status"]["conditions"][1]["lastTransitionTime"],
        "2001-01-01T00:00:00Z"
    );
    assert_eq!(
        patch["status"]["conditions"][3],
        json!({"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T08:00:00Z"})
    );
}
