//! A random plan.

use std::time::Duration;

use super::{Fault, FaultPlan, Kind, Point, What};
use crate::dice::Dice;

/// Faults that do not last: pauses a little above the time limits of a client and of a lease are among them.
const PAUSES: [u64; 6] = [200, 1_500, 6_000, 12_000, 25_000, 45_000];
/// Later than any backlog of ordinary latency, up to longer than the own-write barrier waits.
const DELAYS: [u64; 5] = [100, 1_000, 5_000, 30_000, 360_000];
/// ±1 s, ninety days ahead and an hour back.
const JUMPS: [i64; 4] = [1, -1, 90 * 86_400, -3_600];
/// What an API server or what lies before it answers when it does not serve a request.
const REFUSALS: [u16; 6] = [409, 404, 429, 500, 503, 504];

/// What is known of a run without faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Writes that controllers sent.
    pub writes: u32,
    /// Watch events that reached controllers.
    pub events: u32,
    /// How long it took until nothing happened any more.
    pub lasted: Duration,
    /// Replicas of the manager.
    pub replicas: usize,
}

/// One to six faults of a run of this extent.
pub fn draw(dice: &mut Dice, extent: Extent) -> FaultPlan {
    let count = 1 + dice.below(6);
    let faults = (0..count).map(|_| fault(dice, extent)).collect();
    // A watch that is held for longer than the barrier waits shows what happens then.
    let heal = dice
        .chance(10)
        .then(|| extent.lasted + Duration::from_mins(7));
    FaultPlan { faults, heal }
}

fn fault(dice: &mut Dice, extent: Extent) -> Fault {
    match dice.below(10) {
        0..4 => Fault {
            at: Point::Write(1 + below(dice, extent.writes)),
            what: at_write(dice),
        },
        4..7 => Fault {
            at: Point::Event(1 + below(dice, extent.events)),
            what: at_event(dice),
        },
        _ => {
            let after = dice.below(u64::try_from(extent.lasted.as_millis()).unwrap_or(u64::MAX));
            let replica = dice.below(extent.replicas as u64) as usize;
            Fault {
                at: Point::Time(Duration::from_millis(after), replica),
                what: at_time(dice),
            }
        }
    }
}

fn below(dice: &mut Dice, count: u32) -> u32 {
    // A run with faults can have more writes than one without.
    let bound = u64::from(count) + u64::from(count / 4) + 1;
    u32::try_from(dice.below(bound)).unwrap_or(u32::MAX)
}

fn at_write(dice: &mut Dice) -> What {
    match dice.below(8) {
        0 => What::Crash,
        1 => What::CrashAfter,
        2 | 3 => {
            let code = dice.pick(&REFUSALS).copied().unwrap_or(500);
            let applied = code >= 500 && dice.chance(50);
            What::Answer { code, applied }
        }
        4 => What::Silence {
            applied: dice.chance(50),
        },
        5 => What::Cut {
            applied: dice.chance(50),
        },
        6 => What::Repeat,
        _ => freeze(dice),
    }
}

fn at_event(dice: &mut Dice) -> What {
    match dice.below(8) {
        0 => What::Crash,
        1 => What::Close,
        2 => What::Cut { applied: false },
        3 => What::Gone,
        4 => What::Hold {
            bookmarks: dice.chance(50),
        },
        5 | 6 => What::Delay(pick(dice, &DELAYS)),
        _ => freeze(dice),
    }
}

fn at_time(dice: &mut Dice) -> What {
    match dice.below(10) {
        0 => What::Crash,
        1 => What::Stop,
        2 => freeze(dice),
        3 => What::Partition(pick(dice, &PAUSES)),
        4 | 5 => What::Lag(pick(dice, &PAUSES)),
        6 => {
            let kinds = [Kind::Pods, Kind::Sets, Kind::Deployments];
            let kind = dice.pick(&kinds).copied().unwrap_or(Kind::Pods);
            What::Slow(kind, pick(dice, &DELAYS))
        }
        7 => What::Clock(dice.pick(&JUMPS).copied().unwrap_or(1)),
        8 => {
            let code = dice.pick(&[429, 500, 503]).copied().unwrap_or(500);
            What::Outage(code, pick(dice, &PAUSES))
        }
        _ => What::Compact,
    }
}

fn freeze(dice: &mut Dice) -> What {
    What::Freeze {
        pause: pick(dice, &PAUSES),
        late: dice.chance(50),
    }
}

fn pick(dice: &mut Dice, millis: &[u64]) -> Duration {
    Duration::from_millis(dice.pick(millis).copied().unwrap_or(1_000))
}
