use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Cluster, ClusterOptions, FalseServer, ReplicaSet, node_packages};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::apps::{create_checked, expected};
use crate::project::{Project, fixtures};

/// A program that runs JavaScript, with the options that these tests need.
struct Runtime {
    name: &'static str,
    command: Vec<String>,
}

/// Returns Node.js 22, Deno and Bun.
async fn runtimes() -> Result<Vec<Runtime>> {
    let packages = node_packages(&fixtures().join("runtimes/package.json")).await?;
    let modules = packages.join("node_modules");
    let runtime = |name, program: PathBuf, options: &[&str]| {
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend(options.iter().map(|option| (*option).to_owned()));
        Runtime { name, command }
    };
    Ok(vec![
        runtime(
            "Node.js",
            program(&modules, "node-", "bin/node")?,
            &["--expose-gc"],
        ),
        runtime(
            "Deno",
            program(&modules.join("@deno"), "", "deno")?,
            &["run", "--allow-all", "--v8-flags=--expose-gc"],
        ),
        runtime("Bun", program(&modules.join("@oven"), "bun-", "bin/bun")?, &[]),
    ])
}

/// Returns the program at this path in one of the directories whose names have this beginning: each
/// platform has a package of its own.
fn program(packages: &Path, prefix: &str, path: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(packages).with_context(|| format!("reading {}", packages.display()))?;
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(path))
        .find(|program| program.is_file())
        .with_context(|| {
            format!(
                "no package in {} has {path} for this platform",
                packages.display()
            )
        })
}

/// Makes a project with the package and the scripts.
async fn project() -> Result<Project> {
    let project = Project::of(&["app", "program"]).await?;
    project.install().await?;
    Ok(project)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_in_every_runtime_what_it_does_in_browsers() -> Result<()> {
    let project = project().await?;
    let set = ReplicaSet::start(1).await?;
    create_checked(&set).await?;
    let cluster = Cluster::start_with(ClusterOptions::steady(set.uri())).await?;
    let servers = cluster.urls().join(",");
    for Runtime { name, command } in runtimes().await? {
        let shown = project
            .run_script(&command, "commands.js", &[&servers, name])
            .await?;
        let value: Value = serde_json::from_str(&shown).unwrap_or_else(|_| json!(shown));
        assert_eq!(value, expected(), "{name}: {shown}");

        let compared = project.run_script(&command, "bson.js", &[&servers, name]).await?;
        assert_eq!(compared.trim(), "the same", "{name}");
    }
    Ok(())
}

/// In bytes.
#[derive(Debug, Deserialize)]
struct Memory {
    /// The WebAssembly module's, in pages of 64 KiB.
    module: u64,
    heap: u64,
}

const COMMANDS: u64 = 10_000;

/// A value of JavaScript that stays for each command takes more than this.
const HEAP_PER_COMMAND: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn no_memory_stays_for_a_command() -> Result<()> {
    #[derive(Debug, Deserialize)]
    struct Printed {
        before: Memory,
        after: Memory,
    }
    let project = project().await?;
    let server = FalseServer::start("", |frame| Some(answer(frame).to_string())).await?;
    for Runtime { name, command } in runtimes().await? {
        let args = [&*server.url(), &COMMANDS.to_string()];
        let printed = project.run_script(&command, "memory.js", &args).await?;
        let Printed { before, after } =
            serde_json::from_str(&printed).with_context(|| format!("{name} printed {printed}"))?;
        println!("{name}: {before:?}, after {COMMANDS} commands {after:?}");
        ensure!(
            after.module == before.module,
            "{name}: the module's memory has grown from {} to {} bytes",
            before.module,
            after.module
        );
        let grown = after.heap.saturating_sub(before.heap);
        ensure!(
            grown < HEAP_PER_COMMAND * COMMANDS,
            "{name}: {grown} bytes of the heap have stayed after {COMMANDS} commands: {before:?}, {after:?}"
        );
    }
    Ok(())
}

/// Returns the answer of a coordinator, with the fields that the client reads.
fn answer(frame: &Value) -> Value {
    if frame["type"] == "hello" {
        return json!({
            "type": "hello_ok", "cluster": "test", "server": "s1", "role": "coordinator", "epoch": 7, "coordinator": null,
            "server_time_ms": 1_795_345_271_075_u64,
            "limits": {
                "max_message_bytes": 1_048_576, "max_depth": 100, "max_result_bytes": 4_194_304,
                "max_deadline_ms": 60_000, "retention_ms": 86_400_000,
            },
        });
    }
    json!({
        "type": "result", "id": frame["id"], "epoch": 7, "replayed": false, "result": { "n": 1, "ok": 1.0 },
    })
}
