use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::wait::{Hopeless, wait_until};

/// The data to start a process, and to start it again.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name in messages.
    pub name: String,
    /// A command that does something before it executes the program in its own place, such as
    /// `nsenter --net=FILE`; empty if nothing must be done.
    pub launcher: Vec<OsString>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The file its output goes to. A restart appends.
    pub log: PathBuf,
}

/// A child process. It has a process group of its own, so Ctrl-C in the terminal does not reach it.
/// It is killed when this value is dropped. If `setpriv` of util-linux is installed, it is also
/// killed when this program dies in any way.
#[derive(Debug)]
pub struct Process {
    recipe: Recipe,
    child: Child,
    paused: bool,
}

impl Process {
    /// Starts a process.
    ///
    /// # Errors
    /// If the program cannot be started or the log file not be written.
    pub fn start(recipe: Recipe) -> Result<Self> {
        let child = spawn(&recipe)?;
        Ok(Self {
            recipe,
            child,
            paused: false,
        })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its name in messages.
    pub fn name(&self) -> &str {
        &self.recipe.name
    }

    /// Returns the file its output goes to.
    pub fn log(&self) -> &Path {
        &self.recipe.log
    }

    /// Returns `true` if it still runs. A paused process runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns `true` if it was paused and not resumed.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Sends `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        if self.is_running() {
            self.signal(Signal::SIGKILL)?;
        }
        self.child
            .wait()
            .with_context(|| format!("waiting for {} to end", self.recipe.name))?;
        Ok(())
    }

    /// Sends `kill -9`, without waiting until the process is gone.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn strike(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)
    }

    /// Sends `SIGSTOP`: the process stops, with all its connections open.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.paused = true;
        Ok(())
    }

    /// Sends `SIGCONT`: the process goes on where it was paused.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.paused = false;
        Ok(())
    }

    /// Sends `SIGTERM`, which asks the process to end.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let what = format!("{} to end", self.recipe.name);
        wait_until(&what, async || self.child.try_wait()?.context("it still runs")).await
    }

    /// Kills it if it still runs and starts it again in the same way.
    ///
    /// # Errors
    /// As [`Process::kill`] and [`Process::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.child = spawn(&self.recipe)?;
        self.paused = false;
        Ok(())
    }

    /// Returns all of its output.
    pub fn log_text(&self) -> String {
        let text = fs::read(&self.recipe.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Returns the last lines of its output.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log_text();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Returns an error with the end of the log if the process has ended, which it should not have.
    ///
    /// # Errors
    /// If it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let (name, tail) = (&self.recipe.name, self.log_tail(15));
        Err(Hopeless(format!("{name} ended ({status}). The end of its log:\n{tail}")).into())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_raw(i32::try_from(self.child.id())?);
        killpg(group, signal).with_context(|| format!("sending {signal} to {}", self.recipe.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; any other error has no receiver.
        let _ = self.kill();
    }
}

fn spawn(recipe: &Recipe) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(&recipe.log)
        .with_context(|| format!("writing the log file {}", recipe.log.display()))?;
    let mut words: Vec<&OsStr> = Vec::new();
    if parent_death_is_noticed() {
        words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsStr::new));
    }
    words.extend(recipe.launcher.iter().map(OsString::as_os_str));
    words.push(recipe.program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(&recipe.args);
    command.process_group(0).stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    for (name, _) in std::env::vars_os() {
        // The developer's own settings are not the cluster's.
        if name.to_string_lossy().starts_with("BELLWETHER_") {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1");
    spawn_from_lasting_thread(command)
        .with_context(|| format!("starting {} ({})", recipe.name, recipe.program.display()))
}

/// Returns `true` if there is a `setpriv` that can have a child killed when its parent dies.
fn parent_death_is_noticed() -> bool {
    static NOTICED: OnceLock<bool> = OnceLock::new();
    *NOTICED.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Spawns from a thread that lasts as long as this program. A child is killed when its "parent"
/// dies, and that is the thread that spawned it. Threads of a runtime or a test come and go.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                // The caller waits for the reply, so it is there to take it.
                let _ = reply.send(command.spawn());
            }
        });
        jobs
    });
    let gone = || io::Error::other("the thread that starts processes has ended");
    let (reply, child) = mpsc::channel();
    spawner.send((command, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
