use std::fs;
use std::path::Path;

use serde::Serialize;

/// The machine of a run, and its load.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Machine {
    /// Number of cores.
    pub cores: usize,
    /// Share of their time that was busy, in percent.
    pub busy_percent: u64,
    /// The largest load average of a minute.
    pub load: f64,
    /// The most memory this program used, in MiB.
    pub memory_mib: u64,
    /// Size of the run's directory on disk, in MiB, without MongoDB's data.
    pub disk_mib: u64,
    /// `true` if this program was built without optimisation; then the servers were too.
    pub debug_build: bool,
}

/// Watches the machine during a run.
#[derive(Debug)]
pub struct MachineWatch {
    began: Option<Jiffies>,
    load: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jiffies {
    idle: u64,
    all: u64,
}

impl MachineWatch {
    /// Watches from now on.
    pub fn start() -> Self {
        Self {
            began: jiffies(&read("/proc/stat")),
            load: 0.0,
        }
    }

    /// Takes note of the load; every few seconds is often enough.
    pub fn sample(&mut self) {
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().and_then(|load| load.parse().ok());
        self.load = self.load.max(load.unwrap_or(0.0));
    }

    /// Returns the measurements when the run is over; `dir` is its directory.
    pub fn finish(mut self, dir: &Path) -> Machine {
        self.sample();
        let ended = jiffies(&read("/proc/stat"));
        let busy = self
            .began
            .zip(ended)
            .map(|(began, ended)| ended.busy_percent(began));
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            busy_percent: busy.unwrap_or(0),
            load: self.load,
            memory_mib: peak_kib(&read("/proc/self/status")).unwrap_or(0) / 1024,
            disk_mib: size(dir) / (1024 * 1024),
            debug_build: cfg!(debug_assertions),
        }
    }
}

impl Jiffies {
    fn busy_percent(self, since: Self) -> u64 {
        let all = self.all.saturating_sub(since.all);
        let idle = self.idle.saturating_sub(since.idle);
        (all.saturating_sub(idle) * 100).checked_div(all).unwrap_or(0)
    }
}

/// Reads the first line of /proc/stat: `cpu user nice system idle iowait irq softirq steal …`.
fn jiffies(stat: &str) -> Option<Jiffies> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    // The last two, of guests, are counted among the first ones as well.
    let numbers = numbers.split_whitespace().take(8).map(str::parse);
    let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().ok()?;
    Some(Jiffies {
        idle: numbers.get(3)? + numbers.get(4)?,
        all: numbers.iter().sum(),
    })
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::symlink_metadata(path).map_or(0, |file| file.len());
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        let began = jiffies("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 2 3").unwrap();
        let ended = jiffies("cpu  250 0 150 750 150 0 0 0 90 0\n").unwrap();
        assert_eq!(
            began,
            Jiffies {
                idle: 800,
                all: 1_000
            }
        );
        assert_eq!(ended.busy_percent(began), 66);
        assert_eq!(jiffies(""), None);
    }

    #[test]
    fn the_peak_of_memory_is_found() {
        assert_eq!(peak_kib("Name: x\nVmHWM:\t   2048 kB\nVmRSS: 1 kB"), Some(2_048));
    }
}
