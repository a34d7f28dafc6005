use std::collections::BTreeSet;

use super::*;

fn all_rules() -> impl Iterator<Item = (&'static str, Rule)> {
    let grants = GRANTS
        .iter()
        .flat_map(|grant| grant.rules.iter().map(|rule| (grant.identity, *rule)));
    let roles = AGGREGATES
        .iter()
        .flat_map(|role| role.rules.iter().map(|rule| (role.role, *rule)));
    grants.chain(roles)
}

/// Whether `identity` may do `verb` on `resource` of `group` in `mode`.
fn may(identity: &str, mode: Mode, group: &str, resource: &str, verb: &str) -> bool {
    GRANTS
        .iter()
        .filter(|grant| grant.identity == identity && grant.mode == mode)
        .any(|grant| {
            grant.rules.iter().any(|rule| {
                rule.api_groups.contains(&group)
                    && rule.resources.contains(&resource)
                    && rule.verbs.contains(&verb)
            })
        })
}

#[test]
fn every_identity_has_one_grant_for_each_of_its_modes() {
    let keys: BTreeSet<_> = GRANTS
        .iter()
        .map(|grant| (grant.identity, grant.mode))
        .collect();
    assert_eq!(
        keys.len(),
        GRANTS.len(),
        "an identity appears twice in one mode"
    );
    for identity in [
        "controller-manager",
        "deployment-controller",
        "replicaset-controller",
    ] {
        assert!(
            keys.contains(&(identity, Mode::Crd)) && keys.contains(&(identity, Mode::Native)),
            "{identity}"
        );
    }
    assert!(
        !keys.contains(&("replicationcontroller-controller", Mode::Crd)),
        "it has no kind of ours"
    );
}

#[test]
fn nothing_is_granted_by_wildcard_nor_any_right_that_gives_more_rights() {
    let never = ["*", "escalate", "bind", "impersonate"];
    for (whose, rule) in all_rules() {
        for part in rule
            .api_groups
            .iter()
            .chain(rule.resources)
            .chain(rule.verbs)
        {
            assert!(!never.contains(part), "{whose} has {part}");
        }
        assert!(
            !rule
                .resources
                .iter()
                .any(|resource| resource.contains("secrets")),
            "{whose} reads secrets"
        );
        assert!(
            !rule.resources.contains(&"pods/exec"),
            "{whose} runs commands in pods"
        );
    }
}

#[test]
fn only_the_set_controllers_make_pods_and_only_the_manager_watches() {
    for grant in GRANTS {
        let makes_pods = may(grant.identity, grant.mode, "", "pods", "create");
        let keeps_sets = matches!(
            grant.identity,
            "replicaset-controller" | "replicationcontroller-controller"
        );
        assert_eq!(
            makes_pods, keeps_sets,
            "{} in {:?}",
            grant.identity, grant.mode
        );
        let watches = grant
            .rules
            .iter()
            .any(|rule| rule.verbs.contains(&"watch") || rule.verbs.contains(&"list"));
        assert_eq!(
            watches,
            grant.identity == "controller-manager",
            "{} in {:?}",
            grant.identity,
            grant.mode
        );
        let writes = grant.rules.iter().any(|rule| {
            rule.verbs
                .iter()
                .any(|verb| ["create", "patch", "update", "delete"].contains(verb))
        });
        assert_eq!(
            writes,
            grant.identity != "controller-manager",
            "{} in {:?}",
            grant.identity,
            grant.mode
        );
    }
}

#[test]
fn a_mode_gives_nothing_on_the_kinds_of_the_other() {
    for grant in GRANTS {
        let foreign = match grant.mode {
            Mode::Crd => "apps",
            Mode::Native => GROUP,
        };
        assert!(
            grant
                .rules
                .iter()
                .all(|rule| !rule.api_groups.contains(&foreign)),
            "{} in {:?} reaches {foreign}",
            grant.identity,
            grant.mode
        );
    }
}

#[test]
fn each_controller_may_do_what_its_executor_does() {
    for (mode, group) in [(Mode::Crd, GROUP), (Mode::Native, "apps")] {
        for (resource, verb) in [
            ("deployments", "get"),
            ("deployments", "patch"),
            ("deployments/status", "patch"),
            ("deployments/finalizers", "update"),
            ("replicasets", "create"),
            ("replicasets", "patch"),
            ("replicasets", "delete"),
            ("replicasets", "get"),
        ] {
            assert!(
                may("deployment-controller", mode, group, resource, verb),
                "{mode:?} {verb} {resource}"
            );
        }
        assert!(may(
            "replicaset-controller",
            mode,
            group,
            "replicasets",
            "get"
        ));
        assert!(may(
            "replicaset-controller",
            mode,
            group,
            "replicasets/status",
            "patch"
        ));
        assert!(may(
            "replicaset-controller",
            mode,
            group,
            "replicasets/finalizers",
            "update"
        ));
        for verb in ["create", "get", "patch", "delete"] {
            assert!(
                may("replicaset-controller", mode, "", "pods", verb),
                "{mode:?} {verb} pods"
            );
        }
    }
    let rc = "replicationcontroller-controller";
    assert!(may(
        rc,
        Mode::Native,
        "",
        "replicationcontrollers/status",
        "patch"
    ));
    assert!(may(rc, Mode::Native, "", "pods", "create"));
    for grant in GRANTS
        .iter()
        .filter(|grant| grant.identity != "controller-manager")
    {
        assert!(
            may(grant.identity, grant.mode, "", "events", "create"),
            "{}",
            grant.identity
        );
        assert!(
            may(grant.identity, grant.mode, "", "events", "patch"),
            "{}",
            grant.identity
        );
    }
}

#[test]
fn viewers_only_read_and_nobody_writes_a_status_by_hand() {
    let [view, edit, admin] = AGGREGATES else {
        panic!("three roles, got {}", AGGREGATES.len())
    };
    assert_eq!(
        (view.role, edit.role, admin.role),
        ("view", "edit", "admin")
    );
    assert!(
        view.rules
            .iter()
            .all(|rule| rule.verbs == ["get", "list", "watch"])
    );
    for role in [edit, admin] {
        for rule in role
            .rules
            .iter()
            .filter(|rule| rule.verbs.contains(&"patch"))
        {
            assert!(
                rule.resources
                    .iter()
                    .all(|resource| !resource.ends_with("/status")),
                "{}",
                role.role
            );
        }
    }
}
