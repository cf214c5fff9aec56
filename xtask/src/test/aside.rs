//! Checks that run at low priority while the tests run.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};
use bellwether_programs::{on_path, target_dir};
use tokio::process::{Child, Command};

use crate::step::{command, show};

/// A command of this program that runs in the background, in processes of the lowest priority. The
/// tests mostly wait for real processes, and leave the processors to it meanwhile.
pub(super) struct Aside {
    running: Child,
    printed: File,
}

impl Aside {
    /// Starts `cargo xtask` with these arguments.
    ///
    /// # Errors
    /// If there is neither `chrt` nor `nice`, or no file for the output.
    pub(super) fn start(args: &[&str]) -> Result<Self> {
        let printed = tempfile::tempfile().context("making a file for the output")?;
        let mut program = std::env::current_exe().context("this program does not know where it lies")?;
        if !program.is_file() {
            // Cargo has built this program anew meanwhile.
            program = target_dir()?.join("debug").join("xtask");
        }
        let running = lowest_priority()
            .arg(program)
            .args(args)
            .stdout(printed.try_clone()?)
            .stderr(printed.try_clone()?)
            .spawn()
            .context("starting the checks beside the tests")?;
        Ok(Self { running, printed })
    }

    /// Waits for its end, and shows what it has printed.
    ///
    /// # Errors
    /// If it failed.
    pub(super) async fn finish(mut self) -> Result<()> {
        let status = self.running.wait().await?;
        let mut printed = Vec::new();
        self.printed.seek(SeekFrom::Start(0))?;
        self.printed.read_to_end(&mut printed)?;
        String::from_utf8_lossy(&printed).lines().for_each(show);
        ensure!(status.success(), "its messages are above");
        Ok(())
    }
}

/// Returns a command that starts a program which runs only when no other program needs the
/// processor. `nice` still gives a program one part in seventy.
fn lowest_priority() -> Command {
    let (program, args) = match on_path("chrt") {
        Some(_) => ("chrt", ["--idle", "0"]),
        None => ("nice", ["-n", "19"]),
    };
    let mut lowest = command(program);
    lowest.args(args);
    lowest
}
