//! Rules of leading: who may write, and until when.

use crate::Rules;
use crate::checker::Findings;
use crate::world::{Step, World};

/// Judges a write by whether its process may have led when it was sent.
pub(crate) fn judge(rules: &Rules, world: &World, step: &Step<'_>, findings: &mut Findings) {
    let Some(process) = step.process else { return };
    // Events and the lease itself need no lease.
    if world.leader.is_none() || matches!(step.commit.resource.plural, "leases" | "events") {
        return;
    }
    let writes = || {
        let commit = step.commit;
        format!(
            "controller {process} writes {} {}",
            commit.resource, commit.key
        )
    };
    let Some(renewed) = world.renewed(process) else {
        findings.add("G7-lease", format!("{}: it never had the lease", writes()));
        return;
    };
    let last = renewed
        .checked_add(rules.renew_deadline)
        .and_then(|deadline| deadline.checked_add(rules.in_flight));
    if last.is_ok_and(|last| step.moment.at > last) {
        let late = step.moment.at.duration_since(renewed);
        findings.add(
            "G7-lease",
            format!(
                "{}: {:.1} s after its last renewal; {:.1} s and {:.1} s under way are allowed",
                writes(),
                late.as_secs_f64(),
                rules.renew_deadline.as_secs_f64(),
                rules.in_flight.as_secs_f64()
            ),
        );
    }
}
