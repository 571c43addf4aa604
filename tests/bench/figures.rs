//! Medians, percentiles, and what the machine was doing meanwhile.

use std::fs;
use std::time::Duration;

/// The value below which a `share` of all values lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1).expect("something was measured");
    sorted[(share * last as f64).round() as usize]
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// To as many decimals as a reader wants.
pub(crate) fn rounded(value: f64) -> f64 {
    let scale = if value.abs() < 100.0 { 1e3 } else { 10.0 };
    (value * scale).round() / scale
}

/// The machine's load average over the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").expect("a Linux");
    let first = text.split(' ').next().expect("three averages");
    first.parse().expect("a number")
}

/// Proportional share of memory of a process, in bytes.
pub(crate) fn memory(process: u32) -> u64 {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: u64 = kilobytes
        .and_then(|number| number.parse().ok())
        .expect("Linux tells it");
    kilobytes * 1024
}

/// Milliseconds that a process has computed.
pub(crate) fn computed(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, fields) = text.rsplit_once(") ").expect("its name is in brackets");
    let fields: Vec<&str> = fields.split(' ').collect();
    // User and system time, in hundredths of a second.
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    10.0 * (ticks(11) + ticks(12))
}
