use std::collections::BTreeMap;

use super::{Claim, Owner, claim};
use crate::fixture::{now, pod};
use crate::meta::OwnerReference;
use crate::selector::LabelSelector;
use crate::workload::{Deployment, ReplicaSet};

fn selector() -> LabelSelector {
    LabelSelector {
        match_labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ..LabelSelector::default()
    }
}

/// What the owner `web-uid`, itself `deleting` or not, does about a pod.
#[track_caller]
fn check(deleting: bool, text: &str, expected: Claim) {
    let selector = selector();
    let owner = Owner {
        uid: "web-uid",
        namespace: "default",
        deleting,
        selector: &selector,
    };
    assert_eq!(claim(&owner, &pod(text, "web-uid")), expected);
}

#[test]
fn a_living_owner_claims_pods() {
    check(false, "a Running", Claim::Keep);
    check(false, "a Running deleting", Claim::Keep);
    check(false, "a Running labels=app=web,track=canary", Claim::Keep);
    check(false, "a Running labels=app=db", Claim::Release);
    check(false, "a Running labels=", Claim::Release);
    check(false, "a Running labels=app=db deleting", Claim::Release);
    check(false, "a Running orphan", Claim::Adopt);
    check(false, "a Running orphan deleting", Claim::Ignore);
    check(false, "a Running orphan labels=app=db", Claim::Ignore);
    check(false, "a Running orphan ns=other", Claim::Ignore);
    check(false, "a Running foreign", Claim::Ignore);
    check(false, "a Running foreign labels=app=db", Claim::Ignore);
}

#[test]
fn a_deleted_owner_keeps_what_it_has_and_changes_nothing() {
    check(true, "a Running", Claim::Keep);
    check(true, "a Running labels=app=db", Claim::Ignore);
    check(true, "a Running orphan", Claim::Ignore);
    check(true, "a Running foreign", Claim::Ignore);
}

/// A ReplicaSet that is controlled by `controller`, as a Deployment sees it.
fn set(controller: Option<&str>, app: &str) -> ReplicaSet {
    let mut set = ReplicaSet::default();
    set.metadata.namespace = "default".to_owned();
    set.metadata.labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    set.metadata.owner_references = controller
        .map(|uid| OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            uid: uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        })
        .into_iter()
        .collect();
    set
}

#[test]
fn replica_sets_are_claimed_by_the_same_rules() {
    let mut deployment = Deployment::default();
    deployment.metadata.namespace = "default".to_owned();
    deployment.metadata.uid = "web-uid".to_owned();
    deployment.spec.selector = selector();
    let of = |deployment: &Deployment, set: &ReplicaSet| {
        claim(&Owner::of(deployment, &deployment.spec.selector), set)
    };
    let mut doomed = set(None, "web");
    doomed.metadata.deletion_timestamp = Some(now());
    assert_eq!(of(&deployment, &set(Some("web-uid"), "web")), Claim::Keep);
    assert_eq!(of(&deployment, &set(Some("web-uid"), "db")), Claim::Release);
    assert_eq!(of(&deployment, &set(Some("other"), "web")), Claim::Ignore);
    assert_eq!(of(&deployment, &set(None, "web")), Claim::Adopt);
    assert_eq!(of(&deployment, &set(None, "db")), Claim::Ignore);
    assert_eq!(of(&deployment, &doomed), Claim::Ignore);

    deployment.metadata.deletion_timestamp = Some(now());
    assert_eq!(of(&deployment, &set(Some("web-uid"), "web")), Claim::Keep);
    assert_eq!(of(&deployment, &set(Some("web-uid"), "db")), Claim::Ignore);
    assert_eq!(of(&deployment, &set(None, "web")), Claim::Ignore);
}

#[test]
fn an_owner_reference_without_the_controller_flag_leaves_an_orphan() {
    let mut deployment = Deployment::default();
    deployment.metadata.namespace = "default".to_owned();
    deployment.metadata.uid = "web-uid".to_owned();
    deployment.spec.selector = selector();
    let mut set = set(Some("someone"), "web");
    set.metadata.owner_references[0].controller = None;
    let owner = Owner::of(&deployment, &deployment.spec.selector);
    assert_eq!(claim(&owner, &set), Claim::Adopt);
}
