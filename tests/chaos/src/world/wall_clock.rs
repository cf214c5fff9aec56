use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwether_testkit::installed_faketime;

/// Wall clocks of servers, each of which can be set wrong. Monotonic clocks are left alone.
///
/// Each server is started with libfaketime, and reads from a file, every second anew, how far off
/// its clock is.
#[derive(Debug)]
pub(super) struct WallClocks {
    library: PathBuf,
    files: Vec<PathBuf>,
}

impl WallClocks {
    /// Makes clocks that are right, with their files in this directory; returns `None` if there is
    /// no libfaketime.
    pub(super) fn new(dir: &Path, count: usize) -> Result<Option<Self>> {
        let Some(library) = installed_faketime() else {
            return Ok(None);
        };
        let files = (0..count)
            .map(|place| dir.join(format!("s{}.clock", place + 1)))
            .collect();
        let clocks = Self { library, files };
        for place in 0..count {
            clocks.set(place, 0)?;
        }
        Ok(Some(clocks))
    }

    /// Returns the environment variables that give a server this clock.
    pub(super) fn environment(&self, place: usize) -> Vec<(OsString, OsString)> {
        let variables: [(&str, OsString); 4] = [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.files[place].clone().into()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ];
        variables.map(|(name, value)| (name.into(), value)).into()
    }

    /// Sets a clock off by this number of seconds.
    pub(super) fn set(&self, place: usize, seconds: i32) -> Result<()> {
        let file = &self.files[place];
        let new = file.with_extension("clock.new");
        // Renamed, so that no process reads half of it.
        fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&new, file))
            .with_context(|| format!("writing {}", file.display()))
    }
}
