//! Errors between a server and MongoDB that need the operator. Each is named in the log, by
//! `/readyz`, by `/status` and to the client, with the next step.

use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ErrorFrame, Outcome, ServerFrame};
use bellwether_testkit::{
    Cluster, ClusterOptions, Connection, Process, Recipe, ReplicaSet, ReplicaSetOptions, execute,
    find_mongod, free_ports, http_get, mint, wait_until,
};
use bson::{Document, doc};
use mongodb::Client;
use tempfile::TempDir;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_another_name() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let cluster = one_server(&set.uri().replace("replicaSet=rs0", "replicaSet=rs7")).await?;
    expect(
        &cluster,
        &[
            "belongs to the replica set",
            "rs0",
            "replicaSet=rs7",
            "correct the name",
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mongod_without_a_set() -> Result<()> {
    let dir = TempDir::with_prefix("bellwether-mongodb-")?;
    let mongod = Mongod::start(dir.path(), &[]).await?;
    let cluster = one_server(&mongod.uri()).await?;
    expect(
        &cluster,
        &["runs without a replica set", "--replSet rs0", "rs.initiate()"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_left_its_set() -> Result<()> {
    let set = ReplicaSet::start(2).await?;
    let primary = set.wait_for_primary().await?;
    let gone = 1 - primary;
    let admin = set.members[primary].direct.database("admin");
    let config = admin.run_command(doc! { "replSetGetConfig": 1 }).await?;
    let mut config = config.get_document("config")?.clone();
    let left = set.members[gone].address().to_string();
    let members = config.get_array_mut("members")?;
    members.retain(|member| {
        member
            .as_document()
            .is_some_and(|member| member.get_str("host").is_ok_and(|host| host != left))
    });
    config.insert("version", config.get_i32("version")? + 1);
    admin.run_command(doc! { "replSetReconfig": config }).await?;
    // Until it learns of that, it still names the others.
    let admin = set.members[gone].direct.database("admin");
    wait_until("the member to leave its set", async || {
        let hello = admin.run_command(doc! { "hello": 1 }).await?;
        ensure!(!hello.contains_key("setName"), "it is in the set: {hello}");
        Ok(())
    })
    .await?;
    let cluster = one_server(&format!("mongodb://{left}/?replicaSet=rs0")).await?;
    expect(
        &cluster,
        &[&left, "is in no replica set", "removed from its set", "rs0"],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_has_no_address() -> Result<()> {
    let cluster = one_server("mongodb://m1.invalid:27017/?replicaSet=rs0").await?;
    expect(&cluster, &["m1.invalid:27017", "is not found", "DNS"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_on_one_side() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let cluster = one_server(&format!("{}&tls=true", set.uri())).await?;
    expect(&cluster, &["no encrypted connection", "tls=true"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_mongodb_refuses() -> Result<()> {
    let dir = TempDir::with_prefix("bellwether-key-")?;
    let key = dir.path().join("key");
    fs::write(&key, "aKeyOfThisTestOnly00")?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let set = ReplicaSet::start_with(ReplicaSetOptions {
        members: 1,
        args: vec!["--keyFile".into(), key.into()],
        ..ReplicaSetOptions::default()
    })
    .await?;
    let address = set.members[0].address();
    // MongoDB lets every client on its own host make the first user.
    let root = doc! { "createUser": "root", "pwd": "r", "roles": ["root"] };
    set.members[0].direct.database("admin").run_command(root).await?;
    let root = Client::with_uri_str(format!("mongodb://root:r@{address}/?directConnection=true")).await?;
    let users = [
        (
            "reader",
            vec![role("read", "app"), role("read", "app_bellwether")],
        ),
        (
            "stranger",
            vec![role("readWrite", "other"), role("readWrite", "app_bellwether")],
        ),
        (
            "writer",
            vec![role("readWrite", "app"), role("readWrite", "app_bellwether")],
        ),
        (
            "half",
            vec![role("read", "app"), role("readWrite", "app_bellwether")],
        ),
    ];
    for (user, roles) in users {
        let user = doc! { "createUser": user, "pwd": "right-one", "roles": roles };
        root.database("admin").run_command(user).await?;
    }
    let uri = |user: &str| format!("mongodb://{user}{address}/?replicaSet=rs0&authSource=admin");

    for (user, says) in [
        (
            "writer:wrong-secret@",
            vec!["does not accept the user or the password", "authSource"],
        ),
        ("", vec!["requires a user", "user:password@host"]),
        (
            "reader:right-one@",
            // The claim of an epoch is refused, or the server has looked before: either names the
            // database.
            vec!["lacks a privilege", "app_bellwether", "readWrite"],
        ),
        (
            "stranger:right-one@",
            vec!["lacks a privilege", "the database app", "readWrite"],
        ),
    ] {
        let uri = match user {
            "" => format!("mongodb://{address}/?replicaSet=rs0"),
            user => uri(user),
        };
        let cluster = one_server(&uri).await?;
        expect(&cluster, &says).await.with_context(|| user.to_owned())?;
        let log = cluster.servers[0].process.log_text();
        ensure!(
            !log.contains("wrong-secret") && !log.contains("right-one"),
            "{log}"
        );
    }

    // If the server's MongoDB user may not write, MongoDB refuses its commands. The client's error
    // then names no part of the messages between the server and MongoDB.
    let cluster = one_server(&uri("half:right-one@")).await?;
    let error = wait_until("a refusal of MongoDB's own", async || {
        let error = refused(&cluster).await?;
        ensure!(error.mongo.is_some(), "{error:?}");
        Ok(error)
    })
    .await?;
    let text = ServerFrame::Error(error).to_json();
    ensure!(
        text.contains("not authorized on app to execute command insert"),
        "{text}"
    );
    ensure!(text.contains("grants readWrite"), "{text}");
    for own in [
        "lsid",
        "clusterTime",
        "signature",
        "txnNumber",
        "documents",
        "$db",
    ] {
        ensure!(!text.contains(own), "{text}");
    }

    // And where the fault is corrected at MongoDB, the server needs no restart.
    let cluster = one_server(&uri("reader:right-one@")).await?;
    expect(&cluster, &["lacks a privilege"]).await?;
    let grant = doc! {
        "grantRolesToUser": "reader",
        "roles": [role("readWrite", "app"), role("readWrite", "app_bellwether")],
    };
    root.database("admin").run_command(grant).await?;
    execute(&cluster.urls(), INSERT).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_majority_with_an_arbiter() -> Result<()> {
    let mut set = ReplicaSet::start(2).await?;
    let dir = TempDir::with_prefix("bellwether-mongodb-")?;
    let arbiter = Mongod::start(dir.path(), &["--replSet", "rs0"]).await?;
    let admin = set.client().database("admin");
    // MongoDB takes no arbiter while the default could be anything else.
    let default = doc! { "setDefaultRWConcern": 1, "defaultWriteConcern": { "w": "majority" } };
    admin.run_command(default).await?;
    let config = admin.run_command(doc! { "replSetGetConfig": 1 }).await?;
    let mut config = config.get_document("config")?.clone();
    let member = doc! { "_id": 9, "host": arbiter.address.to_string(), "arbiterOnly": true };
    config.get_array_mut("members")?.push(member.into());
    config.insert("version", config.get_i32("version")? + 1);
    admin.run_command(doc! { "replSetReconfig": config }).await?;
    let hello = |host: SocketAddrV4| async move {
        let direct = Client::with_uri_str(format!("mongodb://{host}/?directConnection=true")).await?;
        anyhow::Ok(direct.database("admin").run_command(doc! { "hello": 1 }).await?)
    };
    wait_until("the arbiter to vote", async || {
        ensure!(
            hello(arbiter.address).await?.get_bool("arbiterOnly")?,
            "it is none yet"
        );
        Ok(())
    })
    .await?;

    let cluster = one_server(&set.uri()).await?;
    execute(&cluster.urls(), INSERT).await??;
    let lost = 1 - set.wait_for_primary().await?;
    let address = set.members[lost].address().to_string();
    set.members[lost].process.kill()?;
    wait_until("the server to be not ready, with the reason", async || {
        let _ = refused_within(&cluster, 1_000).await;
        let readyz = http_get(cluster.servers[0].port, "/readyz", &[]).await?;
        ensure!(readyz.status == 503, "{}", readyz.body);
        for text in [
            "majority",
            "arbiter",
            &address,
            "cannot be reached",
            "bring the other members",
        ] {
            ensure!(readyz.body.contains(text), "{} should say {text}", readyz.body);
        }
        let error = cluster.servers[0].status().await?.mongodb.error;
        ensure!(
            error.as_ref().is_some_and(|error| error.contains("majority")),
            "{error:?}"
        );
        Ok(())
    })
    .await?;
    wait_until("a client to be told", async || {
        let error = refused_within(&cluster, 1_000).await?;
        for text in ["majority", "arbiter"] {
            ensure!(error.message.contains(text), "{error:?}");
        }
        Ok(())
    })
    .await?;
    let log = cluster.servers[0].process.log_text();
    ensure!(log.contains("does not reach a majority"), "{log}");

    set.members[lost].process.restart()?;
    execute(&cluster.urls(), INSERT).await??;
    wait_until("the server to be ready", async || {
        let readyz = http_get(cluster.servers[0].port, "/readyz", &[]).await?;
        ensure!(readyz.status == 200, "{}", readyz.body);
        Ok(())
    })
    .await
}

async fn one_server(uri: &str) -> Result<Cluster> {
    Cluster::spawn(ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(uri)
    })
    .await
}

/// Waits until the server names the trouble in all places.
async fn expect(cluster: &Cluster, says: &[&str]) -> Result<()> {
    let server = &cluster.servers[0];
    wait_until("the trouble to be named", async || {
        let status = server.status().await?.mongodb;
        let readyz = http_get(server.port, "/readyz", &[]).await?;
        let error = refused(cluster).await?;
        ensure!(!status.available, "{status:?}");
        ensure!(readyz.status == 503, "{}", readyz.body);
        ensure!(error.outcome == Outcome::NotExecuted, "{error:?}");
        for (place, text) in [
            ("/status", status.error.unwrap_or_default()),
            ("/readyz", readyz.body),
            ("a client", error.message),
            ("the log", server.process.log_text()),
        ] {
            for part in says {
                ensure!(text.contains(part), "{place}: {text:?} should say {part}");
            }
        }
        Ok(())
    })
    .await
}

async fn refused(cluster: &Cluster) -> Result<ErrorFrame> {
    refused_within(cluster, 5_000).await
}

/// Sends a command that is not executed.
async fn refused_within(cluster: &Cluster, deadline_ms: u64) -> Result<ErrorFrame> {
    let (mut connection, hello) = Connection::greeted(&cluster.servers[0].url()).await?;
    let id = mint(hello.server_time_ms);
    let frame = format!(r#"{{"type":"command","id":"{id}","deadline_ms":{deadline_ms},"command":{INSERT}}}"#);
    connection.send_text(frame).await?;
    match connection.receive().await? {
        ServerFrame::Error(error) => Ok(error),
        other => bail!("expected an error, not {other:?}"),
    }
}

fn role(role: &str, db: &str) -> Document {
    doc! { "role": role, "db": db }
}

/// A mongod that is no member of any set by itself.
struct Mongod {
    address: SocketAddrV4,
    _process: Process,
}

impl Mongod {
    async fn start(dir: &Path, args: &[&str]) -> Result<Self> {
        let port = free_ports(1)?[0];
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), port);
        let (data, port) = (dir.display().to_string(), port.to_string());
        let own = [
            "--nounixsocket",
            "--bind_ip",
            "127.0.0.1",
            "--port",
            &port,
            "--dbpath",
            &data,
        ];
        let small = ["--wiredTigerCacheSizeGB", "0.25"];
        let process = Process::start(Recipe {
            name: format!("mongod at {address}"),
            launcher: Vec::new(),
            program: find_mongod()?,
            args: [&own[..], &small[..], args]
                .concat()
                .iter()
                .map(Into::into)
                .collect(),
            log: dir.join("log"),
        })?;
        wait_until("a mongod to listen", async || {
            tokio::net::TcpStream::connect(address).await?;
            Ok(())
        })
        .await?;
        Ok(Self {
            address,
            _process: process,
        })
    }

    fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.address)
    }
}
