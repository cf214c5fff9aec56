//! Certificates and keys with which no server starts.

use std::fs;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use bellwether_testkit::server_program;
use tokio::process::Command;

use super::authority::Authority;
use super::{DAY, Files};

#[tokio::test]
async fn a_server_does_not_start_with_a_pair_that_cannot_work() -> Result<()> {
    let authority = Authority::new()?;
    let issued = authority.issue("127.0.0.1", SystemTime::now() + DAY)?;
    let other = authority.issue("127.0.0.1", SystemTime::now() + DAY)?;
    let files = Files::new(&issued)?;
    fs::write(files.0.path().join("other.pem"), other.key)?;
    for (args, says) in [
        ("--tls-cert cert.pem", vec!["--tls-key"]),
        ("--tls-key key.pem", vec!["--tls-cert"]),
        (
            "--tls-cert none --tls-key key.pem",
            vec!["--tls-cert names none", "existing"],
        ),
        (
            "--tls-cert cert.pem --tls-key .",
            vec!["--tls-key names .", "name the file in it"],
        ),
        (
            "--tls-cert cert.pem --tls-key other.pem",
            vec!["other.pem does not belong", "cert.pem"],
        ),
        (
            "--tls-cert key.pem --tls-key key.pem",
            vec!["no certificate in PEM format"],
        ),
        (
            "--tls-cert cert.pem --tls-key key.pem --client-url ws://db1.example:1/v1",
            vec!["begins with ws:", "wss:"],
        ),
    ] {
        let output = Command::new(server_program().await?)
            .current_dir(files.0.path())
            .args("--id s1 --listen 127.0.0.1:0 --peer-listen 127.0.0.1:0".split(' '))
            .args(["--mongodb-uri", "mongodb://127.0.0.1:1/?replicaSet=rs0"])
            .args(args.split(' '))
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2), "{args}: {output:?}");
        for word in says {
            ensure!(said.contains(word), "{args}: {word:?} is not in {said}");
        }
    }
    Ok(())
}
