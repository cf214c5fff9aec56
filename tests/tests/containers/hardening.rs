//! Properties and privileges of the containers, as Docker reports them.

use anyhow::{Context, Result, ensure};
use bellwether_testkit::docker;
use serde_json::{Value, json};

use crate::stage::Stage;

/// In bytes.
const LARGEST_IMAGE: u64 = 20_000_000;

pub(crate) async fn servers_are_nobody_and_write_nothing(stage: &mut Stage) -> Result<()> {
    for server in stage.compose.servers() {
        let seen = stage.compose.inspect(&server).await?;
        expect_hardened(&server, &seen)?;
        let user = &seen["Config"]["User"];
        ensure!(user == "65534:65534", "{server} is {user}");
        let uids = uids(&seen).await?;
        ensure!(uids == ["65534"], "the processes of {server} are of {uids:?}");
        let check = &seen["Config"]["Healthcheck"]["Test"];
        ensure!(
            check[1] == "/bellwether-server",
            "{server} is checked with {check}"
        );
        let restart = &seen["HostConfig"]["RestartPolicy"]["Name"];
        ensure!(restart == "unless-stopped", "{server} is restarted {restart}");
        let writable: Vec<&Value> = mounts(&seen).filter(|mount| mount["RW"] == true).collect();
        ensure!(writable.is_empty(), "{server} can write to {writable:?}");
    }
    Ok(())
}

pub(crate) async fn mongods_run_without_rights(stage: &mut Stage) -> Result<()> {
    for member in ["m1", "m2", "m3"] {
        let seen = stage.compose.inspect(member).await?;
        expect_hardened(member, &seen)?;
        let uids = uids(&seen).await?;
        ensure!(uids == ["999"], "the processes of {member} are of {uids:?}");
    }
    Ok(())
}

/// Checks that ports are published on this machine alone, unless the operator configures another
/// address.
pub(crate) async fn only_clients_ports_are_published(stage: &mut Stage) -> Result<()> {
    let ports = stage.compose.ports().to_vec();
    for (server, port) in stage.compose.servers().iter().zip(&ports) {
        let published = published(&stage.compose.inspect(server).await?);
        let expected = json!({ "7001/tcp": [{ "HostIp": "127.0.0.1", "HostPort": port.to_string() }] });
        ensure!(published == expected, "{server} is published at {published}");
    }
    for member in ["m1", "m2", "m3"] {
        let published = published(&stage.compose.inspect(member).await?);
        ensure!(published == json!({}), "{member} is published at {published}");
    }
    Ok(())
}

pub(crate) async fn the_image_is_small(stage: &mut Stage) -> Result<()> {
    let image = stage.compose.image("s1").await?;
    let seen: Value = serde_json::from_str(&docker(["image", "inspect", &image]).await?)?;
    let seen = &seen[0];
    let size = seen["Size"].as_u64().context("an image has a size")?;
    println!("the server's image: {size} bytes");
    ensure!(size < LARGEST_IMAGE, "the image has {size} bytes");
    let config = &seen["Config"];
    ensure!(
        config["User"] == "65534:65534",
        "the image runs as {}",
        config["User"]
    );
    ensure!(config["StopSignal"] == "SIGTERM", "{}", config["StopSignal"]);
    let labels = config["Labels"].as_object();
    for label in ["title", "version", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        let is_there = labels.is_some_and(|labels| labels.contains_key(&label));
        ensure!(is_there, "the image has no label {label}: {labels:?}");
    }
    Ok(())
}

fn expect_hardened(service: &str, seen: &Value) -> Result<()> {
    let host = &seen["HostConfig"];
    ensure!(host["ReadonlyRootfs"] == true, "{service} can write to its root");
    ensure!(
        host["CapDrop"] == json!(["ALL"]),
        "{service} drops {}",
        host["CapDrop"]
    );
    ensure!(
        host["CapAdd"].as_array().is_none_or(Vec::is_empty),
        "{service} adds {}",
        host["CapAdd"]
    );
    ensure!(host["Privileged"] == false, "{service} is privileged");
    let options = host["SecurityOpt"].to_string();
    ensure!(options.contains("no-new-privileges"), "{service} has {options}");
    ensure!(
        !seen["Config"]["Healthcheck"].is_null(),
        "{service} has no health check"
    );
    Ok(())
}

/// Returns the users of a container's processes, as the kernel reports them.
async fn uids(seen: &Value) -> Result<Vec<String>> {
    let container = seen["Id"].as_str().context("a container has an id")?;
    let table = docker(["top", container, "-eo", "uid,pid"]).await?;
    let mut uids: Vec<String> = table
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect();
    uids.dedup();
    Ok(uids)
}

fn mounts(seen: &Value) -> impl Iterator<Item = &Value> {
    seen["Mounts"].as_array().into_iter().flatten()
}

/// Returns the ports of a container that the machine passes on, with their places there.
fn published(seen: &Value) -> Value {
    let ports = seen["NetworkSettings"]["Ports"].as_object().into_iter().flatten();
    let published = ports.filter(|(_, at)| !at.is_null());
    Value::Object(published.map(|(port, at)| (port.clone(), at.clone())).collect())
}
