//! The end of a Deployment.

use ironkeel_plan::rollout::{self, Bounds};
use ironkeel_plan::workload::RollingUpdate;
use serde::Deserialize as _;
use serde_json::Value;

use super::intent::{Intent, Wanted};
use super::{End, Verdict, condition, is_complete, is_ready, read};
use crate::kubelet::BROKEN;
use crate::scenario::Kinds;

const REVISION: &str = "deployment.kubernetes.io/revision";

const ROLLBACK: &str = "deployment.ironkeel.dev/rollback";
const HASH: &str = "pod-template-hash";

/// Whether `set` is of `template`, but for the hash.
fn is_of(template: &Value, set: &Value) -> bool {
    let without_hash = |template: &Value| {
        let mut template = template.clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove(HASH);
        }
        template
    };
    without_hash(template) == without_hash(&set["spec"]["template"])
}

/// Where a Deployment has to end up, by what the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Every pod has the template and is available.
    Complete,
    /// The rollout is held back; sizes are right.
    Paused,
    /// The new pods never become ready, which the conditions say; enough old pods serve.
    Missed,
    /// The new pods never become ready, so the last good template is back.
    RolledBack,
    /// A quota refuses pods, which the conditions say.
    Refused,
}

/// A Deployment and what belongs to it.
struct View<'a> {
    name: String,
    object: &'a Value,
    sets: Vec<&'a Value>,
    new: Option<&'a Value>,
    end: &'a End,
    replicas: i64,
    own: bool,
}

/// Judges a Deployment that the user made.
pub(super) fn judge(
    kinds: Kinds,
    intent: &Intent,
    wanted: &Wanted,
    object: &Value,
    end: &End,
    verdict: &mut Verdict,
) {
    let sets: Vec<&Value> = end.controlled(kinds.replica_sets(), object).collect();
    let image = read::image(object);
    let template = &object["spec"]["template"];
    let new = sets.iter().copied().find(|set| is_of(template, set));
    let view = View {
        name: format!("deployment {}", read::text(object, "/metadata/name")),
        object,
        new,
        sets,
        end,
        replicas: read::size(object),
        own: kinds == Kinds::Own,
    };
    let ending = ending(kinds, intent, wanted);
    view.spec(ending, wanted, verdict);
    verdict.unless(!read::is_deleting(object), "END-deleting", || {
        format!("{} is being deleted", view.name)
    });
    view.counts(verdict);
    view.revisions(verdict);
    match ending {
        Ending::Complete | Ending::RolledBack => {
            view.complete(verdict);
            if ending == Ending::RolledBack {
                verdict.unless(!image.contains(BROKEN), "END-rollback", || {
                    format!("{} was not rolled back: its image is {image}", view.name)
                });
                view.condition("RolledBack", "True", "", verdict);
            }
        }
        Ending::Paused => view.paused(verdict),
        Ending::Missed => view.missed(wanted.had_good_template, verdict),
        Ending::Refused => {
            let (status, _) = condition(object, "ReplicaFailure");
            let says_so = status == "True"
                || view
                    .sets
                    .iter()
                    .any(|set| condition(set, "ReplicaFailure").0 == "True");
            verdict.unless(says_so, "END-failure", || {
                format!(
                    "{}: a quota refuses pods, and no condition says so",
                    view.name
                )
            });
        }
    }
}

fn ending(kinds: Kinds, intent: &Intent, wanted: &Wanted) -> Ending {
    let spec = &wanted.object["spec"];
    let total: i64 = intent
        .wanted
        .iter()
        .filter(|(target, _)| target.resource == kinds.deployments())
        .map(|(_, wanted)| read::size(&wanted.object))
        .sum();
    if intent.quota().is_some_and(|quota| quota < total) {
        Ending::Refused
    } else if spec["paused"] == true {
        Ending::Paused
    } else if !read::image(&wanted.object).contains(BROKEN) || read::size(&wanted.object) == 0 {
        Ending::Complete
    } else if kinds == Kinds::Own
        && spec["rollback"]["onProgressDeadline"] == true
        && wanted.had_good_template
    {
        Ending::RolledBack
    } else {
        Ending::Missed
    }
}

impl View<'_> {
    fn condition(&self, kind: &str, status: &str, reason: &str, verdict: &mut Verdict) {
        let (is, why) = condition(self.object, kind);
        let right = is == status && (reason.is_empty() || why == reason);
        verdict.unless(right, "END-conditions", || {
            format!(
                "{}: {kind} is {is:?} {why:?}, not {status:?} {reason}",
                self.name
            )
        });
    }

    /// The spec is the user's; a rollback changes the template and nothing else.
    fn spec(&self, ending: Ending, wanted: &Wanted, verdict: &mut Verdict) {
        let mut spec = wanted.object["spec"].clone();
        // Faults can hold a good rollout up beyond its deadline too.
        let annotations = &self.object["metadata"]["annotations"];
        let was_rolled_back = !annotations[ROLLBACK].is_null() && wanted.had_good_template;
        if (ending == Ending::RolledBack || was_rolled_back)
            && let Some(fields) = spec.as_object_mut()
        {
            fields.remove("template");
        }
        if let Some(at) = read::differs(&spec, &self.object["spec"], "spec") {
            let text = format!("{}: {at} is not as the user wrote it", self.name);
            verdict.add("END-spec", text);
        }
    }

    fn sum(&self, pointer: &str) -> i64 {
        self.sets.iter().map(|set| read::int(set, pointer)).sum()
    }

    /// The status says what the ReplicaSets and the pods are.
    fn counts(&self, verdict: &mut Verdict) {
        let pods: Vec<&Value> = self
            .sets
            .iter()
            .flat_map(|set| self.end.active_pods(set))
            .collect();
        let ready = pods.iter().filter(|pod| is_ready(pod)).count() as i64;
        let updated = self
            .new
            .map_or(0, |set| self.end.active_pods(set).count() as i64);
        let sizes: i64 = self.sets.iter().map(|set| read::size(set)).sum();
        for (field, is) in [
            (
                "observedGeneration",
                read::int(self.object, "/metadata/generation"),
            ),
            ("replicas", pods.len() as i64),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", (sizes - ready).max(0)),
            ("terminatingReplicas", 0),
        ] {
            let says = read::int(self.object, &format!("/status/{field}"));
            verdict.unless(says == is, "END-status", || {
                format!("{}: status.{field} is {says}, and {is} is right", self.name)
            });
        }
    }

    /// One ReplicaSet at most has the template; its revision is the highest and the Deployment's; history is bounded.
    fn revisions(&self, verdict: &mut Verdict) {
        let template = &self.object["spec"]["template"];
        let same = self.sets.iter().filter(|set| is_of(template, set)).count();
        verdict.unless(same <= 1, "END-one-set", || {
            format!("{}: {same} ReplicaSets have its template", self.name)
        });
        let revision = |object: &Value| {
            object["metadata"]["annotations"][REVISION]
                .as_str()
                .and_then(|text| text.parse::<i64>().ok())
                .unwrap_or(0)
        };
        if let Some(new) = self.new {
            let highest = self.sets.iter().map(|set| revision(set)).max();
            let right = Some(revision(new)) == highest && revision(self.object) == revision(new);
            verdict.unless(right, "END-revision", || {
                format!(
                    "{}: its revision is {}, that of its ReplicaSet {}, and the highest {}",
                    self.name,
                    revision(self.object),
                    revision(new),
                    highest.unwrap_or(0)
                )
            });
        }
        let limit = self
            .object
            .pointer("/spec/revisionHistoryLimit")
            .and_then(Value::as_i64)
            .unwrap_or(10);
        let old = self.sets.len() as i64 - i64::from(self.new.is_some());
        // A rollout that goes on needs its old ReplicaSets.
        let is_over = is_complete(self.object).is_ok();
        verdict.unless(old <= limit || !is_over, "END-history", || {
            format!("{}: {old} old ReplicaSets are kept, not {limit}", self.name)
        });
    }

    fn complete(&self, verdict: &mut Verdict) {
        if let Err(why) = is_complete(self.object) {
            verdict.add("END-complete", format!("{}: {why}", self.name));
        }
        let Some(new) = self.new else {
            let text = format!("{}: no ReplicaSet has its template", self.name);
            verdict.add("END-complete", text);
            return;
        };
        for set in &self.sets {
            let wanted = if std::ptr::eq(*set, new) {
                self.replicas
            } else {
                0
            };
            let size = read::size(set);
            verdict.unless(size == wanted, "END-sizes", || {
                let set = read::text(set, "/metadata/name");
                format!("{}: {set} has size {size}, not {wanted}", self.name)
            });
        }
        // A set that was adopted has no hash, and so have its pods.
        let label = &new["metadata"]["labels"][HASH];
        for pod in self.end.active_pods(new) {
            let has = &pod["metadata"]["labels"][HASH];
            verdict.unless(has == label, "END-template", || {
                let pod = read::text(pod, "/metadata/name");
                format!("{}: pod {pod} has {HASH} {has}, not {label}", self.name)
            });
            let image = read::text(pod, "/spec/containers/0/image");
            verdict.unless(image == read::image(self.object), "END-template", || {
                let pod = read::text(pod, "/metadata/name");
                format!("{}: pod {pod} has image {image}", self.name)
            });
        }
        self.condition("Available", "True", "MinimumReplicasAvailable", verdict);
        self.condition("Progressing", "True", "NewReplicaSetAvailable", verdict);
        self.condition("ReplicaFailure", "", "", verdict);
        if self.own {
            self.condition("Ready", "True", "AllReplicasAvailable", verdict);
            self.condition("Reconciling", "", "", verdict);
            self.condition("Stalled", "", "", verdict);
        }
    }

    /// Sizes are right, whichever templates they belong to.
    fn paused(&self, verdict: &mut Verdict) {
        let sizes: i64 = self.sets.iter().map(|set| read::size(set)).sum();
        // Before its first rollout a paused Deployment has nothing to size; in the middle of one the surge may be there.
        let most = self.replicas + self.bounds().map_or(0, |bounds| i64::from(bounds.surge));
        let right = self.sets.is_empty() || (self.replicas..=most).contains(&sizes);
        verdict.unless(right, "END-sizes", || {
            format!(
                "{} is paused with ReplicaSets of {sizes} replicas, not {} to {most}",
                self.name, self.replicas
            )
        });
        let (status, reason) = condition(self.object, "Progressing");
        let told = status == "Unknown" && reason == "DeploymentPaused"
            || reason == "ProgressDeadlineExceeded";
        verdict.unless(told, "END-conditions", || {
            format!(
                "{} is paused, and Progressing is {status:?} {reason:?}",
                self.name
            )
        });
    }

    fn missed(&self, had_good_template: bool, verdict: &mut Verdict) {
        self.condition("Progressing", "False", "ProgressDeadlineExceeded", verdict);
        if self.own {
            self.condition("Ready", "False", "ProgressDeadlineExceeded", verdict);
            self.condition("Stalled", "True", "ProgressDeadlineExceeded", verdict);
        }
        let Some(bounds) = self.bounds() else {
            return;
        };
        let sizes: i64 = self.sets.iter().map(|set| read::size(set)).sum();
        let most = self.replicas + i64::from(bounds.surge);
        verdict.unless(sizes <= most, "END-sizes", || {
            format!(
                "{}: its ReplicaSets want {sizes} pods, and {most} are allowed",
                self.name
            )
        });
        let least = self.replicas - i64::from(bounds.unavailable);
        let available = self.sum("/status/availableReplicas");
        verdict.unless(
            available >= least || !had_good_template,
            "END-available",
            || format!("{}: {available} pods are available, not {least}", self.name),
        );
        // As much as may go has gone: the rollout goes as far as it can.
        verdict.unless(
            available <= least || self.new.is_none_or(|new| read::size(new) == self.replicas),
            "END-stuck",
            || {
                format!(
                    "{}: {available} old pods are there and {least} are needed, and the rollout stands still",
                    self.name
                )
            },
        );
    }

    /// Bounds of a rolling update; none for another strategy.
    fn bounds(&self) -> Option<Bounds> {
        let strategy = &self.object["spec"]["strategy"];
        if strategy["type"] == "Recreate" {
            return None;
        }
        let rolling = RollingUpdate::deserialize(&strategy["rollingUpdate"]).ok();
        rollout::resolve(rolling.as_ref(), i32::try_from(self.replicas).ok()?).ok()
    }
}
