//! Events of a controller, those about one thing in one.
//!
//! A rollout creates pods and resizes sets by the dozen, and an event for each of these is a write
//! for each. What happens to one object within a second is told in one event, and when hundreds of
//! objects change at once, some are not told of: their status says it, and the API server has pods
//! to create. Upstream's recorder drops most events then, whatever they tell. Warnings never wait
//! and are never left out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::deployment::Scaling;
use ironkeel_plan::plan::Event;
use ironkeel_plan::replicaset::{Deed, tell};
use ironkeel_runtime::events::{Recorder, Regarding};
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long what happened waits for more of its kind, from the last time on.
const TOGETHER: Duration = Duration::from_secs(1);
/// How long at most, from the first time on.
const LATEST: Duration = Duration::from_secs(10);
/// Events of good news that may be posted at once.
const BURST: f64 = 50.0;
/// How many more each second.
const RATE: f64 = 10.0;

/// Posts the events of one controller. What still waits is posted when this is dropped.
pub struct Announcer {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: Recorder,
    waiting: Mutex<BTreeMap<Topic, Waiting>>,
    budget: Mutex<Budget>,
}

/// How many events may be posted now.
struct Budget {
    left: f64,
    at: Instant,
}

impl Budget {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * RATE).min(BURST);
        self.at = now;
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

/// What an event is about: the UID of its object, and then what happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Topic {
    uid: Arc<str>,
    about: About,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Pods(Deed),
    /// The name of the set that is resized.
    Size(String),
}

struct Waiting {
    regarding: Regarding,
    news: News,
    first: Instant,
    last: Instant,
}

impl Waiting {
    fn due(&self) -> Instant {
        (self.last + TOGETHER).min(self.first + LATEST)
    }
}

enum News {
    Pods(Deed, Vec<String>),
    Size(Scaling),
}

impl News {
    fn event(&self) -> Event {
        match self {
            Self::Pods(deed, names) => tell(*deed, names),
            Self::Size(scaling) => scaling.event(),
        }
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("waiting", &self.inner.waiting.lock().len())
            .finish_non_exhaustive()
    }
}

impl Announcer {
    /// Posts through `recorder`.
    pub fn new(recorder: Recorder) -> Self {
        Self {
            inner: Arc::new(Inner {
                recorder,
                waiting: Mutex::default(),
                budget: Mutex::new(Budget {
                    left: BURST,
                    at: Instant::now(),
                }),
            }),
        }
    }

    /// Posts an event now, after what waits about the same object.
    pub fn event(&self, regarding: &Regarding, event: &Event) {
        let all = |topic: &Topic| topic.uid == regarding.uid;
        self.inner.post(all);
        self.inner.recorder.event(regarding, event);
    }

    /// A pod of the object was created or deleted.
    pub fn pod(&self, regarding: &Regarding, deed: Deed, name: &str) {
        self.collect(regarding, About::Pods(deed), |known| match known {
            Some(News::Pods(_, names)) => {
                names.push(name.to_owned());
                None
            }
            _ => Some(News::Pods(deed, vec![name.to_owned()])),
        });
    }

    /// A set of the object was resized.
    pub fn scaled(&self, regarding: &Regarding, scaling: &Scaling) {
        let about = About::Size(scaling.set.clone());
        self.collect(regarding, about, |known| {
            if let Some(News::Size(known)) = known
                && let Some(both) = known.followed_by(scaling)
            {
                *known = both;
                return None;
            }
            Some(News::Size(scaling.clone()))
        });
    }

    /// Lets `join` add to what waits under a topic, or begin anew with what it answers.
    fn collect(
        &self,
        regarding: &Regarding,
        about: About,
        join: impl FnOnce(Option<&mut News>) -> Option<News>,
    ) {
        let topic = Topic {
            uid: Arc::clone(&regarding.uid),
            about,
        };
        let now = Instant::now();
        let mut waiting = self.inner.waiting.lock();
        let known = waiting.get_mut(&topic).map(|known| {
            known.last = now;
            &mut known.news
        });
        let Some(news) = join(known) else { return };
        let begun = Waiting {
            regarding: regarding.clone(),
            news,
            first: now,
            last: now,
        };
        if let Some(before) = waiting.insert(topic.clone(), begun) {
            // Its timer is running, and looks again when the new one is due.
            self.inner.tell(&before);
            return;
        }
        drop(waiting);
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            let mut due = now + TOGETHER;
            loop {
                tokio::time::sleep_until(due).await;
                let Some(inner) = inner.upgrade() else { return };
                let known = inner.waiting.lock().get(&topic).map(Waiting::due);
                match known {
                    Some(later) if later > due => due = later,
                    Some(_) => return inner.post(|waits| *waits == topic),
                    None => return,
                }
            }
        });
    }
}

impl Inner {
    fn tell(&self, told: &Waiting) {
        if self.budget.lock().take() {
            self.recorder.event(&told.regarding, &told.news.event());
        } else {
            self.recorder.leave_out();
        }
    }

    /// Posts what waits about the topics that `which` accepts, in a stable order.
    fn post(&self, which: impl Fn(&Topic) -> bool) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|topic, told| {
            let is_due = which(topic);
            if is_due {
                self.tell(told);
            }
            !is_due
        });
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.inner.post(|_| true);
    }
}

#[cfg(test)]
#[path = "announce_tests.rs"]
mod tests;
