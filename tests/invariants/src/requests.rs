//! Rules of requests: what a commit alone does not show.

use std::collections::{BTreeMap, VecDeque};

use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use jiff::{SignedDuration, Timestamp};

use crate::checker::Findings;
use crate::{Violation, Writer};

/// How many requests about one object may fail within [`SPAN`]: the back-off from 5 ms doubles, so that a key is tried
/// about twelve times in it, each time with a batch of pods at most.
const FAILURES: usize = 400;
/// The time over which failures are counted.
const SPAN: SignedDuration = SignedDuration::from_secs(10);

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it was answered.
    pub at: Timestamp,
    /// Who asked.
    pub writer: Writer,
    /// HTTP method.
    pub method: &'static str,
    /// The collection.
    pub resource: Resource,
    /// The object.
    pub key: Key,
    /// Whether it names the UID that the object must have.
    pub names_uid: bool,
    /// Whether it names the version that the object must have.
    pub names_version: bool,
    /// HTTP status of the answer.
    pub code: u16,
    /// The commit that it caused; `None` when nothing changed.
    pub committed: Option<u64>,
}

/// What is remembered of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    failures: BTreeMap<(Writer, Resource, Key), VecDeque<Timestamp>>,
}

impl Requests {
    pub(crate) fn judge(&mut self, asked: &Asked) -> Vec<Violation> {
        let mut findings = Findings::new(asked.committed.unwrap_or(0));
        let judged = matches!(
            asked.resource.plural,
            "pods" | "replicasets" | "replicationcontrollers" | "deployments"
        );
        if judged && matches!(asked.writer, Writer::Controller(_)) {
            judge_precondition(asked, &mut findings);
            self.judge_pace(asked, &mut findings);
        }
        findings.into_violations()
    }

    fn judge_pace(&mut self, asked: &Asked, findings: &mut Findings) {
        if asked.code < 400 {
            return;
        }
        // Pods of one set share all but the end of their name.
        let mut key = asked.key.clone();
        if asked.resource.plural == "pods"
            && let Some((base, _)) = asked.key.name.rsplit_once('-')
        {
            base.clone_into(&mut key.name);
        }
        let times = self
            .failures
            .entry((asked.writer.clone(), asked.resource, key))
            .or_default();
        times.push_back(asked.at);
        while times
            .front()
            .is_some_and(|first| asked.at.duration_since(*first) > SPAN)
        {
            times.pop_front();
        }
        if times.len() == FAILURES {
            findings.add(
                "G10-pace",
                format!(
                    "{} got {FAILURES} errors for {} {} within {} s, the last was {}",
                    asked.writer,
                    asked.resource,
                    asked.key,
                    SPAN.as_secs(),
                    asked.code
                ),
            );
        }
    }
}

fn judge_precondition(asked: &Asked, findings: &mut Findings) {
    let conditional = matches!(asked.method, "DELETE" | "PATCH" | "PUT");
    let what = || {
        format!(
            "{} sends {} of {} {}",
            asked.writer, asked.method, asked.resource, asked.key
        )
    };
    if conditional && !asked.names_uid {
        findings.add("G6-precondition", format!("{} without a UID", what()));
    }
    // Without a version a repeated adoption may find its work done.
    if asked.method == "PATCH"
        && asked.names_version
        && (200..300).contains(&asked.code)
        && asked.committed.is_none()
    {
        findings.add("G5-noop", format!("{} that changes nothing", what()));
    }
}
