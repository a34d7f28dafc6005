//! The `process_*` figures of every Prometheus client, read from `/proc` at each scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Clock ticks per second in `/proc/<pid>/stat` (`USER_HZ`): 100 on every Linux
/// architecture that Kubernetes runs on, whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` when it is asked. A figure that cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields = after_command(&stat);

        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes",
                kilobytes(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes",
                kilobytes(&status, "VmSize:"),
            ),
            (
                "process_threads",
                "Number of threads of the process",
                word(&status, "Threads:"),
            ),
            (
                "process_open_fds",
                "Number of open file descriptors",
                std::fs::read_dir("/proc/self/fd")
                    .ok()
                    .and_then(|entries| u32::try_from(entries.count()).ok())
                    .map(f64::from),
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors",
                std::fs::read_to_string("/proc/self/limits")
                    .ok()
                    .and_then(|limits| word(&limits, "Max open files")),
            ),
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds",
                start_time(&fields),
            ),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
                gauge.encode(metric)?;
            }
        }
        if let Some(seconds) = cpu_seconds(&fields) {
            let counter = ConstCounter::new(seconds);
            let metric = encoder.encode_descriptor(
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds",
                None,
                counter.metric_type(),
            )?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}

/// The fields of `stat` behind the command, which is in parentheses and may hold blanks:
/// the first is field 3 of proc(5).
fn after_command(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')')
        .map(|(_, rest)| rest.split_ascii_whitespace().collect())
        .unwrap_or_default()
}

/// Field `number` of proc(5)'s numbering.
fn field(fields: &[&str], number: usize) -> Option<f64> {
    fields.get(number - 3)?.parse().ok()
}

fn cpu_seconds(fields: &[&str]) -> Option<f64> {
    Some((field(fields, 14)? + field(fields, 15)?) / TICKS_PER_SECOND)
}

fn start_time(fields: &[&str]) -> Option<f64> {
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    Some(word(&system, "btime ")? + field(fields, 22)? / TICKS_PER_SECOND)
}

/// The first number behind `label` at the start of a line.
fn word(text: &str, label: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(label))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

fn kilobytes(text: &str, label: &str) -> Option<f64> {
    word(text, label).map(|value| value * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 12345 1 2 3";
        let fields = after_command(stat);
        assert_eq!(fields[0], "S");
        assert_eq!(cpu_seconds(&fields), Some(3.0));
        assert_eq!(field(&fields, 22), Some(12345.0));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(cpu_seconds(&after_command("")), None);
        assert_eq!(word("VmRSS:\tlots kB\n", "VmRSS:"), None);
        assert_eq!(
            kilobytes("Name:\tx\nVmRSS:\t   2048 kB\n", "VmRSS:"),
            Some(2_097_152.0)
        );
    }
}
