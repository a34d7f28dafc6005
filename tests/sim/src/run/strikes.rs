//! Faults strike, last and end.

use std::sync::atomic::Ordering;

use super::queue::Next;
use super::world::{World, millis};
use crate::fault::{Point, What};
use crate::history;
use crate::process::Manager;

impl World<'_> {
    /// Faults for the write that was counted last.
    pub(super) fn due_at_write(&mut self) -> Vec<usize> {
        self.at_writes
            .remove(&self.counts.writes)
            .unwrap_or_default()
    }

    /// Faults for the event that was counted last.
    pub(super) fn due_at_event(&mut self) -> Vec<usize> {
        if self.at_events.is_empty() {
            return Vec::new();
        }
        self.at_events
            .remove(&self.counts.events)
            .unwrap_or_default()
    }

    /// The fault that strikes now, unless faults are over.
    pub(super) fn strike(&mut self, index: usize, process: u32) -> Option<What> {
        if self.healed {
            return None;
        }
        let fault = self.config.plan.faults.get(index)?;
        if let Some(struck) = self.struck.get_mut(index) {
            *struck = true;
        }
        self.note(|| history::What::Fault(format!("{fault} (process {process})")));
        Some(fault.what)
    }

    pub(super) fn strike_at_time(&mut self, index: usize) {
        let Some(fault) = self.config.plan.faults.get(index) else {
            return;
        };
        let Point::Time(_, replica) = fault.at else {
            return;
        };
        let process = self.links.get(replica).map_or(0, |link| link.number);
        let Some(what) = self.strike(index, process) else {
            return;
        };
        let now = self.now;
        let lasts = |pause| now + millis(pause);
        match what {
            What::Outage(code, pause) => {
                self.outage = Some((code, lasts(pause)));
                self.lasts_until(lasts(pause));
            }
            What::Compact => self.api.compact(self.api.version()),
            What::Crash => self.lose(replica, "dies".to_owned()),
            What::Freeze { pause, late } => self.freeze_soon(replica, millis(pause), late),
            _ => {}
        }
        let version = self.api.version();
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        match what {
            What::Stop => {
                if let Some(process) = &link.process {
                    process.ask_to_stop();
                }
            }
            What::Partition(pause) => {
                link.cut_until = link.cut_until.max(lasts(pause));
                self.lasts_until(lasts(pause));
            }
            What::Lag(pause) => {
                // A server that lags already goes on lagging from where it is.
                let seen = link.lag.map_or(version, |(seen, _)| seen);
                link.lag = Some((seen, lasts(pause)));
                self.queue.push(lasts(pause), Next::CatchUp(replica));
                self.lasts_until(lasts(pause));
            }
            What::Slow(kind, by) => link.slow.push((kind, millis(by))),
            What::Clock(seconds) => {
                link.ahead.fetch_add(seconds * 1_000, Ordering::Relaxed);
                self.set_back += seconds.min(0).unsigned_abs() * 1_000;
            }
            _ => {}
        }
    }

    fn lasts_until(&mut self, at: u64) {
        self.faults_until = self.faults_until.max(at);
    }

    /// Has a process stopped in its tracks, once it has done what it can do without time going on.
    pub(super) fn freeze_soon(&mut self, replica: usize, pause: u64, late: bool) {
        let until = self.now + pause.max(2);
        let now = self.now;
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        if late {
            link.late_until = link.late_until.max(until);
        }
        let process = link.number;
        let at = link.process.as_ref().map_or(now, Manager::now);
        self.lasts_until(until);
        self.queue.push(
            at.max(now) + 1,
            Next::Freeze {
                replica,
                process,
                until,
            },
        );
    }

    pub(super) fn freeze(&mut self, replica: usize, process: u32, until: u64) {
        let healed = self.healed;
        let now = self.now;
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        if link.number != process || link.process.is_none() || healed || until <= now {
            return;
        }
        let until = link.frozen.map_or(until, |known| known.max(until));
        link.frozen = Some(until);
        self.queue.push(until, Next::Thaw(replica));
        self.note(|| history::What::Process {
            process,
            text: "is stopped in its tracks".to_owned(),
        });
    }

    pub(super) fn thaw(&mut self, replica: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        if link.frozen.is_none_or(|until| until > now) {
            return;
        }
        link.frozen = None;
        let number = link.number;
        if let Some(process) = &mut link.process {
            process.skip_to(now);
            self.note(|| history::What::Process {
                process: number,
                text: "goes on".to_owned(),
            });
        }
    }

    pub(super) fn catch_up(&mut self, replica: usize) {
        let now = self.now;
        let Some(link) = self.links.get_mut(replica) else {
            return;
        };
        if link.lag.is_some_and(|(_, until)| until <= now) {
            link.lag = None;
            self.show_all_of(replica);
        }
    }

    /// Every fault that lasts ends, and none strikes any more.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.outage = None;
        let now = self.now;
        for replica in 0..self.links.len() {
            if let Some(link) = self.links.get_mut(replica) {
                link.frozen = link.frozen.map(|_| now);
                link.late_until = now;
                link.cut_until = now;
                link.lag = None;
                link.slow.clear();
                link.ahead.store(0, Ordering::Relaxed);
            }
            self.thaw(replica);
        }
        self.release_streams();
        self.note(|| history::What::Fault("no more faults".to_owned()));
    }
}
