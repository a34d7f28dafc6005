//! One scenario with one fault, from an empty namespace to a verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use ironkeel_invariants::{Commit, Writer};
use ironkeel_runtime::resource::PODS;
use kube::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::create_namespace;
use crate::end_state;
use crate::expect::Expect;
use crate::family::Mode;
use crate::fault::Fault;
use crate::history::{Ledger, Observer, State, commits, judge, line, story};
use crate::managers::Managers;
use crate::proxy::Proxy;
use crate::scenario::{Act, Scenario};
use crate::subject::{Program, Subject};

/// How long what is there before the faults must have been silent.
const PREPARED_SILENCE: Duration = Duration::from_millis(150);
/// How often a wait looks again where no commit wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long the watches may take to tell of what a list shows.
const CATCH_UP: Duration = Duration::from_secs(20);

/// What every run shares.
pub struct World {
    /// The administrator: the user, and the proxy's side towards the server.
    pub client: Client,
    /// The true state.
    pub observer: Observer,
    /// Who wrote what.
    pub ledger: Ledger,
    /// Where runs leave their logs.
    pub folder: PathBuf,
    /// How long nobody may write at the end.
    pub silence: Duration,
    /// How long a run may take to converge.
    pub limit: Duration,
}

/// Which run.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The fault and its moment; `None`: nothing goes wrong.
    pub fault: Option<(Fault, u64)>,
}

/// What one run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Whose controllers ran.
    pub subject: Subject,
    /// The kinds.
    pub mode: Mode,
    /// The scenario.
    pub scenario: &'static str,
    /// The fault.
    pub fault: Option<Fault>,
    /// At which write or event it strikes.
    pub k: u64,
    /// Its namespace, which names its folder too.
    pub namespace: String,
    /// Whether there was a k-th write or event.
    pub struck: bool,
    /// Writes since the user acted, by all processes.
    pub writes: u64,
    /// Events of watches since then.
    pub events: u64,
    /// Pods that controllers created since then.
    pub created: u64,
    /// From the user's act to the last commit.
    pub converged_millis: Option<u64>,
    /// What broke a rule, by rule.
    pub violations: BTreeMap<String, Vec<String>>,
    /// What is missing, or who does not fall silent.
    pub not_converged: Option<String>,
    /// How the end differs from that of a run in which nothing went wrong.
    pub differs: Option<String>,
    /// Processes that ended because they could not renew the lease, as they have to.
    pub leases_lost: u32,
    /// Processes that ended though nobody killed them.
    pub ended_alone: Vec<String>,
    /// Commits whose writer nobody knows: a fault of this program, not of the manager.
    pub unknown_writers: Vec<String>,
    /// The end, for comparison.
    #[serde(skip)]
    pub end: Value,
}

impl Outcome {
    /// Whether nothing is to be held against the subject.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
            && self.not_converged.is_none()
            && self.differs.is_none()
            && self.ended_alone.is_empty()
    }
}

#[cfg(test)]
impl Outcome {
    /// A run that showed nothing.
    pub(crate) fn sample(scenario: &'static str, fault: Option<Fault>) -> Self {
        Self {
            subject: Subject::Ironkeel,
            mode: Mode::Native,
            scenario,
            fault,
            k: 1,
            namespace: "n".to_owned(),
            struck: fault.is_some(),
            writes: 9,
            events: 9,
            created: 3,
            converged_millis: Some(100),
            violations: BTreeMap::new(),
            not_converged: None,
            differs: None,
            leases_lost: 0,
            ended_alone: Vec::new(),
            unknown_writers: Vec::new(),
            end: Value::Null,
        }
    }
}

impl World {
    /// Carries out one run in a new namespace. An error is this program's or the machine's, not the subject's.
    pub async fn run(&self, program: &Program, case: Case, namespace: &str) -> Result<Outcome> {
        let folder = self.folder.join(namespace);
        create_namespace(&self.client, namespace).await?;
        let proxy = Proxy::new(self.client.clone(), namespace, self.ledger.clone());
        let scenario = case.scenario;
        let mut managers = Managers::start(
            program,
            &proxy,
            &self.observer,
            namespace,
            &folder,
            scenario.managers,
        )
        .await?;
        let room = Room {
            world: self,
            namespace,
            proxy: &proxy,
            mode: program.mode,
        };

        let before = (scenario.before)(program.mode);
        if !before.is_empty() {
            room.act(&before).await?;
            let prepared = (scenario.prepared)(program.mode);
            let missing = room
                .settle(&mut managers, &prepared, PREPARED_SILENCE)
                .await?;
            if let Some(missing) = missing {
                bail!("{}, before any fault: {missing}", scenario.name);
            }
        }
        let prepared_at = self.observer.look(namespace, highest)?;
        proxy.arm(case.fault);
        let acted = Instant::now();
        room.act(&(scenario.acts)(program.mode)).await?;
        let expects = (scenario.expects)(program.mode);
        let not_converged = room.settle(&mut managers, &expects, self.silence).await?;

        let state = room.true_state().await?;
        let last = self.observer.last(namespace);
        let starts = managers.starts();
        let (leases_lost, ended_alone) = managers.stop().await?;
        let seen = self.observer.take(namespace);
        let commits = commits(&seen, &self.ledger);
        let (struck, (writes, events)) = (proxy.has_struck(), proxy.counted());
        let outcome = Outcome {
            subject: program.subject,
            mode: program.mode,
            scenario: scenario.name,
            fault: case.fault.map(|(fault, _)| fault),
            k: case.fault.map_or(0, |(_, k)| k),
            namespace: namespace.to_owned(),
            struck,
            writes,
            events,
            created: commits
                .iter()
                .filter(|commit| commit.version > prepared_at && is_pod_by_controller(commit))
                .count() as u64,
            converged_millis: last
                .filter(|_| not_converged.is_none())
                .map(|last| last.saturating_duration_since(acted).as_millis() as u64),
            violations: judge(&commits, &proxy.writes(), &starts, not_converged.is_none()),
            not_converged,
            differs: None,
            leases_lost,
            ended_alone,
            unknown_writers: unknown(&commits),
            end: end_state::normalise(&state),
        };
        let story = story(&outcome, &commits, &proxy.writes());
        fs::write(folder.join("history.txt"), story)
            .with_context(|| format!("writing to {}", folder.display()))?;
        room.clean_up().await?;
        Ok(outcome)
    }
}

/// The namespace of one run.
struct Room<'a> {
    world: &'a World,
    namespace: &'a str,
    proxy: &'a Proxy,
    mode: Mode,
}

impl Room<'_> {
    async fn act(&self, acts: &[Act]) -> Result<()> {
        for act in acts {
            let (method, resource, name, body, content) = match act {
                Act::Create(resource, object) => (
                    Method::POST,
                    resource,
                    None,
                    object.clone(),
                    "application/json",
                ),
                Act::Patch(resource, name, patch) => (
                    Method::PATCH,
                    resource,
                    Some(*name),
                    patch.clone(),
                    "application/merge-patch+json",
                ),
                Act::Delete(resource, name, policy) => (
                    Method::DELETE,
                    resource,
                    Some(*name),
                    json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy }),
                    "application/json",
                ),
            };
            let path = resource.path(Some(self.namespace), name, None);
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{path}?fieldManager=user"))
                .header(http::header::CONTENT_TYPE, content)
                .body(body.to_string().into_bytes())?;
            let reply: Value = self
                .world
                .client
                .request(request)
                .await
                .with_context(|| format!("{method} {path} in the name of the user"))?;
            self.world.ledger.note(&Writer::User, &method, &reply);
        }
        Ok(())
    }

    /// Waits until everything is as expected and nobody has written for `silence`. `Some` says what is wrong when the
    /// time is over.
    async fn settle(
        &self,
        managers: &mut Managers<'_>,
        expects: &[Expect],
        silence: Duration,
    ) -> Result<Option<String>> {
        let started = Instant::now();
        let observer = &self.world.observer;
        loop {
            let ready = managers.tend().await?;
            let met = observer.look(self.namespace, |state| {
                expects.iter().try_for_each(|expect| expect.check(state))
            })?;
            let wrong = match (met, ready) {
                (Err(missing), _) => missing,
                (Ok(()), None) => "everything is there, but no process watches".to_owned(),
                (Ok(()), Some(ready)) => {
                    let written = self.proxy.last_write();
                    let moved = [
                        Some(started),
                        Some(ready),
                        observer.last(self.namespace),
                        written,
                    ]
                    .into_iter()
                    .flatten()
                    .max()
                    .unwrap_or(started);
                    if moved.elapsed() >= silence {
                        return Ok(None);
                    }
                    "everything is there, but writes go on".to_owned()
                }
            };
            if started.elapsed() > self.world.limit {
                return Ok(Some(format!(
                    "after {} s: {wrong} ({} processes were started)",
                    self.world.limit.as_secs(),
                    managers.starts().len()
                )));
            }
            observer.changed(LOOK_AGAIN).await;
        }
    }

    /// The state of the namespace by a list of each kind, which is also what the watches have told by then.
    async fn true_state(&self) -> Result<State> {
        let deadline = Instant::now() + CATCH_UP;
        loop {
            let listed = self.list().await?;
            let seen = self.world.observer.look(self.namespace, Clone::clone)?;
            if versions(&seen) == listed {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                bail!(
                    "the watches tell of {:?}, lists of {listed:?}",
                    versions(&seen)
                );
            }
            self.world.observer.changed(LOOK_AGAIN).await;
        }
    }

    async fn list(&self) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for resource in self.mode.resources() {
            let path = resource.path(Some(self.namespace), None, None);
            let list: Value = self
                .world
                .client
                .request(Request::get(path).body(Vec::new())?)
                .await?;
            for object in list["items"].as_array().into_iter().flatten() {
                let meta = &object["metadata"];
                let name = format!("{resource}/{}", meta["name"].as_str().unwrap_or_default());
                let version = meta["resourceVersion"].as_str().unwrap_or_default();
                all.insert(name, version.to_owned());
            }
        }
        Ok(all)
    }

    /// Leaves nothing that later runs would have to carry. The namespace itself stays: it costs nothing.
    async fn clean_up(&self) -> Result<()> {
        for resource in self.mode.resources() {
            let mut path = resource.path(Some(self.namespace), None, None);
            if resource == PODS {
                path.push_str("?gracePeriodSeconds=0");
            }
            let delete = Request::delete(&path).body(Vec::new())?;
            self.world
                .client
                .request::<Value>(delete)
                .await
                .with_context(|| format!("DELETE {path}"))?;
        }
        Ok(())
    }
}

fn highest(state: &State) -> u64 {
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str()?.parse().ok();
    state
        .values()
        .filter_map(|object| version(object))
        .max()
        .unwrap_or(0)
}

fn versions(state: &State) -> BTreeMap<String, String> {
    state
        .iter()
        .map(|((resource, name), object)| {
            let version = object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default();
            (format!("{resource}/{name}"), version.to_owned())
        })
        .collect()
}

fn is_pod_by_controller(commit: &Commit) -> bool {
    commit.resource == PODS
        && commit.before.is_none()
        && matches!(commit.writer, Writer::Controller(_))
}

/// Commits whose writer nobody knows.
fn unknown(commits: &[Commit]) -> Vec<String> {
    commits
        .iter()
        .filter(|commit| matches!(commit.writer, Writer::Other(_)))
        .map(line)
        .collect()
}

/// Removes what a run left that showed nothing.
pub fn forget_logs(folder: &Path, outcome: &Outcome) -> Result<()> {
    let folder = folder.join(&outcome.namespace);
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}
