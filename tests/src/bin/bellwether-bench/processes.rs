use std::fs;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The kernel counts processor time for user space in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// The processes that share the machine with this one.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    pub(crate) servers: Vec<u32>,
    pub(crate) mongods: Vec<u32>,
}

/// Processor time since the processes started or, as a difference, of some while.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CpuTime {
    /// All servers together, as are the members of the replica set.
    pub(crate) servers: Duration,
    pub(crate) mongods: Duration,
    /// This program.
    pub(crate) client: Duration,
}

impl Processes {
    pub(crate) fn cpu_time(&self) -> Result<CpuTime> {
        let all = |pids: &[u32]| pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>();
        Ok(CpuTime {
            servers: all(&self.servers)?,
            mongods: all(&self.mongods)?,
            client: cpu_time(std::process::id())?,
        })
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            servers: self.servers.saturating_sub(earlier.servers),
            mongods: self.mongods.saturating_sub(earlier.mongods),
            client: self.client.saturating_sub(earlier.client),
        }
    }
}

/// Processor time of all threads of a process since it started, in user space and in the kernel.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the program's name in brackets, which may hold anything; user and system time are the
    // 14th and the 15th.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = ticks()
        .zip(ticks())
        .with_context(|| format!("{path} says something unexpected"))?;
    Ok(TICK * (user + system))
}

/// What a process takes of the memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All its pages that are in memory.
    pub(crate) resident: u64,
    /// As `resident`, but of pages it shares with other processes only its part.
    pub(crate) proportional: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        Ok(Self {
            resident: kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")?,
            proportional: kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")?,
            peak: kilobytes(&format!("/proc/{pid}/status"), "VmHWM:")?,
        })
    }
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn kilobytes(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let number: u64 = number
        .with_context(|| format!("{path} does not say {name}"))?
        .trim()
        .parse()?;
    Ok(number * 1024)
}
