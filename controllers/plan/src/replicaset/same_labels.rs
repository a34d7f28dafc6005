//! Answers about labels that many pods share.

use std::sync::Arc;

use crate::pod::Pod;

type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// A question about a pod's labels that is worked out once for pods with the same ones: those of a
/// set share theirs, and a set may have thousands.
pub(super) struct OnLabels<'a, Ask> {
    ask: Ask,
    last: Option<(&'a Labels, bool)>,
}

impl<'a, Ask: Fn(&Pod) -> bool> OnLabels<'a, Ask> {
    /// `ask` must look at nothing but the labels.
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, last: None }
    }

    pub(super) fn of(&mut self, pod: &'a Pod) -> bool {
        match self.last {
            Some((labels, answer)) if Arc::ptr_eq(labels, &pod.labels) => answer,
            _ => {
                let answer = (self.ask)(pod);
                self.last = Some((&pod.labels, answer));
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::fixture::pod;

    #[test]
    fn pods_that_share_their_labels_are_asked_about_once() {
        let one = pod("a", "web-uid");
        let twin = Pod {
            labels: Arc::clone(&one.labels),
            ..pod("b", "web-uid")
        };
        let other = pod("c labels=app=api", "web-uid");
        let asked = Cell::new(0);
        let mut is_web = OnLabels::new(|pod: &Pod| {
            asked.set(asked.get() + 1);
            pod.label("app") == Some("web")
        });
        let answers = [&one, &twin, &other, &one].map(|pod| is_web.of(pod));
        assert_eq!(answers, [true, true, false, true]);
        assert_eq!(asked.get(), 3);
    }
}
