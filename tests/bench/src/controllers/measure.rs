//! One measured stretch of time: processor time of each process and requests to the API server.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::subject::{Running, Subject};
use crate::counters::{Counts, Requests, difference};
use crate::proc;
use crate::results::{Check, Phase, Run};

/// A stretch that has begun.
pub struct Measuring {
    counters: Requests,
    own: Requests,
    controller: f64,
    apiserver: f64,
    etcd: f64,
    /// When it began.
    pub began: Instant,
}

impl Measuring {
    /// Begins; the controller, if there is one by now, must be quiet.
    pub async fn begin(cluster: &Cluster, running: Option<&Running>) -> Result<Self> {
        let counters = cluster.api.counters().await?;
        let own = cluster.api.own_requests();
        Ok(Self {
            counters,
            own,
            controller: running.map_or(Ok(0.0), |running| proc::cpu_seconds(running.pid()))?,
            apiserver: proc::cpu_seconds(cluster.apiserver()?)?,
            etcd: proc::cpu_seconds(cluster.etcd()?)?,
            began: Instant::now(),
        })
    }

    /// Ends. `reached` is when what was asked for was there; whatever the controller did after that, until it was quiet,
    /// counts as its work but not as waiting time.
    pub async fn end(
        self,
        cluster: &Cluster,
        running: &Running,
        reached: Instant,
    ) -> Result<Phase> {
        // Processor times first: reading the counters costs the API server some.
        let controller = proc::cpu_seconds(running.pid())?;
        let apiserver = proc::cpu_seconds(cluster.apiserver()?)?;
        let etcd = proc::cpu_seconds(cluster.etcd()?)?;
        let own_now = cluster.api.own_requests();
        let counters = cluster.api.counters().await?;
        let own = difference(&own_now, &self.own, &Requests::new());
        Ok(Phase {
            wall_s: reached.duration_since(self.began).as_secs_f64(),
            controller_cpu_s: controller - self.controller,
            apiserver_cpu_s: apiserver - self.apiserver,
            etcd_cpu_s: etcd - self.etcd,
            counts: Counts::of(&difference(&counters, &self.counters, &own)),
        })
    }
}

/// A run that is being put together.
pub struct Recording {
    run: Run,
}

impl Recording {
    /// Of `subject` in `scenario`, with so many pods.
    pub fn new(scenario: &str, subject: Subject, pods: u64) -> Self {
        Self {
            run: Run {
                scenario: scenario.to_owned(),
                subject,
                pods,
                pair: 0,
                kept: true,
                load: proc::load(),
                phases: BTreeMap::new(),
                figures: BTreeMap::new(),
                checks: Vec::new(),
            },
        }
    }

    /// Adds a phase.
    pub fn phase(&mut self, name: &str, phase: Phase) {
        self.run.phases.insert(name.to_owned(), phase);
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &str, value: f64) {
        self.run.figures.insert(name.to_owned(), value);
    }

    /// Adds a check that two numbers are the same.
    pub fn same(&mut self, what: &str, found: u64, wanted: u64) {
        self.run.checks.push(Check {
            what: what.to_owned(),
            passed: found == wanted,
            found: format!("{found}, wanted {wanted}"),
        });
    }

    /// Adds a check that a number is not above another.
    pub fn at_most(&mut self, what: &str, found: u64, most: u64) {
        self.run.checks.push(Check {
            what: what.to_owned(),
            passed: found <= most,
            found: format!("{found}, at most {most}"),
        });
    }

    /// Our own writes are never refused: nobody else writes these objects.
    pub fn nothing_refused(&mut self, phase: &str) {
        if !self.run.subject.is_ours() {
            return;
        }
        let counts = &self.run.phases[phase].counts;
        let refused: u64 = counts.refused.values().sum();
        let found = format!("{:?}", counts.refused);
        self.run.checks.push(Check {
            what: format!("{phase}: no write is refused"),
            passed: refused == 0,
            found,
        });
    }

    /// Adds memory and derived figures and hands the run out.
    pub fn finish(mut self, running: &Running) -> Result<Run> {
        self.figure("rss_peak_mb", megabytes(proc::peak_rss(running.pid())?));
        self.figure("rss_mb", megabytes(proc::rss(running.pid())?));
        Ok(self.run)
    }
}

/// Bytes for people: millions.
pub fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 bytes")]
    let bytes = bytes as f64;
    bytes / 1e6
}
