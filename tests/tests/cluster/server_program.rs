//! The program `bellwether-server` as its operator sees it: the errors at its start, and its tasks
//! other than serving.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Cluster, ClusterOptions, Process, Recipe, ReplicaSet, free_ports, server_program, wait_until,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

const SECRET: &str = "a secret of not less than 32 characters";

#[tokio::test]
async fn what_cannot_work_is_refused_with_what_to_do() -> Result<()> {
    let dir = TempDir::new()?;
    let file = |name: &str, content: &[u8]| {
        fs::write(dir.path().join(name), content)?;
        anyhow::Ok(())
    };
    file("empty", b" \n\n")?;
    file("short", b"too short to be one\n")?;
    file(
        "second-short",
        format!("{SECRET}\n\ntoo short to be one\n").as_bytes(),
    )?;
    file("binary", &[0xff; 64])?;
    file("control", format!("{SECRET}\u{7}").as_bytes())?;
    file(
        "comment",
        format!("# the cluster's secret\n{SECRET}\n").as_bytes(),
    )?;
    file("no-host", b"mongodb://app:hunter2\n")?;
    let make_one = "new-secret";
    for (args, says) in [
        (
            "--peer-listen 0.0.0.0:1",
            vec!["not a loopback address", make_one, "--peer-secret-file"],
        ),
        ("--peer-listen [::]:1", vec!["not a loopback address", make_one]),
        (
            "--peer-secret-file nowhere",
            vec!["nowhere", "not there", make_one],
        ),
        ("--peer-secret-file .", vec!["is a directory"]),
        ("--peer-secret-file empty", vec!["empty", make_one]),
        (
            "--peer-secret-file short",
            vec!["line 1 has 19 characters", "32", make_one],
        ),
        (
            "--peer-secret-file second-short",
            vec!["line 3 has 19 characters", "32"],
        ),
        ("--peer-secret-file binary", vec!["no text", make_one]),
        ("--peer-secret-file control", vec!["printable", make_one]),
        ("--peer-secret-file comment", vec!["begins with #"]),
    ] {
        let args = format!("--id s1 --mongodb-uri mongodb://app:hunter2@127.0.0.1:1/?replicaSet=rs0 {args}");
        refused(dir.path(), &args, 2, &says).await?;
    }
    for (args, says) in [
        (
            "--allow-origin null",
            vec!["'null'", "--allow-origin", "every web page"],
        ),
        ("--allow-origin *", vec!["let every web page in"]),
        (
            "--allow-origin https://*.com",
            vec!["anybody can have a name below com"],
        ),
        (
            "--allow-origin app.example",
            vec!["write http://app.example or https://app.example"],
        ),
        (
            "--allow-origin http://localhost:*,http://localhost:3000/",
            vec!["'http://localhost:3000/'", "write http://localhost:3000"],
        ),
        (
            "--allow-origin ws://localhost:3000",
            vec!["begins with ws", "http"],
        ),
        (
            "--assist-failover maybe",
            vec!["'maybe'", "--assist-failover", "give true, yes, on"],
        ),
        (
            "--allow-schema=2",
            vec!["'2'", "--allow-schema", "false, no, off"],
        ),
    ] {
        let args = format!("--id s1 --mongodb-uri mongodb://app:hunter2@127.0.0.1:1/?replicaSet=rs0 {args}");
        refused(dir.path(), &args, 2, &says).await?;
    }
    for (args, code, says) in [
        (
            "--mongodb-uri-file nowhere",
            2,
            vec!["nowhere", "not there", "mongodb://"],
        ),
        ("--mongodb-uri-file empty", 2, vec!["is empty", "mongodb://"]),
        ("--mongodb-uri-file no-host", 1, vec!["MongoDB URI"]),
        ("", 2, vec!["--mongodb-uri <URI>|--mongodb-uri-file <FILE>"]),
        (
            "--mongodb-uri x --mongodb-uri-file no-host",
            2,
            vec!["cannot be used with"],
        ),
    ] {
        refused(dir.path(), &format!("--id s1 {args}"), code, &says).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_is_as_good_as_none() -> Result<()> {
    let help = run(program().await?.arg("--help"), &[]).await?;
    let help = String::from_utf8(help.stdout)?;
    let variables: Vec<&str> = help
        .split("[env: ")
        .skip(1)
        .filter_map(|text| text.split('=').next())
        .collect();
    ensure!(variables.contains(&"BELLWETHER_ALLOW_ORIGIN"), "{help}");
    let environment: Vec<(&str, &str)> = variables.iter().map(|variable| (*variable, "")).collect();
    let args = "--id s1 --mongodb-uri mongodb://127.0.0.1:1/?replicaSet=rs0 --peer-listen 0.0.0.0:1";
    let output = run(program().await?.args(args.split(' ')), &environment).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("not a loopback address"), "{said}");
    let (_, said) = health(&[], &environment).await?;
    ensure!(said.contains("127.0.0.1:7001"), "{said}");
    Ok(())
}

/// A boolean option and its variable are read by the same words.
#[tokio::test(flavor = "multi_thread")]
async fn true_and_false_are_read_alike_on_the_line_and_in_a_variable() -> Result<()> {
    // Refused for the address, after all options were read.
    let args = "--id s1 --mongodb-uri mongodb://127.0.0.1:1/?replicaSet=rs0 --peer-listen 0.0.0.0:1";
    for (option, variable) in [
        ("--allow-schema", "BELLWETHER_ALLOW_SCHEMA"),
        ("--assist-failover", "BELLWETHER_ASSIST_FAILOVER"),
    ] {
        for (word, is_read) in [
            ("true", true),
            ("off", true),
            ("YES", true),
            ("0", true),
            ("maybe", false),
        ] {
            let line = run(program().await?.args(args.split(' ')).args([option, word]), &[]).await?;
            let set = run(program().await?.args(args.split(' ')), &[(variable, word)]).await?;
            for output in [line, set] {
                let said = String::from_utf8_lossy(&output.stderr);
                let expected = if is_read {
                    "not a loopback address"
                } else {
                    "give true, yes, on"
                };
                ensure!(said.contains(expected), "{option} {word}: {said}");
            }
        }
        let mut both = program().await?;
        both.args(args.split(' ')).args([option, "false"]);
        let said = run(&mut both, &[(variable, "true")]).await?.stderr;
        let said = String::from_utf8_lossy(&said);
        ensure!(said.contains("not a loopback address"), "{option}: {said}");
    }
    Ok(())
}

async fn refused(dir: &Path, args: &str, code: i32, says: &[&str]) -> Result<()> {
    let mut program = program().await?;
    program.current_dir(dir).args(args.split_whitespace());
    let output = run(&mut program, &[]).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{args}: {output:?}");
    for word in says {
        ensure!(said.contains(word), "{args}: {word:?} is not in {said}");
    }
    ensure!(
        !said.contains("hunter2") && !said.contains(SECRET),
        "{args}: {said}"
    );
    ensure!(!said.contains("too short to be one"), "{args}: {said}");
    Ok(())
}

#[tokio::test]
async fn secrets_are_made_and_all_are_new() -> Result<()> {
    let mut made = Vec::new();
    for _ in 0..3 {
        // The environment of a container, which is the server's.
        let environment = [
            ("BELLWETHER_ID", "s1"),
            ("BELLWETHER_PEER_SECRET_FILE", "/nowhere"),
        ];
        let output = run(program().await?.arg("new-secret"), &environment).await?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        let secret = text.strip_suffix('\n').context("a line")?;
        ensure!(secret.len() == 64 && secret.chars().all(|c| c.is_ascii_hexdigit()));
        made.push(secret.to_owned());
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 3);
    Ok(())
}

#[tokio::test]
async fn health_is_asked_for() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let options = ClusterOptions {
        servers: 1,
        ..ClusterOptions::steady(set.uri())
    };
    let cluster = Cluster::start_with(options).await?;
    let url = format!("http://127.0.0.1:{}", cluster.servers[0].port);
    let wildcard = format!("0.0.0.0:{}", cluster.servers[0].port);
    says(&["--url", &url], &[], 0, "live\n").await?;
    says(&["--ready", "--url", &url], &[], 0, "ready\n").await?;
    let environment = [("BELLWETHER_LISTEN", &*wildcard), ("BELLWETHER_PEER", "s2=h:1")];
    says(&["--ready"], &environment, 0, "ready\n").await?;
    says(&["--listen", &wildcard], &[], 0, "live\n").await?;

    // Alive, but without MongoDB; and beyond loopback, which the secret allows.
    let dir = TempDir::new()?;
    fs::write(dir.path().join("secret"), SECRET)?;
    fs::write(
        dir.path().join("uri"),
        "mongodb://127.0.0.1:1/?replicaSet=rs0\r\n",
    )?;
    let ports = free_ports(2)?;
    let args = format!(
        "--id s1 --listen 127.0.0.1:{} --peer-listen 0.0.0.0:{} --peer-secret-file {dir}/secret --mongodb-uri-file \
         {dir}/uri",
        ports[0],
        ports[1],
        dir = dir.path().display()
    );
    let mut server = Process::start(Recipe {
        name: "server".to_owned(),
        launcher: Vec::new(),
        program: server_program().await?,
        args: args.split_whitespace().map(Into::into).collect(),
        log: dir.path().join("log"),
    })?;
    let url = format!("http://127.0.0.1:{}", ports[0]);
    says(&["--url", &url], &[], 0, "live\n").await?;
    says(&["--ready", "--url", &url], &[], 1, "no coordinator").await?;
    server.expect_running()?;
    server.kill()?;
    let (code, said) = health(&["--url", &url], &[]).await?;
    ensure!(
        code == 1 && said.contains("no server is reached"),
        "{code}: {said}"
    );

    // Something that takes the connection and is silent.
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (code, said) = health(&["--url", &format!("http://{}", deaf.local_addr()?)], &[]).await?;
    ensure!(code == 1 && said.contains("within 2s"), "{code}: {said}");
    Ok(())
}

/// Waits until the program ends with this exit code and says this. On a machine that stands still,
/// a server is silent for longer than the program waits.
async fn says(args: &[&str], environment: &[(&str, &str)], expected: i32, text: &str) -> Result<()> {
    wait_until(&format!("{args:?} to say {text:?}"), async || {
        let (code, said) = health(args, environment).await?;
        let as_expected = if code == 0 {
            said == text
        } else {
            said.contains(text)
        };
        ensure!(code == expected && as_expected, "{code}: {said}");
        Ok(())
    })
    .await
}

/// Returns the exit code and the whole output.
async fn health(args: &[&str], environment: &[(&str, &str)]) -> Result<(i32, String)> {
    let output = run(program().await?.arg("health").args(args), environment).await?;
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("it was killed")?;
    Ok((code, String::from_utf8(said)?))
}

async fn program() -> Result<Command> {
    let mut program = Command::new(server_program().await?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BELLWETHER_") {
            program.env_remove(name);
        }
    }
    Ok(program)
}

async fn run(program: &mut Command, environment: &[(&str, &str)]) -> Result<Output> {
    program.envs(environment.iter().copied());
    program
        .kill_on_drop(true)
        .output()
        .await
        .context("running bellwether-server")
}
