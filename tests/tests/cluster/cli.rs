//! The program `bellwether` against a real cluster, as a script uses it.

use std::fs;
use std::process::{Output, Stdio};

use anyhow::{Context, Result};
use bellwether_testkit::{Cluster, ReplicaSet, client_program, free_ports};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

#[tokio::test]
async fn exit_codes_and_output() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let servers = cluster.urls().join(",");

    let insert = r#"{"insert":"notes","documents":[{"_id":1,"text":"hi","z":1,"a":{"$numberLong":"9007199254740993"}}]}"#;
    let inserted = run(bellwether().await?.args(["--servers", &servers, insert]), "").await?;
    assert_eq!(inserted.status.code(), Some(0), "{inserted:?}");
    assert_eq!(json(&inserted)?["n"], serde_json::json!({ "$numberInt": "1" }));

    // The command from stdin, the servers from the environment, more than one line, and the full
    // output.
    let mut find = bellwether().await?;
    find.args(["-v", "-"]).env("BELLWETHER_SERVERS", &servers);
    let found = run(&mut find, "{\n  \"find\": \"notes\"\n}\n").await?;
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let stored = json(&found)?["cursor"]["firstBatch"][0].clone();
    let fields: Vec<_> = stored.as_object().context("a document")?.keys().collect();
    assert_eq!(
        fields,
        ["_id", "text", "z", "a"],
        "in the order they were written"
    );
    assert_eq!(
        stored["a"],
        serde_json::json!({ "$numberLong": "9007199254740993" }),
        "to the last digit"
    );
    let told = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(
        told.contains(&cluster.servers[0].port.to_string()),
        "the tries are on stderr: {told}"
    );

    // Both from files.
    let dir = TempDir::new()?;
    let (command, list) = (dir.path().join("command.json"), dir.path().join("servers"));
    fs::write(&command, r#"{"count":"notes"}"#)?;
    fs::write(&list, format!("# the demo\n{}\n", cluster.urls().join("\n")))?;
    let counted = run(
        bellwether()
            .await?
            .arg("--file")
            .arg(&command)
            .arg("--servers-file")
            .arg(&list),
        "",
    )
    .await?;
    assert_eq!(counted.status.code(), Some(0), "{counted:?}");

    let refused = run(bellwether().await?.args(["--servers", &servers, insert]), "").await?;
    assert_eq!(refused.status.code(), Some(1), "a duplicate key: {refused:?}");
    assert!(refused.stdout.is_empty());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("E11000"),
        "{refused:?}"
    );

    let mistyped = run(bellwether().await?.args(["--servers", &servers, "{"]), "").await?;
    assert_eq!(mistyped.status.code(), Some(2), "{mistyped:?}");

    let forbidden = run(
        bellwether()
            .await?
            .args(["--servers", &servers, r#"{"dropDatabase":1}"#]),
        "",
    )
    .await?;
    assert_eq!(forbidden.status.code(), Some(2), "{forbidden:?}");

    let nobody = free_ports(1)?[0];
    let unreachable = [
        "--timeout",
        "1s",
        "--servers",
        &format!("127.0.0.1:{nobody}"),
        insert,
    ];
    let unreachable = run(bellwether().await?.args(unreachable), "").await?;
    assert_eq!(unreachable.status.code(), Some(3), "{unreachable:?}");

    let coordinator = cluster.all_agree().await?.coordinator;
    cluster.servers[coordinator].process.kill()?;
    let survived = run(
        bellwether()
            .await?
            .args(["--servers", &servers, r#"{"find":"notes"}"#]),
        "",
    )
    .await?;
    assert_eq!(survived.status.code(), Some(0), "{survived:?}");
    Ok(())
}

/// Returns the program's command, without the settings of the user who runs the tests.
async fn bellwether() -> Result<Command> {
    let mut command = Command::new(client_program().await?);
    command
        .env_remove("BELLWETHER_SERVERS")
        .env_remove("BELLWETHER_TOKEN")
        .env("XDG_CONFIG_HOME", "/nonexistent");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

async fn run(command: &mut Command, stdin: &str) -> Result<Output> {
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("stdin is piped")?;
    input.write_all(stdin.as_bytes()).await?;
    drop(input);
    Ok(child.wait_with_output().await?)
}

fn json(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| format!("not JSON: {output:?}"))
}
