use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Where systems put libfaketime, besides a directory that is named after the machine's kind.
const PLACES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Wall clocks of servers, each of which can be put off the right time. Clocks that only grow are left alone.
///
/// Each server is started with libfaketime, and reads from a file, every second anew, how far off its clock is.
#[derive(Debug)]
pub(super) struct WallClocks {
    library: PathBuf,
    files: Vec<PathBuf>,
}

impl WallClocks {
    /// Clocks that are right, with their files in this directory; `None` where there is no libfaketime.
    pub(super) fn new(dir: &Path, count: usize) -> Result<Option<Self>> {
        let Some(library) = library() else {
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

    /// What a server needs in its environment to have this clock.
    pub(super) fn environment(&self, place: usize) -> Vec<(OsString, OsString)> {
        let variables: [(&str, OsString); 4] = [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.files[place].clone().into()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ];
        variables.map(|(name, value)| (name.into(), value)).into()
    }

    /// Puts a clock off by so many seconds.
    pub(super) fn set(&self, place: usize, seconds: i32) -> Result<()> {
        let file = &self.files[place];
        let new = file.with_extension("clock.new");
        // Renamed, so that nobody reads half of it.
        fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| fs::rename(&new, file))
            .with_context(|| format!("writing {}", file.display()))
    }
}

/// The library, if there is one that can be loaded.
fn library() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = PLACES.map(PathBuf::from).into();
    places.extend(PLACES.map(|place| Path::new(place).join(format!("{}-linux-gnu", std::env::consts::ARCH))));
    let libraries = places.into_iter().map(|place| place.join(LIBRARY));
    libraries.filter(|library| library.is_file()).find(|library| {
        let tried = Command::new("true").env("LD_PRELOAD", library).output();
        // What cannot be preloaded is only complained about.
        tried.is_ok_and(|tried| tried.status.success() && tried.stderr.is_empty())
    })
}
