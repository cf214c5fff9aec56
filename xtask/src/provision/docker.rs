use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bellwether_programs::{on_path, target_dir};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::{Missing, apt};
use crate::step::{command, output, say};

/// Time limit for a started engine to answer, and for an engine to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Number of lines of the engine's log that are shown if it does not start.
const LOG_LINES_SHOWN: usize = 5;

/// A Docker engine that answers, with Compose. One that was started for this ends with it, and its
/// containers do.
pub(crate) struct Docker {
    started: Option<Engine>,
}

/// Makes sure that there are a Docker engine and Compose.
///
/// # Errors
/// [`Missing`] if there are none, and they cannot be installed and started either.
pub(crate) async fn docker() -> Result<Docker> {
    find_or_start().await.map_err(|error| {
        let missing = Missing(format!(
            "Docker with Compose is needed: install both, start the engine and let this user use it, so that `docker version` \
             and `docker compose version` work. To do so by itself has failed: {error:#}"
        ));
        error.context(missing)
    })
}

async fn find_or_start() -> Result<Docker> {
    if let Some(version) = version().await
        && has_compose().await
    {
        say(format_args!("docker: engine {version} is running"));
        return Ok(Docker { started: None });
    }
    install().await?;
    // An init system, if there is one, has started the engine during the installation.
    let mut started = None;
    let version = match version().await {
        Some(version) => version,
        None => started.insert(Engine::start()?).answers().await?,
    };
    ensure!(has_compose().await, "there is no Compose");
    say(format_args!("docker: engine {version} is running"));
    Ok(Docker { started })
}

impl Docker {
    /// Ends the engine if it was started for this.
    pub(crate) async fn end(self) -> Result<()> {
        match self.started {
            Some(engine) => engine.end().await,
            None => Ok(()),
        }
    }
}

/// Returns the version of the engine, if one answers.
async fn version() -> Option<String> {
    let version = output(command("docker").args(["version", "--format", "{{.Server.Version}}"])).await;
    Some(version.ok()?.trim().to_owned()).filter(|version| !version.is_empty())
}

async fn has_compose() -> bool {
    let works = async |program: &str, args: &[&str]| output(command(program).args(args)).await.is_ok();
    works("docker", &["compose", "version"]).await || works("docker-compose", &["version"]).await
}

async fn install() -> Result<()> {
    let mut packages = Vec::new();
    if on_path("docker").is_none() || on_path("dockerd").is_none() {
        packages.extend(["docker.io", "iptables"]);
    }
    if !has_compose().await {
        packages.push("docker-compose");
    }
    if packages.is_empty() {
        return Ok(());
    }
    say(format_args!("docker: not all of it is here."));
    apt::install(&packages).await
}

/// An engine of this program's own.
struct Engine {
    process: Child,
    log: PathBuf,
}

impl Engine {
    fn start() -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "no engine answers, and only root can start one"
        );
        let dir = target_dir()?.join("containers");
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let log = dir.join("dockerd.log");
        say(format_args!(
            "docker: no engine answers. Starting one; its log is {}",
            log.display()
        ));
        let file = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let mut dockerd = command("dockerd");
        dockerd
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ended below with a signal: after a kill, it would leave its containers behind.
            .kill_on_drop(false)
            // Ctrl-C is for this program, which ends the engine's containers first.
            .process_group(0);
        let process = dockerd.spawn().context("cannot start `dockerd`")?;
        Ok(Self { process, log })
    }

    /// Its version, as soon as it answers.
    async fn answers(&mut self) -> Result<String> {
        let started = Instant::now();
        loop {
            if let Some(version) = version().await {
                return Ok(version);
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("dockerd has ended ({status}): {}", end_of(&self.log));
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "dockerd does not answer: {}",
                end_of(&self.log)
            );
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn end(mut self) -> Result<()> {
        self.tell_to_end();
        let ended = timeout(PATIENCE, self.process.wait()).await;
        ended.with_context(|| format!("dockerd does not end; its log is {}", self.log.display()))??;
        Ok(())
    }

    fn tell_to_end(&self) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            // Fails only if it has ended already.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES_SHOWN);
    lines[skipped..].join("\n")
}
