//! Memory, processor time and files of this process, under the names that every exporter uses. Read
//! from `/proc`, so there are none where there is no Linux.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use super::page::{Page, figure};
use crate::run::open_files::most_open_files;

#[derive(Debug)]
pub(super) struct Process;

/// What `proc(5)` says of us.
#[derive(Debug, PartialEq)]
struct Usage {
    cpu_s: f64,
    started_s: f64,
    threads: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        if let Some(usage) = usage() {
            page.counter("process_cpu", "Processor time used.", seconds, usage.cpu_s)?;
            let help = "When the process started, since 1970.";
            page.gauge("process_start_time", help, seconds, usage.started_s)?;
            page.gauge(
                "process_threads",
                "Threads of the process.",
                None,
                figure(usage.threads),
            )?;
            let resident = figure(usage.resident_bytes);
            page.gauge("process_resident_memory", "Memory in use.", bytes, resident)?;
            let help = "Address space in use.";
            page.gauge(
                "process_virtual_memory",
                help,
                bytes,
                figure(usage.virtual_bytes),
            )?;
        }
        if let Some(open) = open_files() {
            page.gauge("process_open_fds", "Open files.", None, figure(open))?;
        }
        if let Some(most) = most_open_files() {
            page.gauge(
                "process_max_fds",
                "Most files that may be open.",
                None,
                figure(most),
            )?;
        }
        Ok(())
    }
}

fn usage() -> Option<Usage> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    parse(&stat, &system, ticks, rustix::param::page_size() as u64)
}

/// Reads `/proc/self/stat` and, for the time of boot, `/proc/stat`.
fn parse(stat: &str, system: &str, ticks: u64, page: u64) -> Option<Usage> {
    // The name in brackets may hold anything; the state behind it is field 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let seconds = |count: u64| figure(count) / figure(ticks.max(1));
    Some(Usage {
        cpu_s: seconds(number(14)? + number(15)?),
        started_s: figure(boot.trim().parse().ok()?) + seconds(number(22)?),
        threads: number(20)?,
        virtual_bytes: number(23)?,
        resident_bytes: number(24)? * page,
    })
}

fn open_files() -> Option<u64> {
    // The one that lists them is one of them.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat =
            "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1000 8192000 300 184467";
        let usage = parse(stat, "cpu 1 2\nbtime 1700000000\n", 100, 4096);
        let expected = Usage {
            cpu_s: 3.0,
            started_s: 1_700_000_010.0,
            threads: 9,
            virtual_bytes: 8_192_000,
            resident_bytes: 300 * 4096,
        };
        assert_eq!(usage, Some(expected));
        assert_eq!(parse("", "", 100, 4096), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let usage = usage().unwrap();
        assert!(
            usage.resident_bytes > 1024 * 1024 && usage.threads > 0,
            "{usage:?}"
        );
        assert!(open_files() > Some(2));
    }
}
