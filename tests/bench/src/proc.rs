//! What the kernel says of a process: processor time and memory.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`: Linux shows user space 100 on every architecture that we run on.
const TICKS: f64 = 100.0;

/// Processor time that the process has used, user and system, over all its threads, in seconds (steps of 10 ms).
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let file = format!("/proc/{pid}/stat");
    let line = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    parse_cpu(&line).with_context(|| format!("{file} has no processor time: {line:?}"))
}

/// The most memory that was resident at once, in bytes (`VmHWM`).
pub fn peak_rss(pid: u32) -> Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// Memory that is resident now, in bytes (`Rss` of `smaps_rollup`, which is exact where `VmRSS` is an estimate).
pub fn rss(pid: u32) -> Result<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Rss:")
}

/// The program's name in the second field may hold spaces and parentheses.
fn parse_cpu(line: &str) -> Option<f64> {
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

fn field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    parse_kilobytes(&text, name).with_context(|| format!("{file} has no {name}"))
}

fn parse_kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// The machine, as far as it decides over the figures.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine. What cannot be found out is left empty.
    pub fn here() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(String::new, |(_, name)| name.trim().to_owned());
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: parse_kilobytes(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) >> 30,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The load average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let line = "42 (a) (b c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 7 20 0 4 0 100 1 1";
        assert_eq!(parse_cpu(line), Some(3.0));
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "Name:\tx\nVmHWM:\t   12 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(parse_kilobytes(text, "VmHWM:"), Some(12_288));
        assert_eq!(parse_kilobytes(text, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let me = std::process::id();
        assert!(cpu_seconds(me).is_ok());
        assert!(peak_rss(me).unwrap() >= rss(me).unwrap() / 2);
    }
}
