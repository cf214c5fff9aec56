//! All containers at once.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Compose, docker, docker_logs};
use tempfile::TempDir;

use crate::fault::Recovers;
use crate::stage::Stage;

/// Checks that the effects of executed commands are still there, of all cases of this run.
pub(crate) async fn stopped_and_started(stage: &mut Stage) -> Result<()> {
    // Those of the first start go away with their containers.
    no_secret_was_shown(stage).await.context("before")?;
    let what = "`docker compose down` and `up`, with the data kept";
    let again = async |compose: &mut Compose, _coordinator: usize| {
        compose.down().await?;
        let left = compose.containers().await?;
        ensure!(left.is_empty(), "containers after down: {left:?}");
        compose.up().await
    };
    stage.fault(what, Recovers::ByItself, again).await?;
    stage.check_all().await
}

/// Checks that no secret is in Docker's description of a container or in its log.
pub(crate) async fn no_secret_was_shown(stage: &mut Stage) -> Result<()> {
    let secrets = secrets(&stage.compose).await?;
    // The members' key, the servers' secret, and the password of their user, at least.
    ensure!(secrets.len() >= 3, "{} secrets found", secrets.len());
    for container in stage.compose.containers().await? {
        let known = docker(["inspect", &container]).await?;
        let written = docker_logs(&container).await?;
        for (what, text) in [("docker inspect", known), ("the log", written)] {
            for (file, secret) in &secrets {
                let shown = text.contains(secret);
                ensure!(!shown, "{what} of container {container} shows a secret of {file}");
            }
        }
    }
    Ok(())
}

/// Returns every secret of every file in the volumes that the service `secrets` fills, with the
/// file's name.
async fn secrets(compose: &Compose) -> Result<Vec<(String, String)>> {
    let seen = compose.inspect("secrets").await?;
    let mounts = seen["Mounts"].as_array().into_iter().flatten();
    let volumes = mounts.filter(|mount| mount["Type"] == "volume");
    let mut secrets = Vec::new();
    for volume in volumes {
        let dir = TempDir::with_prefix("bellwether-secrets-")?;
        let path = volume["Destination"].as_str().context("a mount has a place")?;
        compose
            .copy_out("secrets", path, &dir.path().join("volume"))
            .await?;
        read(dir.path(), &mut secrets)?;
    }
    Ok(secrets)
}

fn read(dir: &Path, secrets: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, secrets)?;
            continue;
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path)?;
        // A password in a URI is between a colon and an at sign; everything else is a line of its
        // own.
        let passwords = text.split(':').filter_map(|part| part.split_once('@'));
        let passwords = passwords.map(|(password, _)| password);
        let lines = text.lines().filter(|line| !line.contains("://"));
        let found = passwords.chain(lines).filter(|secret| secret.trim().len() >= 16);
        secrets.extend(found.map(|secret| (name.clone(), secret.trim().to_owned())));
    }
    Ok(())
}
