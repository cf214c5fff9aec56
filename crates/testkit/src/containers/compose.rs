use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_programs::root;
use mongodb::options::Credential;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::docker::{docker, docker_logs, inspect, run};
use super::networks::Attachment;
use crate::ports::free_ports;

/// Beginning of the names of all projects of tests; the number of the process follows.
const PROJECT: &str = "bellwether-test-";

/// Number of servers of `compose.five.yaml`.
const MOST_SERVERS: usize = 5;

/// The members of the replica set.
pub(super) const MEMBERS: [&str; 3] = ["m1", "m2", "m3"];

/// Number of lines of each log that a test shows when it fails.
const LOG_LINES_SHOWN: usize = 60;

/// The cluster that `docker/compose.yaml` describes, as a project of its own with ports of its own.
/// So it does not interfere with a cluster that a user has started from the same file. Everything
/// is removed when this is dropped, the data as well.
///
/// Services have the names of that file: `m1` to `m3`, `s1` to `s3`.
#[derive(Debug)]
pub struct Compose {
    project: String,
    /// Published ports of the servers, also of servers that do not exist yet.
    ports: Vec<u16>,
    servers: usize,
    /// The networks of each service, as they were when it was started.
    pub(super) attachments: HashMap<String, Vec<Attachment>>,
    pub(super) credential: OnceCell<Credential>,
}

impl Compose {
    /// Starts three servers and a replica set, and waits until all is well.
    ///
    /// # Errors
    /// If they do not start; the error states the reason and ends with their logs.
    pub async fn start() -> Result<Self> {
        remove_what_others_left().await?;
        let mut compose = Self {
            project: format!("{PROJECT}{}", std::process::id()),
            ports: free_ports(MOST_SERVERS)?,
            servers: 3,
            attachments: HashMap::new(),
            credential: OnceCell::new(),
        };
        if let Err(error) = compose.up().await {
            return Err(error.context(compose.ends_of_logs().await));
        }
        Ok(compose)
    }

    /// Runs `docker compose up -d`, and waits until all is well.
    ///
    /// # Errors
    /// If it fails, or all is not well for a long time.
    pub async fn up(&mut self) -> Result<()> {
        self.up_to(self.servers).await
    }

    /// Runs `docker compose up -d` for this number of servers: 3, or 5 with `compose.five.yaml`.
    /// Waits until Docker finds everything healthy and all is well.
    ///
    /// # Errors
    /// If it fails, or all is not well for a long time.
    pub async fn up_to(&mut self, servers: usize) -> Result<()> {
        ensure!(
            [3, MOST_SERVERS].contains(&servers),
            "there is no file for {servers} servers"
        );
        self.servers = servers;
        self.compose(["up", "-d", "--no-build", "--remove-orphans"])
            .await?;
        self.note_attachments().await?;
        for service in self.lasting_services() {
            self.healthy(&service).await?;
        }
        self.all_well().await.map(drop)
    }

    /// Runs `docker compose down`, which keeps the data.
    ///
    /// # Errors
    /// If it fails.
    pub async fn down(&self) -> Result<()> {
        self.compose(["down"]).await
    }

    /// Runs `docker compose restart` of a service, and waits until it is healthy.
    ///
    /// # Errors
    /// If it fails, or the service does not become healthy.
    pub async fn restart(&self, service: &str) -> Result<()> {
        self.compose(["restart", service]).await?;
        self.healthy(service).await
    }

    /// Puts a new container into the place of a service's, as after an upgrade of its image, and
    /// waits until it is healthy.
    ///
    /// # Errors
    /// If it fails, or the service does not become healthy.
    pub async fn replace(&self, service: &str) -> Result<()> {
        let before = self.container(service).await?;
        self.compose(["up", "-d", "--no-build", "--no-deps", "--force-recreate", service])
            .await?;
        ensure!(
            self.container(service).await? != before,
            "{service} has its old container"
        );
        self.healthy(service).await
    }

    /// Runs `docker kill`, which leaves the container dead, with any restart policy.
    ///
    /// # Errors
    /// If it fails.
    pub async fn kill(&self, service: &str) -> Result<()> {
        docker(["kill", &self.container(service).await?]).await.map(drop)
    }

    /// Runs `docker pause`.
    ///
    /// # Errors
    /// If it fails.
    pub async fn pause(&self, service: &str) -> Result<()> {
        docker(["pause", &self.container(service).await?]).await.map(drop)
    }

    /// Runs `docker stop`, with the grace period that the file gives the service. Returns the exit
    /// code, and the time it took.
    ///
    /// # Errors
    /// If it fails.
    pub async fn stop(&self, service: &str) -> Result<(i64, Duration)> {
        let container = self.container(service).await?;
        let asked = std::time::Instant::now();
        docker(["stop", &container]).await?;
        let took = asked.elapsed();
        let code = inspect(&container).await?["State"]["ExitCode"].as_i64();
        Ok((code.context("no exit code")?, took))
    }

    /// Returns the servers, in order.
    pub fn servers(&self) -> Vec<String> {
        (1..=self.servers).map(|number| format!("s{number}")).collect()
    }

    /// Returns the services that keep running: the servers and the members of the replica set.
    pub fn lasting_services(&self) -> Vec<String> {
        let members = MEMBERS.map(str::to_owned);
        members.into_iter().chain(self.servers()).collect()
    }

    /// Returns the published port of each server on 127.0.0.1.
    pub fn ports(&self) -> &[u16] {
        &self.ports[..self.servers]
    }

    /// Returns the URLs for clients of this many servers, even of servers that do not exist yet.
    pub fn urls(&self, servers: usize) -> Vec<String> {
        let ports = self.ports.iter().take(servers);
        ports.map(|port| format!("ws://localhost:{port}/v1")).collect()
    }

    /// Returns the address of the page, as this server serves it.
    pub fn page(&self, server: usize) -> String {
        format!("http://localhost:{}/", self.ports[server])
    }

    /// Returns the id of a service's container, running or not.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub async fn container(&self, service: &str) -> Result<String> {
        let label = format!("label=com.docker.compose.service={service}");
        let ids = docker([
            "ps",
            "--all",
            "--quiet",
            "--filter",
            &self.label(),
            "--filter",
            &label,
        ])
        .await?;
        let ids: Vec<&str> = ids.lines().collect();
        let [id] = ids[..] else {
            bail!("{service} has {} containers", ids.len());
        };
        Ok(id.to_owned())
    }

    /// Returns all containers of the project, including those that have done their work and ended.
    ///
    /// # Errors
    /// If Docker does not answer.
    pub async fn containers(&self) -> Result<Vec<String>> {
        let ids = docker(["ps", "--all", "--quiet", "--filter", &self.label()]).await?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    /// Returns Docker's description of a service's container.
    ///
    /// # Errors
    /// If there is none.
    pub async fn inspect(&self, service: &str) -> Result<Value> {
        inspect(&self.container(service).await?).await
    }

    /// Returns the id of the image that a service's container was made from.
    ///
    /// # Errors
    /// If it has no container.
    pub async fn image(&self, service: &str) -> Result<String> {
        let seen = self.inspect(service).await?;
        let image = seen["Image"].as_str().context("a container has an image")?;
        Ok(image.to_owned())
    }

    /// Returns the log of a service.
    ///
    /// # Errors
    /// If it has no container.
    pub async fn logs(&self, service: &str) -> Result<String> {
        docker_logs(&self.container(service).await?).await
    }

    /// Returns the name of one of the project's networks, such as `peers`, as Docker knows it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn network(&self, name: &str) -> Result<String> {
        let label = format!("label=com.docker.compose.network={name}");
        let mine = self.label();
        let list = [
            "network",
            "ls",
            "--format",
            "{{.Name}}",
            "--filter",
            &mine,
            "--filter",
            &label,
        ];
        let found = docker(list).await?;
        ensure!(
            !found.is_empty() && !found.contains('\n'),
            "the networks called {name}: {found:?}"
        );
        Ok(found)
    }

    /// Returns the ends of all containers' logs, for a developer who examines a failure.
    pub async fn ends_of_logs(&self) -> String {
        let mut text = String::new();
        for container in self.containers().await.unwrap_or_default() {
            let name = inspect(&container).await.map(|seen| {
                let (service, state) = (
                    &seen["Config"]["Labels"]["com.docker.compose.service"],
                    &seen["State"],
                );
                format!(
                    "{} ({}, exit code {})",
                    service.as_str().unwrap_or_default(),
                    state["Status"].as_str().unwrap_or_default(),
                    state["ExitCode"]
                )
            });
            let log = docker_logs(&container).await.unwrap_or_default();
            // The lines of a `mongod` that are not for information only.
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""s":"I""#)).collect();
            let end = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n");
            text += &format!("--- end of the log of {} ---\n{end}\n", name.unwrap_or(container));
        }
        text
    }

    /// Returns the label of the project's containers, networks and so on.
    fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.project)
    }

    async fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let mut command = Command::from(self.command(generation().await?));
        command.args(args).stdin(Stdio::null());
        run(command).await.map(drop)
    }

    /// Makes a command `docker compose` for this project's files, as a user would call it in their
    /// directory.
    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).current_dir(dir());
        command.args(["-p", &self.project, "-f", "compose.yaml"]);
        if self.servers == MOST_SERVERS {
            command.args(["-f", "compose.five.yaml"]);
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            // The developer's own settings do not apply to the cluster; the caller chooses the
            // tested image.
            let is_setting = name.starts_with("BELLWETHER_") || name.starts_with("COMPOSE_");
            if is_setting && name != "BELLWETHER_IMAGE" {
                command.env_remove(&*name);
            }
        }
        for (place, port) in self.ports.iter().enumerate() {
            command.env(format!("BELLWETHER_S{}_PORT", place + 1), port.to_string());
        }
        command
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let Some(words) = GENERATION.get() else {
            return;
        };
        let mut down = self.command(words);
        down.args(["down", "--volumes", "--remove-orphans", "--timeout", "0"]);
        match down.output() {
            Ok(output) if output.status.success() => {}
            other => eprintln!("{} is not removed: {other:?}", self.project),
        }
    }
}

/// Returns the directory of the files.
fn dir() -> PathBuf {
    root().join("docker")
}

static GENERATION: OnceCell<&[&str]> = OnceCell::const_new();

/// Returns the command for Compose on this machine: `docker compose` today, `docker-compose`
/// before.
async fn generation() -> Result<&'static [&'static str]> {
    let find = async || {
        for words in [&["docker", "compose"] as &[&str], &["docker-compose"]] {
            let mut version = Command::new(words[0]);
            version.args(&words[1..]).arg("version");
            if run(version).await.is_ok() {
                return Ok(words);
            }
        }
        bail!(
            "neither `docker compose` nor `docker-compose` works: run `cargo xtask containers`, which gets them"
        )
    };
    GENERATION.get_or_try_init(find).await.copied()
}

/// Removes the containers, networks and volumes of test programs that were killed before they
/// could.
async fn remove_what_others_left() -> Result<()> {
    let kinds: [(&str, &str, &[&str], &[&str]); 3] = [
        ("container", "{{.ID}}", &["--all"], &["--force", "--volumes"]),
        ("network", "{{.ID}}", &[], &[]),
        ("volume", "{{.Name}}", &[], &[]),
    ];
    for (kind, name, all, with_everything) in kinds {
        let format = format!(r#"{name} {{{{.Label "com.docker.compose.project"}}}}"#);
        let list = [kind, "ls", "--format", &format];
        let found = docker(list.iter().chain(all)).await?;
        let left = found.lines().filter_map(|line| line.split_once(' '));
        for (name, _) in left.filter(|(_, project)| is_left(project)) {
            docker([kind, "rm", name].iter().chain(with_everything)).await?;
        }
    }
    Ok(())
}

/// Returns `true` if this project is that of a test program that has ended.
fn is_left(project: &str) -> bool {
    let process = project.strip_prefix(PROJECT);
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}
