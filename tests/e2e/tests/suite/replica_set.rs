//! A ReplicaSet keeps its number of pods.

use anyhow::Result;
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::{LONG, manifest, wait};

#[test]
fn becomes_ready() {
    run("becomes_ready", async |s| -> Result<()> {
        s.create(&s.replica_sets(), manifest::replica_set(s.target, "web", 2))
            .await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| {
            let ready = set
                .data
                .pointer("/status/readyReplicas")
                .and_then(serde_json::Value::as_i64);
            if ready == Some(2) {
                Ok(())
            } else {
                Err(format!("readyReplicas is {ready:?}, not 2"))
            }
        })
        .await
    });
}
