//! client-go's event correlator: count repeats, combine alike ones, hold spam back.
//!
//! Pure but for its memory: the caller passes both times.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Regarding;
use super::lru::Lru;

/// Entries of each of the three memories (`maxLruCacheEntries`).
const REMEMBERED: usize = 4096;
/// Different messages of one reason about one object from which they are combined
/// (`defaultAggregateMaxEvents`).
const COMBINE_FROM: usize = 10;
/// Quiet time after which messages count afresh (`defaultAggregateIntervalInSeconds`).
const COMBINE_WITHIN: Duration = Duration::from_mins(10);
/// Events about one object that pass at once (`defaultSpamBurst`).
const BURST: f64 = 25.0;
/// Time in which one more may pass (`defaultSpamQPS`).
const REFILL: Duration = Duration::from_mins(5);

/// Longest name of an Event (a DNS subdomain).
const LONGEST_NAME: usize = 253;

/// An event as a controller reported it.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) object: Regarding,
    pub(super) severity: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) time: Timestamp,
}

/// An event as it goes to the API server.
#[derive(Clone, Debug)]
pub(super) struct Posting {
    component: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    note: Note,
    first: Timestamp,
    count: u32,
    /// An event of client-go's aggregator lacks `reportingComponent`.
    combined: bool,
}

#[derive(Debug)]
pub(super) struct Correlator {
    component: &'static str,
    groups: Lru<Group>,
    posted: Lru<Posted>,
    budgets: Lru<Option<Budget>>,
    /// The moment that the last name was made of.
    named: i128,
}

/// Messages of one reason about one object.
#[derive(Debug)]
struct Group {
    messages: BTreeSet<String>,
    last: Instant,
}

/// What was posted under a key.
#[derive(Debug)]
struct Posted {
    name: String,
    first: Timestamp,
    count: u32,
}

/// Tokens of one object.
#[derive(Debug)]
struct Budget {
    tokens: f64,
    at: Instant,
}

impl Correlator {
    pub(super) fn new(component: &'static str) -> Self {
        Self {
            component,
            groups: Lru::new(REMEMBERED),
            posted: Lru::new(REMEMBERED),
            budgets: Lru::new(REMEMBERED),
            named: 0,
        }
    }

    /// What to post for `note`, which was reported at `at`; `None` if it is spam.
    ///
    /// As in client-go, an event that the spam filter holds back has been counted.
    pub(super) fn correlate(&mut self, note: Note, at: Instant) -> Option<Posting> {
        let (note, key, combined) = self.combine(note, at);
        let posting = self.count(note, &key, combined);
        self.admit(&posting.note, at).then_some(posting)
    }

    /// Replaces the tenth and later messages of a reason by one that is counted up.
    fn combine(&mut self, mut note: Note, at: Instant) -> (Note, String, bool) {
        let group_key = key(&note, &[note.reason]);
        let group = self.groups.touch(&group_key, || Group {
            messages: BTreeSet::new(),
            last: at,
        });
        if at.saturating_duration_since(group.last) > COMBINE_WITHIN {
            group.messages.clear();
        }
        group.last = at;
        // The set never holds more than the number that matters: client-go drops a random one,
        // here it is the first, so that a run can be repeated.
        group.messages.insert(note.message.clone());
        if group.messages.len() < COMBINE_FROM {
            let event_key = key(&note, &[note.reason, &note.message]);
            return (note, event_key, false);
        }
        group.messages.pop_first();
        note.message = format!("(combined from similar events): {}", note.message);
        (note, group_key, true)
    }

    /// Counts an event up if one was posted under `key`.
    fn count(&mut self, note: Note, key: &str, combined: bool) -> Posting {
        // Two events of one moment need two names.
        let moment = note.time.as_nanosecond().max(self.named + 1);
        let posted = self.posted.touch(key, || Posted {
            name: event_name(&note, moment),
            first: note.time,
            count: 0,
        });
        posted.count = posted.count.saturating_add(1);
        if posted.count == 1 {
            self.named = moment;
        }
        Posting {
            component: self.component,
            namespace: namespace(&note).to_owned(),
            name: posted.name.clone(),
            first: posted.first,
            count: posted.count,
            note,
            combined,
        }
    }

    /// Whether the object's budget allows one more.
    fn admit(&mut self, note: &Note, at: Instant) -> bool {
        let budget = self
            .budgets
            .touch(&key(note, &[]), || None)
            .get_or_insert(Budget { tokens: BURST, at });
        let elapsed = at.saturating_duration_since(budget.at);
        budget.tokens = (budget.tokens + elapsed.as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        budget.at = at;
        let allowed = budget.tokens >= 1.0;
        if allowed {
            budget.tokens -= 1.0;
        }
        allowed
    }
}

/// The identity of a series: the object, the severity and `more`. The component is the
/// same for all events of a recorder.
fn key(note: &Note, more: &[&str]) -> String {
    let Regarding {
        api_version,
        kind,
        namespace,
        name,
        uid,
        ..
    } = &note.object;
    let mut key = String::new();
    for part in [&**kind, namespace, name, uid, api_version, note.severity]
        .iter()
        .chain(more)
    {
        key.push_str(part);
        // No part can hold it, so two different series never share a key.
        key.push('\0');
    }
    key
}

/// `<object>.<nanoseconds since 1970, in hex>`, as client-go names events. The name of an object
/// that leaves no room for the rest is cut; client-go takes a random name then.
fn event_name(note: &Note, moment: i128) -> String {
    let unique = format!("{moment:x}");
    let room = LONGEST_NAME - unique.len() - 1;
    let object = note.object.name.get(..room).unwrap_or(&note.object.name);
    // A name ends with a letter or digit, and so must each part before a dot.
    format!("{}.{unique}", object.trim_end_matches(['-', '.']))
}

fn namespace(note: &Note) -> &str {
    if note.object.namespace.is_empty() {
        "default"
    } else {
        &note.object.namespace
    }
}

impl Posting {
    pub(super) fn reason(&self) -> &'static str {
        self.note.reason
    }

    /// The patch that counts an event up; `None` for the first of its series.
    pub(super) fn patch(&self) -> Option<Vec<u8>> {
        (self.count > 1).then(|| {
            json!({
                "count": self.count,
                "lastTimestamp": seconds(self.note.time),
                "message": self.note.message,
            })
            .to_string()
            .into_bytes()
        })
    }

    /// The whole event.
    pub(super) fn body(&self) -> Vec<u8> {
        let reporting = if self.combined { "" } else { self.component };
        let body: Value = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "involvedObject": self.note.object,
            "reason": self.note.reason,
            "message": self.note.message,
            "source": { "component": self.component },
            "firstTimestamp": seconds(self.first),
            "lastTimestamp": seconds(self.note.time),
            "count": self.count,
            "type": self.note.severity,
            "reportingComponent": reporting,
            "reportingInstance": "",
        });
        body.to_string().into_bytes()
    }
}

/// `metav1.Time`: whole seconds.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
