//! Containers that do not belong to the cluster.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Result, ensure};
use bellwether_testkit::{Agreement, Compose, docker, wait_until};
use tempfile::TempDir;

use crate::stage::Stage;

/// The server's name that strangers use.
const STOLEN: &str = "s1";

/// Has bash try to open connections, all at the same time, and print the result of each.
const TRY: &str = r#"for target in "$@"; do
    if timeout 2 bash -c "exec 3<>/dev/tcp/$target" 2>/dev/null; then echo "$target open"; else echo "$target closed"; fi &
done
wait"#;

/// Clients cannot reach the ports that are only for servers or for `mongod`s.
pub(crate) async fn clients_reach_neither_mongods_nor_peers(stage: &mut Stage) -> Result<()> {
    let compose = &stage.compose;
    let (mut mongods, mut peers) = (Vec::new(), Vec::new());
    for member in ["m1", "m2", "m3"] {
        let address = compose.address(member, "database").await?;
        mongods.extend([format!("{member}/27017"), format!("{address}/27017")]);
    }
    for server in compose.servers() {
        let address = compose.address(&server, "peers").await?;
        peers.extend([format!("{server}-peer/7101"), format!("{address}/7101")]);
    }
    // All of them are where they should be.
    expect(compose, "database", &mongods, "open").await?;
    expect(compose, "peers", &peers, "open").await?;

    let mut hidden = [mongods.as_slice(), peers.as_slice()].concat();
    for server in compose.servers() {
        hidden.push(format!("{server}/7101"));
        hidden.push(format!("{}/7101", compose.address(&server, "clients").await?));
    }
    expect(compose, "clients", &hidden, "closed").await?;
    expect(compose, "database", &peers, "closed").await?;
    expect(compose, "peers", &mongods, "closed").await
}

async fn expect(compose: &Compose, network: &str, targets: &[String], state: &str) -> Result<()> {
    let network_name = compose.network(network).await?;
    let image = compose.image("m1").await?;
    let mut run = vec![
        "run",
        "--rm",
        "--network",
        &network_name,
        "--entrypoint",
        "bash",
        &image,
        "-c",
        TRY,
        "bash",
    ];
    run.extend(targets.iter().map(String::as_str));
    let said = docker(run).await?;
    let mut expected: Vec<String> = targets.iter().map(|target| format!("{target} {state}")).collect();
    let mut said: Vec<&str> = said.lines().collect();
    expected.sort();
    said.sort_unstable();
    ensure!(said == expected, "from the network {network}: {said:#?}");
    Ok(())
}

pub(crate) async fn a_server_with_another_secret_is_refused(stage: &mut Stage) -> Result<()> {
    let before = stage.compose.all_well().await?;
    let image = stage.compose.image("s1").await?;
    let secret = docker(["run", "--rm", &image, "new-secret"]).await?;
    let stranger = Stranger::start(&stage.compose, "bellwether", &secret).await?;
    expect_refused(&stage.compose, &stranger, before, "the peer secrets differ").await
}

/// Checks a server of another cluster that has the secret.
pub(crate) async fn a_server_of_another_cluster_is_refused(stage: &mut Stage) -> Result<()> {
    let before = stage.compose.all_well().await?;
    let dir = TempDir::with_prefix("bellwether-stranger-")?;
    let copy = dir.path().join("secret");
    stage
        .compose
        .copy_out("s1", "/secrets/peer-secret", &copy)
        .await?;
    let secret = std::fs::read_to_string(&copy)?;
    let stranger = Stranger::start(&stage.compose, "somebody-elses", secret.trim()).await?;
    expect_refused(&stage.compose, &stranger, before, "somebody-elses").await
}

/// Waits until the logs of the stranger and of the servers have the reason of the refusal. Checks
/// that the cluster goes on as before.
async fn expect_refused(compose: &Compose, stranger: &Stranger, before: Agreement, why: &str) -> Result<()> {
    wait_until("the stranger to be refused", async || {
        let log = stranger.log().await?;
        ensure!(log.contains(why), "the stranger does not say {why:?}: {log}");
        // The one whose name it has taken it passes over.
        for server in compose.servers().iter().filter(|server| *server != STOLEN) {
            let log = compose.logs(server).await?;
            ensure!(log.contains(why), "{server} does not say {why:?}: {log}");
        }
        Ok(())
    })
    .await?;
    let after = compose.all_well().await?;
    ensure!(after == before, "{after:?} after {before:?}");
    Ok(())
}

/// A server in the network of the peers that uses the name of one of them, and is none of them.
struct Stranger {
    container: String,
}

impl Stranger {
    async fn start(compose: &Compose, cluster: &str, secret: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("bellwether-stranger-")?;
        let file = dir.path().join("secret");
        std::fs::write(&file, secret)?;
        let image = compose.image("s1").await?;
        let network = compose.network("peers").await?;
        let peers: Vec<String> = compose
            .servers()
            .iter()
            .map(|server| format!("{server}={server}-peer:7101"))
            .collect();
        let settings = [
            format!("BELLWETHER_ID={STOLEN}"),
            format!("BELLWETHER_CLUSTER={cluster}"),
            format!("BELLWETHER_PEER={}", peers.join(",")),
            "BELLWETHER_PEER_SECRET_FILE=/secret".to_owned(),
            "BELLWETHER_CLIENT_URL=ws://localhost:1/v1".to_owned(),
            "BELLWETHER_MONGODB_URI=mongodb://127.0.0.1:1/?replicaSet=rs0".to_owned(),
            // The largest there is: it would be coordinator if it were heard.
            format!("BELLWETHER_NUMBER={}", u64::MAX),
        ];
        let mut create = vec!["create", "--network", &network];
        create.extend(settings.iter().flat_map(|setting| ["--env", setting]));
        create.push(&image);
        let stranger = Self {
            container: docker(create).await?,
        };
        stranger.give(&file).await?;
        docker(["start", &stranger.container]).await?;
        Ok(stranger)
    }

    /// Copies the file with the secret into the container, where it belongs to root and every user
    /// may read it.
    async fn give(&self, file: &Path) -> Result<()> {
        std::fs::set_permissions(file, Permissions::from_mode(0o444))?;
        let to = format!("{}:/secret", self.container);
        docker(["cp".as_ref(), file.as_os_str(), to.as_ref()]).await?;
        Ok(())
    }

    async fn log(&self) -> Result<String> {
        bellwether_testkit::docker_logs(&self.container).await
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("docker");
        remove.args(["rm", "--force", "--volumes", &self.container]);
        if let Err(error) = remove.output() {
            eprintln!("the container {} stays: {error}", self.container);
        }
    }
}
