//! How large each scenario is.

use std::time::Duration;

use super::subject::Election;

/// Numbers of objects and times.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// P1: pods of the one ReplicaSet.
    pub one_set: u32,
    /// P1 for a client that is limited to 20 requests a second.
    pub one_set_limited: u32,
    /// P2: Deployments, and as many ReplicaSets.
    pub many: u32,
    /// P3: Deployments that are updated.
    pub updated: u32,
    /// P2, P3, P8 to P10: pods of each Deployment or ReplicaSet.
    pub each: u32,
    /// P8 to P10: ReplicaSets whose pods fill the caches.
    pub cached_sets: u32,
    /// P10: changes of status a second.
    pub churn: u32,
    /// P10: how long one window is; there are five.
    pub churn_window: Duration,
    /// P11: pods of the one ReplicaSet.
    pub growth: Vec<u32>,
    /// P11 for our kinds: not more than this.
    pub growth_crd: u32,
    /// P12: pods of the one ReplicaSet.
    pub fail_over: u32,
    /// P12: the periods of leader election.
    pub election: Election,
    /// Pods that the raw client makes as a probe; in P1, which is compared with it, as many as there.
    pub probe: u32,
    /// Pods that warm the API server up.
    pub warm_up: u32,
    /// How long anything may take.
    pub limit: Duration,
}

/// P10 is cut into so many windows.
pub const WINDOWS: usize = 5;

impl Sizes {
    /// The race as the issue describes it, times `factor`; P11 ends at `largest`.
    pub fn full(factor: f64, largest: u32) -> Self {
        let scaled = |size: u32| ((f64::from(size) * factor).round() as u32).max(1);
        let mut growth: Vec<u32> = [1_000, 5_000, 20_000, 50_000]
            .into_iter()
            .map(scaled)
            .filter(|size| *size <= largest)
            .collect();
        growth.dedup();
        Self {
            one_set: scaled(5_000),
            one_set_limited: scaled(600),
            many: scaled(500),
            updated: scaled(200),
            each: 10,
            cached_sets: scaled(2_000),
            churn: 200,
            churn_window: Duration::from_secs(12),
            growth,
            growth_crd: scaled(20_000).min(largest),
            fail_over: scaled(5_000),
            election: Election::Defaults,
            probe: scaled(2_000),
            warm_up: scaled(5_000),
            limit: Duration::from_mins(5),
        }
    }

    /// Small: every scenario works on every subject, and the counts are as exact as in the large ones.
    pub fn smoke() -> Self {
        Self {
            one_set: 120,
            one_set_limited: 60,
            many: 8,
            updated: 6,
            each: 10,
            cached_sets: 20,
            churn: 50,
            churn_window: Duration::from_millis(500),
            growth: vec![60, 240],
            growth_crd: 240,
            fail_over: 600,
            election: Election::Periods {
                lease: Duration::from_secs(3),
                renew: Duration::from_secs(2),
                retry: Duration::from_millis(500),
            },
            probe: 100,
            warm_up: 100,
            limit: Duration::from_mins(2),
        }
    }
}
