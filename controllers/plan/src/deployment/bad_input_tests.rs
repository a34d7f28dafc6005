//! Specs that cannot be acted on, and names that are taken.

use expect_test::expect;

use super::fixture::*;
use super::show::*;
use super::*;

#[test]
fn an_empty_selector() {
    check(
        "gen=3 selector= replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning SelectingAll: This deployment is selecting all pods. A non-empty selector is required.
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.selector is empty: must not select all pods"#]],
    );
}

#[test]
fn a_selector_that_does_not_match_the_template() {
    check(
        "gen=3 selector=app=db replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.selector is "app=db": must match the labels of spec.template
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.selector is "app=db": must match the labels of spec.template"#]],
    );
}

#[test]
fn no_surge_and_none_unavailable() {
    check(
        "gen=3 surge=0 unavailable=0 replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod"#]],
    );
}

#[test]
fn an_unknown_percentage() {
    check(
        "gen=3 surge=abc% replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate.maxSurge is "abc%": must be a number of pods or a percentage such as 25%, and not negative
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate.maxSurge is "abc%": must be a number of pods or a percentage such as 25%, and not negative"#]],
    );
}

#[test]
fn a_number_as_text() {
    check(
        "gen=3 unavailable=five replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate.maxUnavailable is "five": must be a number of pods or a percentage such as 25%, and not negative
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate.maxUnavailable is "five": must be a number of pods or a percentage such as 25%, and not negative"#]],
    );
}

#[test]
fn an_unknown_strategy() {
    check(
        "gen=3 type=BlueGreen replicas=3 | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.strategy.type is "BlueGreen": must be RollingUpdate or Recreate
            status observedGeneration=3
              Progressing False InvalidSpec: deployment "default/web": spec.strategy.type is "BlueGreen": must be RollingUpdate or Recreate"#]],
    );
}

#[test]
fn negative_replicas() {
    check(
        "gen=3 replicas=-1 | web-a A 5 rev=1",
        expect![[r#"
        event Warning InvalidSpec: deployment "default/web": spec.replicas is -1: must not be negative
        status observedGeneration=3
          Progressing False InvalidSpec: deployment "default/web": spec.replicas is -1: must not be negative"#]],
    );
}

#[test]
fn negative_seconds() {
    check(
        "gen=3 minReady=-1 | web-a A 5 rev=1",
        expect![[r#"
        event Warning InvalidSpec: deployment "default/web": spec.minReadySeconds is -1: must not be negative
        status observedGeneration=3
          Progressing False InvalidSpec: deployment "default/web": spec.minReadySeconds is -1: must not be negative"#]],
    );
}

#[test]
fn a_negative_deadline() {
    check(
        "gen=3 deadline=-5 | web-a A 5 rev=1",
        expect![[r#"
        event Warning InvalidSpec: deployment "default/web": spec.progressDeadlineSeconds is -5: must not be negative
        status observedGeneration=3
          Progressing False InvalidSpec: deployment "default/web": spec.progressDeadlineSeconds is -5: must not be negative"#]],
    );
}

#[test]
fn a_negative_history() {
    check(
        "gen=3 history=-1 | web-a A 5 rev=1",
        expect![[r#"
        event Warning InvalidSpec: deployment "default/web": spec.revisionHistoryLimit is -1: must not be negative
        status observedGeneration=3
          Progressing False InvalidSpec: deployment "default/web": spec.revisionHistoryLimit is -1: must not be negative"#]],
    );
}

#[test]
fn bad_input_in_our_own_kind() {
    check(
        "own gen=3 surge=0 unavailable=0 replicas=3 status=3/3/3/3/0 cond=Reconciling:True:LessUpdated cond=Ready:False:LessUpdated | web-a A 5 rev=1",
        expect![[r#"
            event Warning InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod
            status observedGeneration=3
              Ready False InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod
              Progressing False InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod
              Stalled True InvalidSpec: deployment "default/web": spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod"#]],
    );
}

#[test]
fn bad_input_of_a_deleting_deployment() {
    check(
        "deleting gen=3 surge=abc% replicas=3 | web-a A 5 rev=1",
        expect!["status unchanged"],
    );
}

#[test]
fn mended_input_starts_the_clock() {
    check(
        "gen=3 replicas=3 rev=1 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:InvalidSpec@9000s | web-b B 3/2 rev=1",
        expect![[r#"
            status available=2 observedGeneration=3 ready=2 unavailable=1
              Progressing True FoundNewReplicaSet: Found new replica set "web-b"
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn a_defect_is_told_once() {
    let mut scene = scene("gen=3 surge=abc% replicas=3 | web-a A 5 rev=1");
    let write = status(&scene.observed(), &Outcome::default()).unwrap();
    assert_eq!(plan(&scene.observed()).events.len(), 1);
    scene.deployment.status = write.status;
    assert_eq!(plan(&scene.observed()), Plan::default());
    assert_eq!(status(&scene.observed(), &Outcome::default()), None);
    scene.deployment.spec.strategy.kind = Some("BlueGreen".to_owned());
    assert_eq!(plan(&scene.observed()).events.len(), 1);
    assert!(status(&scene.observed(), &Outcome::default()).is_some());
}

#[test]
fn a_selector_with_an_impossible_requirement() {
    use crate::selector::{Operator, Requirement};
    let mut scene = scene("gen=3 replicas=3 | web-a A 5 rev=1");
    scene.deployment.spec.selector.match_expressions = vec![Requirement {
        key: "app".to_owned(),
        operator: Operator::In,
        values: Vec::new(),
    }];
    expect![[r#"event Warning InvalidSpec: deployment "default/web": spec.selector is matchExpressions: app: operator In needs at least one value: must be a label selector"#]].assert_eq(&show_plan(&plan(&scene.observed())));
}

#[test]
fn overlapping_selectors_stop_adoption_and_are_told_once() {
    let mut scene = scene("own replicas=3 rev=1 | old B 3 orphan; web-b B 3 rev=1");
    scene.overlapping = vec![Key::new("default", "twin"), Key::new("default", "other")];
    let observed = scene.observed();
    let plan_before = plan(&observed);
    let write = status(&observed, &Outcome::default()).unwrap();
    let shown = format!("{}\n{}", show_plan(&plan_before), show_status(Some(&write)));
    expect![[r#"
        event Warning SelectorOverlap: deployment "default/web": spec.selector is "app=web": the same pods are selected by deployment "other" and 1 more; not adopted for that reason: 1
        status available=3 ready=3 replicas=3 selector="app=web" terminating=0 updated=3
          Available True MinimumReplicasAvailable: Deployment has minimum availability.
          Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
          SelectorOverlap True SelectorOverlap: deployment "default/web": spec.selector is "app=web": the same pods are selected by deployment "other" and 1 more; not adopted for that reason: 1
          Ready True AllReplicasAvailable: 3 of 3 pods are updated and available"#]].assert_eq(&shown);
    scene.deployment.status = write.status;
    assert_eq!(plan(&scene.observed()), Plan::default());
    assert_eq!(status(&scene.observed(), &Outcome::default()), None);
    scene.overlapping.clear();
    assert_eq!(show_plan(&plan(&scene.observed())), "adopt old");
}

#[test]
fn a_long_name_is_cut_and_keeps_its_hash() {
    for (length, ends_with_dot) in [(242, false), (243, false), (253, false), (253, true)] {
        let mut scene = scene("replicas=1 | ");
        let mut name = "x".repeat(length);
        if ends_with_dot {
            name.replace_range(241..242, ".");
        }
        scene.deployment.metadata.name = name;
        let plan = plan(&scene.observed());
        let Action::CreateSet { set, .. } = &plan.actions[0] else {
            panic!("{plan:?}");
        };
        let hash = &set.labels["pod-template-hash"];
        assert!(set.name.len() <= 253, "{}", set.name.len());
        assert!(set.name.ends_with(&format!("-{hash}")), "{}", set.name);
        assert!(!set.name.contains(".-"), "{}", set.name);
        assert!(set.labels.values().all(|value| value.len() <= 63));
    }
}

#[test]
fn a_new_set_carries_the_hash_in_labels_selector_and_template() {
    let scene = scene("replicas=1 ann=team=blue | ");
    let plan = plan(&scene.observed());
    let Action::CreateSet { set, .. } = &plan.actions[0] else {
        panic!("{plan:?}");
    };
    let hash = set.name.strip_prefix("web-").unwrap();
    assert_eq!(set.labels["pod-template-hash"], hash);
    assert_eq!(set.labels["app"], "web");
    assert_eq!(set.selector.match_labels["pod-template-hash"], hash);
    assert_eq!(set.selector.match_labels["app"], "web");
    assert_eq!(set.template.label("pod-template-hash"), Some(hash));
    assert_eq!(set.annotations["team"], "blue");
    assert!(set.template.same_pods(&scene.deployment.spec.template));
}

#[test]
fn a_name_that_an_own_set_has_is_not_tried() {
    let mut scene = scene("replicas=1 rev=1 | web-a A 1 rev=1");
    let first = plan(&scene.observed());
    let Action::CreateSet { set, .. } = &first.actions[0] else {
        panic!("{first:?}");
    };
    let taken = set.name.clone();
    let known = Arc::make_mut(&mut scene.sets[0]);
    known.metadata.name.clone_from(&taken);
    assert_eq!(plan(&scene.observed()).actions, Vec::new());
    let write = status(&scene.observed(), &Outcome::default()).unwrap();
    assert_eq!(write.status.collision_count, Some(1));
    scene.deployment.status = write.status;
    let second = plan(&scene.observed());
    let Action::CreateSet { set, .. } = &second.actions[0] else {
        panic!("{second:?}");
    };
    assert_ne!(set.name, taken);
}

#[test]
fn a_set_of_the_same_name_collides_unless_it_is_ours_and_equal() {
    let scene = scene("replicas=1 | web-a A 1; web-b B 1; web-c B 1 foreign; web-d B 1 orphan");
    let collides: Vec<bool> = scene
        .sets
        .iter()
        .map(|set| is_collision(&scene.deployment, set, Some(set)))
        .collect();
    assert_eq!(collides, [true, false, true, true]);
}

#[test]
fn an_orphan_that_is_not_observed_as_it_is_does_not_collide_yet() {
    let scene = scene("replicas=1 | web-c B 1 foreign; web-d B 1 orphan");
    let [foreign, orphan] = &scene.sets[..] else {
        panic!("{:?}", scene.sets);
    };
    let mut before = ReplicaSet::clone(orphan);
    before.metadata.resource_version -= 1;
    let collides = |set: &ReplicaSet, known| is_collision(&scene.deployment, set, known);
    assert!(!collides(orphan, None));
    assert!(!collides(orphan, Some(&before)));
    assert!(collides(orphan, Some(orphan)));
    assert!(collides(foreign, None), "somebody else's stays theirs");
}
