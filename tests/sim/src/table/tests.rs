use std::sync::Arc;

use expect_test::expect;
use ironkeel_invariants::Writer;
use ironkeel_runtime::resource::{NATIVE_DEPLOYMENTS, PODS};
use serde_json::{Value, json};

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

fn commit(
    millis: i64,
    version: u64,
    writer: Writer,
    resource: Resource,
    before: Option<Value>,
    after: Option<Value>,
) -> Entry {
    let object = after.as_ref().or(before.as_ref()).unwrap();
    let key = Key::new("sim", object["metadata"]["name"].as_str().unwrap());
    Entry {
        at: at(millis),
        what: What::Commit(Commit {
            version,
            at: at(millis),
            writer,
            resource,
            key,
            before: before.map(Arc::new),
            after: after.map(Arc::new),
        }),
    }
}

fn pod(ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "sim", "uid": "u", "resourceVersion": "9", "labels": {"app": "web"},
            "ownerReferences": [{"name": "web-x", "uid": "o", "controller": true}],
        },
        "spec": {"containers": [{"name": "main", "image": "web:1"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

#[test]
fn a_history_reads_as_a_table() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "main", "image": "web:1"}]}}},
    });
    let mut scaled = deployment.clone();
    scaled["spec"]["replicas"] = json!(3);
    scaled["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    let mut running = pod("True");
    running["status"]["phase"] = json!("Running");
    let controller = Writer::Controller(1);
    let seen = |millis, process| Entry {
        at: at(millis),
        what: What::Seen {
            process,
            resource: PODS,
            kind: EventKind::Added,
            key: Key::new("sim", "web-1"),
            version: 13,
        },
    };
    let entries = [
        Entry {
            at: at(0),
            what: What::Step("create deployment web".to_owned()),
        },
        commit(
            0,
            12,
            Writer::User,
            NATIVE_DEPLOYMENTS,
            None,
            Some(deployment.clone()),
        ),
        commit(20, 13, controller.clone(), PODS, None, Some(pod("False"))),
        Entry {
            at: at(31),
            what: What::Failed {
                writer: controller.clone(),
                verb: "PATCH status".to_owned(),
                path: "deployments/web".to_owned(),
                answer: "504 Timeout".to_owned(),
                committed: true,
            },
        },
        seen(34, 1),
        commit(
            40,
            14,
            Writer::Kubelet,
            PODS,
            Some(pod("False")),
            Some(running.clone()),
        ),
        Entry {
            at: at(50),
            what: What::Fault("write 3 crash".to_owned()),
        },
        commit(
            60,
            15,
            Writer::User,
            NATIVE_DEPLOYMENTS,
            Some(deployment),
            Some(scaled),
        ),
        seen(1_520, 2),
        commit(1_600, 16, Writer::Kubelet, PODS, Some(running), None),
    ];
    expect![[r"
         time  version  who           what                          change                                      seen by
        0.000           user          > create deployment web
        0.000       12  user          create deployment web         app web, replicas 2, image web:1
        0.020       13  controller 1  create pod web-1              app web, owner.web-x controls, image web:1  1 +14 ms, 2 +1.5 s
        0.031        -  controller 1  PATCH status deployments/web  ! 504 Timeout, but committed
        0.040       14  kubelet       update pod web-1              Ready False→True, phase Pending→Running
        0.050           FAULT         write 3 crash
        0.060       15  user          update deployment web         revision 1, replicas 2→3
        1.600       16  kubelet       delete pod web-1
    "]]
    .assert_eq(&render(&entries, Detail::default()));
}
