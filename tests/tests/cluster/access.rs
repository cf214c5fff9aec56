//! Clients that prove an identity to a real server, with tokens and API keys.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bellwether_client::native::Native;
use bellwether_client::{Executed, Failure, OneShot, Stop, Token};
use bellwether_protocol::{ErrorCode, ErrorFrame, HelloOk, Outcome, ServerFrame};
use bellwether_server::NewApiKey;
use bellwether_testkit::{
    Cluster, ClusterOptions, Connection, FailPoint, Host, ReplicaSet, client_program, mint, wait_until,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

const ISSUER: &str = "https://id.example";
const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

/// An issuer with a fixed key, and a server that trusts it.
struct Fixture {
    set: ReplicaSet,
    cluster: Cluster,
    key: Ed25519KeyPair,
    api_key: NewApiKey,
    directory: TempDir,
}

impl Fixture {
    async fn start() -> Result<Self> {
        Self::launched_by(Vec::new()).await
    }

    async fn launched_by(launcher: Vec<OsString>) -> Result<Self> {
        let directory = TempDir::new()?;
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).map_err(|error| anyhow!("{error}"))?;
        let public = BASE64URL_NOPAD.encode(key.public_key().as_ref());
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public}]});
        fs::write(directory.path().join("keys.json"), jwks.to_string())?;
        let api_key = NewApiKey::random();
        fs::write(file(&directory), access_file(1, Some(&api_key)))?;
        let set = ReplicaSet::start(1).await?;
        let options = ClusterOptions {
            servers: 1,
            args: vec!["--access".into(), file(&directory).into()],
            hosts: vec![Host {
                launcher,
                ..Host::default()
            }],
            ..ClusterOptions::new(set.uri())
        };
        Ok(Self {
            cluster: Cluster::start_with(options).await?,
            set,
            key,
            api_key,
            directory,
        })
    }

    fn url(&self) -> String {
        self.cluster.servers[0].url()
    }

    /// Returns a token that ends this many seconds from now.
    fn token(&self, subject: &str, seconds: i64) -> Result<String> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let claims = json!({"iss": ISSUER, "aud": ["tests"], "sub": subject, "exp": now + seconds,
                            "app": {"roles": ["editor"]}});
        let header = json!({"alg": "EdDSA", "kid": "k"});
        let part = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = [part(header), part(claims)].join(".");
        let signature = BASE64URL_NOPAD.encode(self.key.sign(signed.as_bytes()).as_ref());
        Ok([signed, signature].join("."))
    }

    /// Returns the number of documents that commands have inserted.
    async fn notes(&self) -> Result<u64> {
        let notes = self
            .set
            .client()
            .database("app")
            .collection::<bson::Document>("notes");
        Ok(notes.count_documents(bson::doc! {}).await?)
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("access.toml")
}

fn access_file(version: u64, key: Option<&NewApiKey>) -> String {
    let key = key.map(|key| {
        let digest = key.sha256();
        format!("[[key]]\nname = \"backup\"\nsha256 = {digest:?}\nexpires = 9999-01-01\n")
    });
    format!(
        "version = {version}\n[[issuer]]\nissuer = {ISSUER:?}\naudience = [\"tests\"]\njwks_file = \"keys.json\"\n\
         algorithms = [\"EdDSA\"]\nroles_claim = \"app.roles\"\n{}",
        key.unwrap_or_default()
    )
}

/// Replaces a file at once, so that a server never reads a part of it.
fn replace(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(&new, path)?)
}

/// Sends a command, and returns its answer.
async fn insert(connection: &mut Connection, hello: &HelloOk) -> Result<Result<(), ErrorFrame>> {
    let id = mint(hello.server_time_ms);
    connection.command(id, INSERT).await?;
    match connection.receive().await? {
        ServerFrame::Result(result) if result.id == id => Ok(Ok(())),
        ServerFrame::Error(error) if error.id == Some(id) => Ok(Err(error)),
        other => bail!("{other:?}"),
    }
}

fn is_unauthenticated(answer: &Result<(), ErrorFrame>) -> bool {
    let expected = (ErrorCode::Unauthenticated, Outcome::NotExecuted);
    matches!(answer, Err(error) if (error.code, error.outcome) == expected)
}

async fn error(connection: &mut Connection) -> Result<ErrorFrame> {
    match connection.receive().await? {
        ServerFrame::Error(error) if error.id.is_none() => Ok(error),
        other => bail!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_executed_for_clients_with_an_identity_only() -> Result<()> {
    let fixture = Fixture::start().await?;
    let url = fixture.url();
    let status = fixture.cluster.servers[0].status().await?;
    assert_eq!(status.access_version, Some(1));

    // Without a token.
    let (mut stranger, hello) = Connection::greeted(&url).await?;
    assert_eq!(hello.identity, None);
    let answer = insert(&mut stranger, &hello).await?;
    ensure!(is_unauthenticated(&answer), "{answer:?}");
    stranger.ask(mint(hello.server_time_ms)).await?;
    match stranger.receive().await? {
        ServerFrame::Error(error) => assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Unauthenticated, Outcome::Unknown)
        ),
        other => bail!("{other:?}"),
    }

    // With a token that is not valid, and then with one that is.
    let forged = [&fixture.token("alice", 600)?, "AAAA"].concat();
    let (mut alice, hello) = Connection::greeted_with_token(&url, &forged).await?;
    assert_eq!(hello.identity, None);
    let refused = error(&mut alice).await?;
    assert_eq!(refused.code, ErrorCode::Unauthenticated, "{refused:?}");
    ensure!(!format!("{refused:?}").contains(&forged[20..60]), "{refused:?}");
    let answer = insert(&mut alice, &hello).await?;
    ensure!(is_unauthenticated(&answer), "{answer:?}");
    assert_eq!(fixture.notes().await?, 0);
    alice.token(&fixture.token("alice", 600)?).await?;
    match alice.receive().await? {
        ServerFrame::TokenOk(identity) => assert_eq!(identity.subject, "alice"),
        other => bail!("{other:?}"),
    }
    insert(&mut alice, &hello).await??;

    // With a token or an API key from the beginning.
    let (mut bob, hello) = Connection::greeted_with_token(&url, &fixture.token("bob", 600)?).await?;
    let identity = hello.identity.clone().context("the token is valid")?;
    assert_eq!(
        (&*identity.subject, &*identity.roles),
        ("bob", &["editor".to_owned()][..])
    );
    insert(&mut bob, &hello).await??;
    let (mut backup, hello) = Connection::greeted_with_token(&url, fixture.api_key.key()).await?;
    assert_eq!(
        hello.identity.as_ref().map(|identity| &*identity.subject),
        Some("backup")
    );
    insert(&mut backup, &hello).await??;
    assert_eq!(fixture.notes().await?, 3);
    let log = fixture.cluster.servers[0].process.log_text();
    ensure!(!log.contains("DEBUG"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_in_the_log_at_any_level() -> Result<()> {
    let fixture = Fixture::launched_by(vec!["env".into(), "RUST_LOG=trace,tungstenite=trace".into()]).await?;
    let good = fixture.token("alice", 600)?;
    let forged = [&good, "AAAA"].concat();
    for token in [&*good, &forged, fixture.api_key.key()] {
        let (mut client, hello) = Connection::greeted_with_token(&fixture.url(), token).await?;
        if token == forged {
            error(&mut client).await?;
        } else {
            insert(&mut client, &hello).await??;
        }
        client.token(token).await?;
        client.receive().await?;
    }
    let log = fixture.cluster.servers[0].process.log_text();
    ensure!(log.contains("DEBUG"), "the log has no more than usual");
    let has_frame = |line: &str| line.contains("TRACE") && line.contains("tungstenite");
    ensure!(!log.lines().any(has_frame), "{log}");
    for secret in [&good[20..60], &fixture.api_key.key()[10..30]] {
        // The library writes the bytes of a frame as hexadecimal digits.
        let digits = HEXLOWER.encode(secret.as_bytes());
        ensure!(
            !log.contains(secret) && !log.contains(&digits),
            "the log has {secret}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_its_token_by_a_newer_one_of_the_same_subject() -> Result<()> {
    let fixture = Fixture::start().await?;
    // The server accepts a token for 30 s after its end.
    let ending = fixture.token("alice", -25)?;
    let (mut alice, hello) = Connection::greeted_with_token(&fixture.url(), &ending).await?;
    ensure!(hello.identity.is_some(), "the token still counts");

    // Another subject changes nothing.
    alice.token(&fixture.token("bob", 600)?).await?;
    let refused = error(&mut alice).await?;
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    ensure!(refused.message.contains("another subject"), "{refused:?}");

    // The end comes in the middle of the connection.
    let mut executed = 0;
    let refused = loop {
        match insert(&mut alice, &hello).await? {
            Ok(()) => executed += 1,
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    ensure!(is_unauthenticated(&Err(refused.clone())), "{refused:?}");
    ensure!(refused.message.contains("expired"), "{refused:?}");
    assert_eq!(fixture.notes().await?, executed);

    alice.token(&ending).await?;
    assert_eq!(error(&mut alice).await?.code, ErrorCode::Unauthenticated);
    alice.token(&fixture.token("alice", 600)?).await?;
    ensure!(matches!(alice.receive().await?, ServerFrame::TokenOk(_)));
    insert(&mut alice, &hello).await??;
    assert_eq!(fixture.notes().await?, executed + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_ends_identities_and_a_bad_one_changes_nothing() -> Result<()> {
    let fixture = Fixture::start().await?;
    let (url, path) = (fixture.url(), file(&fixture.directory));
    let server = &fixture.cluster.servers[0];
    let (mut backup, hello) = Connection::greeted_with_token(&url, fixture.api_key.key()).await?;
    insert(&mut backup, &hello).await??;

    replace(&path, "version = 2\n[[issuer")?;
    // The server has looked at the bad file when it says so.
    let log = || server.process.log_text();
    wait_until("the line about the bad file", async || {
        ensure!(
            log().contains("cannot use the changed access file"),
            "it is not in the log"
        );
        Ok(())
    })
    .await?;
    assert_eq!(server.status().await?.access_version, Some(1));
    insert(&mut backup, &hello).await??;

    replace(&path, &access_file(3, None))?;
    wait_until("the new file to count", async || {
        let version = server.status().await?.access_version;
        ensure!(version == Some(3), "{version:?} counts");
        Ok(())
    })
    .await?;
    let answer = insert(&mut backup, &hello).await?;
    ensure!(is_unauthenticated(&answer), "{answer:?}");
    let (mut alice, hello) = Connection::greeted_with_token(&url, &fixture.token("alice", 600)?).await?;
    insert(&mut alice, &hello).await??;

    // A stranger cannot try tokens at any rate.
    let refused = loop {
        alice.token("a.b.c").await?;
        let refused = error(&mut alice).await?;
        if refused.code != ErrorCode::Unauthenticated {
            break refused;
        }
    };
    assert_eq!(refused.code, ErrorCode::Overloaded);
    ensure!(refused.retry_after_ms.is_some(), "{refused:?}");
    insert(&mut alice, &hello).await??;
    ensure!(!log().contains("a.b.c") && !log().contains(&fixture.api_key.key()[4..]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_belongs_to_its_subject() -> Result<()> {
    let fixture = Fixture::start().await?;
    let url = fixture.url();
    let (mut alice, hello) = Connection::greeted_with_token(&url, &fixture.token("alice", 600)?).await?;
    let (mut bob, _) = Connection::greeted_with_token(&url, &fixture.token("bob", 600)?).await?;
    let id = mint(hello.server_time_ms);
    let replayed = async |connection: &mut Connection| {
        connection.command(id, INSERT).await?;
        match connection.receive().await? {
            ServerFrame::Result(result) => Ok(Ok(result.replayed)),
            ServerFrame::Error(error) => Ok(Err(error.code)),
            other => bail!("{other:?}"),
        }
    };
    let outcome = async |connection: &mut Connection| {
        connection.ask(id).await?;
        match connection.receive().await? {
            ServerFrame::OutcomeResult(found) => Ok(Ok(found.outcome)),
            ServerFrame::Error(error) => Ok(Err((error.code, error.outcome))),
            other => bail!("{other:?}"),
        }
    };
    assert_eq!(replayed(&mut alice).await?, Ok(false));
    assert_eq!(replayed(&mut alice).await?, Ok(true));
    assert_eq!(replayed(&mut bob).await?, Err(ErrorCode::IdReused));
    let forbidden = Err((ErrorCode::Forbidden, Outcome::Unknown));
    assert_eq!(outcome(&mut bob).await?, forbidden);
    assert_eq!(outcome(&mut alice).await?, Ok(Outcome::Executed));

    // The owner is the subject, and not the token or the connection.
    let (mut again, _) = Connection::greeted_with_token(&url, &fixture.token("alice", 700)?).await?;
    assert_eq!(replayed(&mut again).await?, Ok(true));
    assert_eq!(fixture.notes().await?, 1);

    // A command that waits belongs to its subject, too.
    let slow =
        bson::doc! { "failCommands": ["commitTransaction"], "blockConnection": true, "blockTimeMS": 1000 };
    let slow = FailPoint::on(fixture.set.client(), "failCommand", slow).await?;
    let (first, waiting) = (mint(hello.server_time_ms), mint(hello.server_time_ms));
    alice.command(first, INSERT).await?;
    // The batch of the first command has begun, so the next one waits.
    let server = &fixture.cluster.servers[0];
    wait_until("a batch", async || {
        ensure!(
            server.status().await?.commands.batch_ms.is_some(),
            "none has begun"
        );
        Ok(())
    })
    .await?;
    alice.command(waiting, INSERT).await?;
    wait_until("a waiting command", async || {
        ensure!(server.status().await?.commands.queued > 0, "none waits");
        Ok(())
    })
    .await?;
    bob.ask(waiting).await?;
    match bob.receive().await? {
        // The command was executed before the question, or it waited then: both are not for Bob.
        ServerFrame::Error(error) => assert_eq!(error.code, ErrorCode::Forbidden, "{error:?}"),
        other => bail!("{other:?}"),
    }
    slow.off().await?;
    Ok(())
}

/// Executes the insert as the native client does, with this token.
async fn one_shot(url: &str, token: Option<&str>) -> Result<Result<Executed, Failure>> {
    let mut shot = OneShot::new(Native::new(), url.parse()?);
    if let Some(token) = token {
        shot = shot.token(Token::new(token).context("the token is short")?);
    }
    Ok(shot.execute(&INSERT.parse()?, |_| {}).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_client_proves_an_identity() -> Result<()> {
    let fixture = Fixture::start().await?;
    let url = fixture.url();
    one_shot(&url, Some(&fixture.token("alice", 600)?)).await??;
    one_shot(&url, Some(fixture.api_key.key())).await??;
    assert_eq!(fixture.notes().await?, 2);

    let forged = [&fixture.token("alice", 600)?, "AAAA"].concat();
    for (token, stop) in [(Some(&*forged), Stop::NoUse), (None, Stop::Refused)] {
        let Err(failure) = one_shot(&url, token).await? else {
            bail!("it was executed for {token:?}");
        };
        assert_eq!(
            (failure.stop, failure.code()),
            (stop, "unauthenticated"),
            "{failure}"
        );
        assert_eq!(failure.outcome, Outcome::NotExecuted);
        ensure!(!format!("{failure:?}").contains(&forged[20..60]), "{failure:?}");
    }
    // A server that asks for no token confirms none.
    let open = Cluster::start(fixture.set.uri()).await?;
    let urls = open.urls().join(",");
    let Err(failure) = one_shot(&urls, Some(&fixture.token("alice", 600)?)).await? else {
        bail!("a server without an access file executed it");
    };
    assert_eq!(
        (failure.stop, failure.code()),
        (Stop::NoUse, "not_proven"),
        "{failure}"
    );
    ensure!(failure.to_string().contains("--access"), "{failure}");
    assert_eq!(fixture.notes().await?, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_a_token_from_a_file_or_from_the_environment() -> Result<()> {
    let fixture = Fixture::start().await?;
    let directory = fixture.directory.path();
    let token = directory.join("token");
    fs::write(&token, [&fixture.token("alice", 600)?, "\n"].concat())?;
    let program = client_program().await?;
    let url = fixture.url();
    let run = async |arguments: &[&str], variable: Option<&str>| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(&program);
        command
            .env_remove("BELLWETHER_TOKEN")
            .env_remove("BELLWETHER_SERVERS");
        command.envs(variable.map(|token| ("BELLWETHER_TOKEN", token)));
        command.args(["--servers", &url]).args(arguments).arg(INSERT);
        let output = command.output().await?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    let path = token.to_str().context("the path is text")?;
    let empty = directory.join("empty");
    fs::write(&empty, "\n")?;
    let long = directory.join("long");
    fs::write(&long, "a".repeat(8 * 1024 + 1))?;
    let (empty, long) = (empty.to_string_lossy(), long.to_string_lossy());
    for (arguments, variable, code, says) in [
        (&["--token-file", path][..], None, 0, ""),
        (&[], Some(fixture.api_key.key()), 0, ""),
        // The option counts before the variable.
        (&["--token-file", path], Some("nonsense"), 0, ""),
        (&[], Some("nonsense"), 3, "unauthenticated"),
        (&[], None, 3, "unauthenticated"),
        (&["--token-file", &empty], None, 2, "it has no token"),
        (&["--token-file", &long], None, 2, "8192 bytes"),
        (
            &["--token-file", "/nonexistent"],
            None,
            2,
            "cannot read /nonexistent",
        ),
    ] {
        let (ended, errors) = run(arguments, variable).await?;
        ensure!(
            ended == Some(code) && errors.contains(says),
            "{arguments:?}: {ended:?}, {errors}"
        );
    }
    assert_eq!(fixture.notes().await?, 3);
    Ok(())
}
