//! Which lease, and the periods of an election.

use std::time::Duration;

/// Spread of the period between attempts to acquire: up to this much longer (client-go
/// `JitterFactor`).
pub(super) const JITTER: f64 = 1.2;

/// Which Lease, for whom, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// `holderIdentity` of this process: unique among all that ever contend, restarts of the
    /// same pod included.
    pub identity: String,
    /// How long others wait for a renewal before they take over.
    pub lease_duration: Duration,
    /// How long the holder goes on without a renewal before it gives up.
    pub renew_deadline: Duration,
    /// Time between two attempts to acquire or renew.
    pub retry_period: Duration,
}

impl LeaseSettings {
    /// Periods of 6 s, 4 s and 1 s.
    ///
    /// Upstream's are 15 s, 10 s and 2 s. A takeover here begins with one list of each kind over stores that are warm, and
    /// a process that gives up is back within a second. A leader whose attempts are refused has three of them, and a
    /// request that it sent last has two seconds to be over before another leads.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(6),
            renew_deadline: Duration::from_secs(4),
            retry_period: Duration::from_secs(1),
        }
    }

    /// Checks the rules of client-go's `NewLeaderElector`.
    pub fn validate(&self) -> Result<(), LeaseError> {
        let rule = |field, value: Duration, rule: String| {
            Err(LeaseError {
                lease: self.lease(),
                field,
                value: format!("{value:?}"),
                rule,
            })
        };
        for (field, value) in [
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("identity", &self.identity),
        ] {
            if value.is_empty() {
                return Err(LeaseError {
                    lease: self.lease(),
                    field,
                    value: "\"\"".to_owned(),
                    rule: "must not be empty".to_owned(),
                });
            }
        }
        if self.retry_period.is_zero() {
            return rule(
                "retry period",
                self.retry_period,
                "must be above zero".to_owned(),
            );
        }
        if self.lease_duration.as_secs() < 1 {
            return rule(
                "lease duration",
                self.lease_duration,
                "must be at least 1s, the unit of a Lease".to_owned(),
            );
        }
        // Others count what the Lease says, and that has whole seconds.
        if Duration::from_secs(self.lease_duration.as_secs()) <= self.renew_deadline {
            return rule(
                "lease duration",
                self.lease_duration,
                format!(
                    "must be greater than the renew deadline, {:?}, in whole seconds",
                    self.renew_deadline
                ),
            );
        }
        let longest_retry = self.retry_period.mul_f64(JITTER);
        if self.renew_deadline <= longest_retry {
            return rule(
                "renew deadline",
                self.renew_deadline,
                format!("must be greater than {JITTER} times the retry period, {longest_retry:?}"),
            );
        }
        Ok(())
    }

    pub(super) fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub(super) fn path(&self) -> String {
        let Self {
            namespace, name, ..
        } = self;
        format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")
    }

    pub(super) fn collection(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.namespace
        )
    }

    /// Limit of one request: half the renew deadline and at least a second, as upstream's
    /// `resourcelock.NewFromKubeconfig` sets it, so that one lost reply does not cost the
    /// leadership.
    pub(super) fn request_limit(&self) -> Duration {
        (self.renew_deadline / 2).max(Duration::from_secs(1))
    }
}

/// Settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {lease}: {field} {value} {rule}")]
pub struct LeaseError {
    lease: String,
    field: &'static str,
    value: String,
    rule: String,
}
