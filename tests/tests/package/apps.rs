use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Browser, Cluster, ClusterOptions, FileServer, Process, Recipe, ReplicaSet, find_node, free_ports,
    http_get, wait_until,
};
use bson::doc;
use fantoccini::Locator;
use serde_json::{Value, json};

use crate::project::Project;

/// Each app is a page and a worker that execute commands on a cluster of another origin.
#[tokio::test(flavor = "multi_thread")]
async fn apps_execute_commands_with_it() -> Result<()> {
    let plain = Project::of(&["app", "plain"]).await?;
    plain.unpack().await?;
    let plain = FileServer::start(plain.dir())
        .await
        .map(|server| (plain, server))?;

    let vite = Project::of(&["app", "vite"]).await?;
    vite.install().await?;
    vite.run_package("vite/bin/vite.js", &["build", "--logLevel", "warn"])
        .await?;
    let developed = ViteServer::start(&vite, "dev").await?;
    let built = ViteServer::start(&vite, "preview").await?;

    let apps = [plain.1.origin(), developed.origin(), built.origin()];
    let set = ReplicaSet::start(1).await?;
    create_checked(&set).await?;
    let args = apps
        .iter()
        .flat_map(|origin| ["--allow-origin".into(), origin.into()]);
    let cluster = Cluster::start_with(ClusterOptions {
        args: args.collect(),
        ..ClusterOptions::steady(set.uri())
    })
    .await?;
    let browser = Browser::start().await?;
    let mut used = Ok(());
    for origin in apps {
        used = used.and(use_app(&browser, &origin, &cluster.urls().join(",")).await);
    }
    browser.close().await?;
    used
}

async fn use_app(browser: &Browser, origin: &str, servers: &str) -> Result<()> {
    let page = browser.client();
    page.goto(&format!("{origin}/#{servers}")).await?;
    let expected = expected();
    for place in ["page", "worker"] {
        let shown = wait_until(&format!("the {place} of {origin}"), async || {
            let text = page.find(Locator::Id(place)).await?.text().await?;
            ensure!(!text.is_empty(), "it shows nothing");
            Ok(text)
        })
        .await;
        let console = browser.console().await?;
        let console: Vec<String> = console.iter().map(ToString::to_string).collect();
        let shown = shown.with_context(|| format!("{console:#?}"))?;
        let value: Value = serde_json::from_str(&shown).unwrap_or_else(|_| json!(shown));
        ensure!(
            value == expected,
            "the {place} of {origin} shows {shown}; the console: {console:#?}"
        );
    }
    Ok(())
}

/// Returns the expected content of the apps: see `tests/package/app/shown.js`.
pub(crate) fn expected() -> Value {
    json!({
        "commands": {
            "n": 1, "far": 1, "long": "9007199254740993", "at": "1970-01-01T00:00:00.000Z", "bytes": "AQI=", "more": ["_id", "text"],
            "like": {"pattern": "^a", "options": "im"}, "liked": [1, 0],
            "text": true, "attempts": true,
        },
        "outcomes": {
            "replayed": [false, true],
            "outcomeResult": ["executed", 1, true],
            "never": ["not_executed", "undefined", "undefined", "undefined"],
        },
        "aborts": {
            "early": ["cancelled", "not_executed"],
            "late": ["cancelled", "unknown"],
            "settled": true,
            "count": 1,
        },
        "listeners": {
            "first": {"type": "pass", "pass": 1},
            "story": ["trying", "connected", "greeted", "sent", "executed"],
            "sent": true,
            "reported": "a listener's mistake",
        },
        "mistakes": {
            "duplicate": "mongo not_executed",
            "unbalanced": "bad_command not_executed",
            "unwritable": "bad_command not_executed",
            "meaningless": "bad_command not_executed",
            "forbidden": "command_not_allowed not_executed",
            "nowhere": "bad_server not_executed",
            "elsewhere": "wrong_cluster not_executed",
            "unnamed": "bad_option not_executed",
            "unlisted": "bad_server not_executed",
            "mongo": ["DuplicateKey", 1], "details": [true, true, true, true],
            "place": [2, 8],
            "path": "deletes[0].q.owner",
        },
        "rules": {
            "invalid": ["mongo", "not_executed", 121, "DocumentValidationFailure"],
            "failing": true,
            "rule": ["$jsonSchema", "n", "type did not match", "one"],
            "text": true,
            "taken": ["mongo", "not_executed", 11_000, {"n": 1, "kind": 1}, 1],
            "value": true,
        },
    })
}

/// Creates the collection that the apps use, with a validator and a unique index.
pub(crate) async fn create_checked(set: &ReplicaSet) -> Result<()> {
    let database = set.client().database("app");
    let schema = doc! { "required": ["n"], "properties": { "n": { "bsonType": "int" } } };
    let validator = doc! { "$jsonSchema": schema };
    database
        .run_command(doc! { "create": "checked", "validator": validator })
        .await?;
    let index = doc! { "key": { "n": 1, "kind": 1 }, "name": "by_n_and_kind", "unique": true };
    database
        .run_command(doc! { "createIndexes": "checked", "indexes": [index] })
        .await?;
    Ok(())
}

/// A server of Vite's, for development or for the built files.
struct ViteServer {
    port: u16,
    _process: Process,
}

impl ViteServer {
    async fn start(project: &Project, mode: &str) -> Result<Self> {
        let port = free_ports(1)?[0];
        let dir: &Path = project.dir();
        let mut process = Process::start(Recipe {
            name: format!("vite {mode}"),
            launcher: Vec::new(),
            program: find_node().await?,
            args: vec![
                project.path("node_modules/vite/bin/vite.js").into(),
                mode.into(),
                dir.into(),
                "--host=127.0.0.1".into(),
                "--strictPort".into(),
                format!("--port={port}").into(),
            ],
            log: project.path(&format!("vite-{mode}.log")),
        })?;
        wait_until(&format!("vite {mode}"), async || {
            process.expect_running()?;
            http_get(port, "/", &[]).await
        })
        .await?;
        Ok(Self {
            port,
            _process: process,
        })
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
