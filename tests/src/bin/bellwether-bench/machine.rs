use std::fmt;
use std::fs;

use anyhow::{Context, Result};
use bellwether_testkit::markdown::line;
use bson::doc;
use mongodb::Client;
use serde::{Deserialize, Serialize};

/// The machine of the measurements.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cores: usize,
    /// The load average of the last minute, before the first measurement.
    load: String,
    mongodb: String,
    debug_build: bool,
}

impl Machine {
    pub(crate) async fn seen(client: &Client) -> Result<Self> {
        let build = client
            .database("admin")
            .run_command(doc! { "buildInfo": 1 })
            .await?;
        let load = fs::read_to_string("/proc/loadavg").context("reading the load average")?;
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            mongodb: build.get_str("version")?.to_owned(),
            debug_build: cfg!(debug_assertions),
        })
    }

    /// Prints the line that goes above a table.
    pub(crate) fn show(&self) {
        line(&format!("{self}\n"));
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cores, load, mongodb, ..
        } = self;
        write!(
            f,
            "{cores} cores for three `mongod` {mongodb}, three servers and the clients; load average before: {load}."
        )?;
        if self.debug_build {
            f.write_str(" **A debug build: no figures.**")?;
        }
        Ok(())
    }
}
