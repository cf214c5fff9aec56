use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;

/// The kernel counts processor time for user space in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time of all threads of a process since it started, in user space and in
/// the kernel.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the program's name in brackets, which may hold anything; user and system
    // time are the 14th and the 15th.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = ticks()
        .zip(ticks())
        .with_context(|| format!("{path} says something unexpected"))?;
    Ok(TICK * (user + system))
}

/// Memory use of a process, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
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

/// Lets this program, and the servers that inherit the limit, have this number of files open.
pub(crate) fn allow_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        bail!(
            "{wanted} open files are needed, and this machine allows {hard}: raise the limit (`ulimit -n`)"
        );
    }
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

/// Reads a line such as `VmRSS:   1234 kB`, and returns bytes.
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
