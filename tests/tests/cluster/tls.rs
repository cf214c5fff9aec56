//! Servers with certificates, as browsers, clients, strangers and operators meet them.

mod authority;
mod start;
mod wire;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use bellwether_client::native::Native;
use bellwether_client::{AttemptEnd, CommandText, Event, OneShot};
use bellwether_testkit::{
    Cluster, ClusterOptions, Load, Process, ReplicaSet, execute_within, http_get, server_program, wait_until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use authority::{Authority, Issued};
use wire::{get, served_certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const COUNT: &str = r#"{"count":"notes"}"#;

/// A cluster with certificates for 127.0.0.1, and a page.
struct Stage {
    cluster: Cluster,
    set: ReplicaSet,
    authority: Authority,
    files: Files,
}

/// A directory with the files that the options of TLS name.
struct Files(TempDir);

impl Files {
    fn new(issued: &Issued) -> Result<Self> {
        let files = Self(TempDir::new()?);
        files.write(issued)?;
        Ok(files)
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    fn write(&self, issued: &Issued) -> Result<()> {
        fs::write(self.certificate(), &issued.certificate)?;
        fs::write(self.key(), &issued.key)?;
        Ok(fs::set_permissions(
            self.key(),
            fs::Permissions::from_mode(0o600),
        )?)
    }

    fn args(&self) -> [std::ffi::OsString; 4] {
        [
            "--tls-cert".into(),
            self.certificate().into(),
            "--tls-key".into(),
            self.key().into(),
        ]
    }
}

impl Stage {
    async fn start(servers: usize, more: &[&str]) -> Result<Self> {
        let set = ReplicaSet::start(1).await?;
        let authority = Authority::new()?;
        let files = Files::new(&authority.issue("127.0.0.1", SystemTime::now() + 90 * DAY)?)?;
        let www = files.0.path().join("www");
        fs::create_dir(&www)?;
        fs::write(www.join("index.html"), "<p>the page</p>")?;
        let mut args = files.args().to_vec();
        args.extend(more.iter().map(Into::into));
        let cluster = Cluster::spawn(ClusterOptions {
            servers,
            www: Some(www),
            allow_own_pages: false,
            args,
            // The last server is the coordinator.
            numbers: (1..=servers as u64).collect(),
            ..ClusterOptions::new(set.uri())
        })
        .await?;
        let stage = Self {
            cluster,
            set,
            authority,
            files,
        };
        stage.execute(COUNT).await?;
        Ok(stage)
    }

    fn urls(&self) -> Vec<String> {
        let servers = self.cluster.servers.iter();
        servers
            .map(|server| format!("wss://{}/v1", server.address()))
            .collect()
    }

    fn client(&self) -> Result<OneShot<Native>> {
        let platform = Native::new().trusting(self.authority.trusted()?);
        Ok(OneShot::new(platform, self.urls().join(",").parse()?))
    }

    async fn execute(&self, command: &str) -> Result<()> {
        let command: CommandText = command.parse()?;
        self.client()?
            .deadline(Duration::from_secs(60))
            .execute(&command, |_| {})
            .await?;
        Ok(())
    }

    /// Renews the certificate, and tells every server.
    fn renew(&self, issued: &Issued) -> Result<()> {
        self.files.write(issued)?;
        for server in &self.cluster.servers {
            hang_up(&server.process)?;
        }
        Ok(())
    }

    /// Waits until every server shows this certificate to new clients.
    async fn all_serve(&self, issued: &Issued) -> Result<()> {
        for server in &self.cluster.servers {
            wait_until("a server to show its new certificate", async || {
                let served = served_certificate(&self.authority, server.port).await?;
                ensure!(served == issued.der, "it shows another one");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    fn port(&self) -> u16 {
        self.cluster.servers[0].port
    }
}

fn hang_up(process: &Process) -> Result<()> {
    Ok(kill(
        Pid::from_raw(i32::try_from(process.pid())?),
        Signal::SIGHUP,
    )?)
}

async fn health(args: &[&str], certificate: Option<PathBuf>) -> Result<String> {
    let mut program = Command::new(server_program().await?);
    program.arg("health").args(args).kill_on_drop(true);
    if let Some(certificate) = certificate {
        program.env("BELLWETHER_TLS_CERT", certificate);
    }
    let output = program.output().await?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn page_health_and_commands_share_the_port() -> Result<()> {
    let stage = Stage::start(3, &[]).await?;
    let port = stage.port();
    stage
        .execute(r#"{"insert":"notes","documents":[{"text":"hi"}]}"#)
        .await?;
    let page = get(&stage.authority, port, "/", &[]).await?;
    ensure!(
        page.starts_with("HTTP/1.1 200") && page.contains("the page"),
        "{page}"
    );
    for path in ["/livez", "/readyz"] {
        let answer = get(&stage.authority, port, path, &[]).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }

    let status = get(&stage.authority, port, "/status", &[]).await?;
    let (_, body) = status.split_once("\r\n\r\n").context("no body")?;
    let status: bellwether_protocol::Status = serde_json::from_str(body)?;
    let tls = status.tls.context("no TLS")?;
    let ends = SystemTime::UNIX_EPOCH + Duration::from_millis(tls.not_after_ms);
    ensure!(
        ends > SystemTime::now() + 89 * DAY && tls.error.is_none(),
        "{body}"
    );
    for peer in &status.peers {
        let url = peer.url.as_deref().unwrap_or_default();
        ensure!(url.starts_with("wss://127.0.0.1:"), "{body}");
    }

    for (origin, code) in [("https", 200), ("http", 403)] {
        let origin = format!("{origin}://127.0.0.1:{port}");
        let answer = get(&stage.authority, port, "/status", &[("Origin", &origin)]).await?;
        ensure!(
            answer.starts_with(&format!("HTTP/1.1 {code}")),
            "{origin}: {answer}"
        );
    }

    let url = format!("https://127.0.0.1:{port}");
    assert_eq!(health(&["--url", &url], None).await?, "live\n");
    let listen = format!("127.0.0.1:{port}");
    let certificate = Some(stage.files.certificate());
    assert_eq!(health(&["--listen", &listen], certificate).await?, "live\n");
    let said = health(&["--listen", &listen], None).await?;
    ensure!(said.contains("400"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_is_told_to_use_it() -> Result<()> {
    let stage = Stage::start(1, &[]).await?;
    for path in ["/livez", "/", "/v1"] {
        let answer = http_get(stage.port(), path, &[]).await?;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.body, "this port speaks TLS: use https:// or wss://\r\n");
    }
    let plain = vec![format!("ws://127.0.0.1:{}/v1", stage.port())];
    let failure = execute_within(Duration::from_secs(60), &plain, COUNT)
        .await?
        .err()
        .context("it was executed")?;
    ensure!(
        failure.to_string().contains("it speaks TLS: use wss://"),
        "{failure}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_fails_while_the_certificate_is_renewed() -> Result<()> {
    let stage = Stage::start(3, &[]).await?;
    let load = Load::start_with(&stage.client()?, 32, "renewed");
    let renewed = |days: u32| {
        let end = SystemTime::now() + days * DAY;
        stage.authority.issue("127.0.0.1", end)
    };

    let second = renewed(91)?;
    stage.renew(&second)?;
    stage.all_serve(&second).await?;

    // The key is missing in the renewal, so it is still the second one.
    let third = renewed(92)?;
    stage.renew(&Issued {
        key: second.key.clone(),
        ..third
    })?;
    for server in &stage.cluster.servers {
        wait_until("a server to report the pair that does not fit", async || {
            let status = get(&stage.authority, server.port, "/status", &[]).await?;
            ensure!(
                status.contains("does not belong to the first certificate"),
                "{status}"
            );
            Ok(())
        })
        .await?;
    }
    stage.all_serve(&second).await?;

    // The servers also find a change without a signal.
    let fourth = renewed(93)?;
    stage.files.write(&fourth)?;
    stage.all_serve(&fourth).await?;

    let report = load.finish().await?;
    ensure!(report.failures().is_empty(), "{:?}", report.failures());
    report.check(stage.set.client()).await?;
    let log = stage.cluster.servers[0].process.log_text();
    let reports = log.matches("keeping the TLS certificate in use").count();
    ensure!(reports == 1, "reported {reports} times:\n{log}");
    Ok(())
}

/// The hello of a client that speaks nothing later than TLS 1.1.
const HELLO_OF_TLS_1_1: &[u8] = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02\
    \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
    \x00\x00\x02\x00\x2f\x01\x00";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_hello_harms_no_other_client() -> Result<()> {
    let stage = Stage::start(1, &["--connections", "20"]).await?;
    let answer_to = async |hello: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", stage.port())).await?;
        stream.write_all(hello).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    // The type `alert`, the version, the length; then fatal, and handshake_failure or
    // protocol_version.
    let refused = answer_to(HELLO_OF_TLS_1_1).await?;
    ensure!(
        matches!(refused[..], [0x15, 3, _, 0, 2, 2, 40 | 70]),
        "an alert: {refused:?}"
    );
    let refused = answer_to(b"\x16\x03\x01\xff\xff\x00garbage").await?;
    ensure!(refused.first() == Some(&0x15), "an alert: {refused:?}");
    let noise = answer_to(&[0; 5_000]).await?;
    ensure!(noise.starts_with(b"HTTP/1.1 400 "), "{noise:?}");
    stage.execute(COUNT).await?;

    wait_until("all other connections to end", async || {
        let status = get(&stage.authority, stage.port(), "/status", &[]).await?;
        ensure!(status.contains(r#""open":1,"#), "{status}");
        Ok(())
    })
    .await?;
    // Half of a hello, as often as there are connections.
    let mut half_open = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(("127.0.0.1", stage.port())).await?;
        stream.write_all(&HELLO_OF_TLS_1_1[..20]).await?;
        half_open.push(stream);
    }
    let full = get(&stage.authority, stage.port(), "/", &[]).await?;
    ensure!(
        full.starts_with("HTTP/1.1 503"),
        "they hold all connections: {full}"
    );
    let alive = get(&stage.authority, stage.port(), "/livez", &[]).await?;
    ensure!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    // They are dropped at the time limit, although their clients keep them open.
    stage.execute(COUNT).await?;
    for mut stream in half_open {
        let _ = stream.read(&mut [0; 64]).await;
    }
    stage.execute(COUNT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_from_a_server_that_proves_nothing() -> Result<()> {
    let mut stage = Stage::start(2, &[]).await?;
    let good = stage.urls();
    // The certificate is for the address and not for this name.
    let wrong_name = format!("wss://localhost:{}/v1", stage.port());
    let list = [&*wrong_name, &good[1]].join(",");
    let platform = Native::new().trusting(stage.authority.trusted()?);
    let command: CommandText = COUNT.parse()?;
    let mut refused = Vec::new();
    // The second server is the coordinator.
    stage.execute(COUNT).await?;
    let ended = OneShot::new(platform.clone(), list.parse()?)
        .deadline(Duration::from_secs(60))
        .execute(&command, |event| {
            if let Event::Ended { tried, .. } = event
                && let AttemptEnd::NotProven(reason) = &tried.end
            {
                refused.push(reason.clone());
            }
        })
        .await;
    ensure!(
        refused.len() == 1 && refused[0].contains("is for 127.0.0.1 and not for localhost"),
        "{refused:?}"
    );
    if let Err(failure) = ended {
        ensure!(
            failure
                .attempts
                .iter()
                .any(|tried| tried.server.as_deref() == Some("s2")),
            "{failure}"
        );
    }

    let only_stranger = Native::new().trusting(Authority::new()?.trusted()?);
    for (platform, url, says) in [
        (&platform, wrong_name, "not for localhost"),
        (&only_stranger, good[0].clone(), "does not trust"),
    ] {
        let failure = OneShot::new(platform.clone(), url.parse()?)
            .deadline(Duration::from_secs(60))
            .execute(&command, |_| {})
            .await
            .err()
            .context("it was executed")?;
        ensure!(failure.to_string().contains(says), "{failure}");
        ensure!(failure.took < Duration::from_secs(60), "it waited: {failure}");
    }

    // A server that starts with a certificate that has ended, and is renewed later.
    stage
        .files
        .write(&stage.authority.issue("127.0.0.1", SystemTime::now() - 3 * DAY)?)?;
    stage.cluster.servers[0].process.kill()?;
    stage.cluster.servers[0].process.restart()?;
    wait_until("the client to name the end of the certificate", async || {
        let shot = OneShot::new(platform.clone(), good[0].parse()?).deadline(Duration::from_secs(5));
        let ended = shot.execute(&command, |_| {}).await;
        let failure = ended.err().context("it was executed")?;
        ensure!(failure.to_string().contains("ended 3 days ago"), "{failure}");
        Ok(())
    })
    .await?;
    let log = stage.cluster.servers[0].process.log_text();
    ensure!(log.contains("the TLS certificate has ended"), "{log}");
    let renewed = stage.authority.issue("127.0.0.1", SystemTime::now() + DAY)?;
    stage.renew(&renewed)?;
    stage.all_serve(&renewed).await?;
    stage.execute(COUNT).await?;
    let log = stage.cluster.servers[0].process.log_text();
    ensure!(log.contains("the TLS certificate ends soon"), "{log}");
    Ok(())
}
