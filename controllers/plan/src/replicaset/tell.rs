//! Events about pods that were created or deleted.

use crate::plan::Event;

/// Names that one event lists; of more pods it says how many.
const LISTED: usize = 10;

/// What became of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// They were created.
    Created,
    /// They were deleted.
    Deleted,
}

/// The event about `pods`, of which there is at least one.
///
/// Upstream posts an event for each pod, and its own recorder drops most of them when there are
/// many. Here one event tells of all that happened at about the same time; about a single pod it
/// is in upstream's words.
pub fn tell(deed: Deed, pods: &[String]) -> Event {
    let (reason, verb) = match deed {
        Deed::Created => ("SuccessfulCreate", "Created"),
        Deed::Deleted => ("SuccessfulDelete", "Deleted"),
    };
    let noun = if pods.len() == 1 { "pod" } else { "pods" };
    let listed = pods.get(..LISTED).unwrap_or(pods).join(", ");
    let more = match pods.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Event::normal(reason, format!("{verb} {noun}: {listed}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(deed: Deed, count: usize) -> String {
        let pods: Vec<String> = (0..count).map(|at| format!("web-{at}")).collect();
        tell(deed, &pods).message
    }

    #[test]
    fn one_pod_is_told_of_in_upstreams_words_and_many_in_one_event() {
        assert_eq!(message(Deed::Created, 1), "Created pod: web-0");
        assert_eq!(message(Deed::Deleted, 2), "Deleted pods: web-0, web-1");
        assert_eq!(
            message(Deed::Created, 500),
            "Created pods: web-0, web-1, web-2, web-3, web-4, web-5, web-6, web-7, web-8, web-9 and 490 more"
        );
    }
}
