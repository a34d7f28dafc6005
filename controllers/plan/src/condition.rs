//! `status.conditions`: what changes when a condition is set again.

use jiff::Timestamp;

use crate::workload::Condition;

/// Status of a condition that holds.
pub const TRUE: &str = "True";
/// Status of a condition that does not hold.
pub const FALSE: &str = "False";
/// Status of a condition that cannot be told.
pub const UNKNOWN: &str = "Unknown";

/// The condition of type `kind`.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// `now` as the API stores it: whole seconds.
pub fn stored_time(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// A condition whose two times are `now`.
pub fn new(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    let now = stored_time(now);
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        last_update_time: Some(now),
        last_transition_time: Some(now),
        reason: reason.to_owned(),
        message,
    }
}

/// Sets a condition as upstream's `SetDeploymentCondition` does: nothing changes when status
/// and reason are the same, whatever the message; the transition time survives when the status
/// is the same; a changed condition moves to the end.
pub fn set(conditions: &mut Vec<Condition>, condition: Condition) {
    let same = find(conditions, &condition.kind)
        .is_some_and(|known| known.status == condition.status && known.reason == condition.reason);
    if !same {
        replace(conditions, condition);
    }
}

/// Sets a condition whose message matters too: nothing changes when status, reason and message
/// are the same. It keeps its place in the list.
pub fn set_exactly(conditions: &mut Vec<Condition>, mut condition: Condition) {
    let Some(known) = conditions
        .iter_mut()
        .find(|known| known.kind == condition.kind)
    else {
        conditions.push(condition);
        return;
    };
    if known.status == condition.status
        && known.reason == condition.reason
        && known.message == condition.message
    {
        return;
    }
    if known.status == condition.status {
        condition.last_transition_time = known.last_transition_time;
    }
    *known = condition;
}

/// Writes a condition even when status and reason are the same, so that its update time moves;
/// the transition time survives when the status is the same.
pub fn replace(conditions: &mut Vec<Condition>, mut condition: Condition) {
    if let Some(known) = find(conditions, &condition.kind)
        && known.status == condition.status
    {
        condition.last_transition_time = known.last_transition_time;
    }
    remove(conditions, &condition.kind);
    conditions.push(condition);
}

/// Removes the condition of type `kind`.
pub fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.kind != kind);
}

/// Whether two lists say the same when times and messages are left aside.
pub fn same_verdicts(one: &[Condition], other: &[Condition]) -> bool {
    one.len() == other.len()
        && one.iter().all(|condition| {
            find(other, &condition.kind).is_some_and(|known| {
                known.status == condition.status && known.reason == condition.reason
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition(kind: &str, status: &str, reason: &str, second: i64) -> Condition {
        new(
            kind,
            status,
            reason,
            format!("{reason} at {second}"),
            at(second),
        )
    }

    #[test]
    fn the_same_status_and_reason_change_nothing() {
        let mut list = vec![condition("A", TRUE, "R", 1), condition("B", TRUE, "R", 1)];
        let before = list.clone();
        set(&mut list, condition("A", TRUE, "R", 2));
        assert_eq!(list, before);
    }

    #[test]
    fn another_reason_keeps_the_transition_time_and_moves_the_condition() {
        let mut list = vec![condition("A", TRUE, "R", 1), condition("B", TRUE, "R", 1)];
        set(&mut list, condition("A", TRUE, "S", 2));
        assert_eq!(list[1].kind, "A");
        assert_eq!(list[1].last_transition_time, Some(at(1)));
        assert_eq!(list[1].last_update_time, Some(at(2)));
        assert_eq!(list[1].message, "S at 2");
    }

    #[test]
    fn another_status_moves_both_times() {
        let mut list = vec![condition("A", TRUE, "R", 1)];
        set(&mut list, condition("A", FALSE, "R", 2));
        assert_eq!(list, vec![condition("A", FALSE, "R", 2)]);
    }

    #[test]
    fn replacing_moves_the_update_time_alone() {
        let mut list = vec![condition("A", TRUE, "R", 1)];
        replace(&mut list, condition("A", TRUE, "R", 2));
        assert_eq!(list[0].last_transition_time, Some(at(1)));
        assert_eq!(list[0].last_update_time, Some(at(2)));
    }

    #[test]
    fn setting_exactly_sees_the_message_and_keeps_the_place() {
        let mut list = vec![condition("A", TRUE, "R", 1), condition("B", TRUE, "R", 1)];
        set_exactly(&mut list, condition("A", TRUE, "R", 1));
        assert_eq!(list[0].last_update_time, Some(at(1)));
        set_exactly(&mut list, condition("A", TRUE, "R", 2));
        assert_eq!(list[0].message, "R at 2");
        assert_eq!(list[0].last_transition_time, Some(at(1)));
        set_exactly(&mut list, condition("A", FALSE, "R", 3));
        assert_eq!(list[0].last_transition_time, Some(at(3)));
        set_exactly(&mut list, condition("C", TRUE, "R", 4));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn times_are_whole_seconds() {
        let now: Timestamp = "2026-11-21T10:00:00.75Z".parse().unwrap();
        let set = new("A", TRUE, "R", String::new(), now);
        assert_eq!(
            set.last_update_time.unwrap().to_string(),
            "2026-11-21T10:00:00Z"
        );
    }

    #[test]
    fn verdicts_leave_times_messages_and_order_aside() {
        let one = [condition("A", TRUE, "R", 1), condition("B", TRUE, "R", 1)];
        let other = [condition("B", TRUE, "R", 2), condition("A", TRUE, "R", 3)];
        assert!(same_verdicts(&one, &other));
        assert!(!same_verdicts(&one, &other[..1]));
        assert!(!same_verdicts(&one[..1], &[condition("A", FALSE, "R", 1)]));
    }
}
