//! The page in a headless Chromium, against a running cluster.
//!
//! With `BELLWETHER_SCREENSHOT=docs/page.png` the page's picture in the README is made anew.

use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use bellwether_tests::{
    Cluster, ClusterOptions, Process, Recipe, ReplicaSet, free_ports, on_path, wait_until,
};
use bson::{Document, doc};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_commands_also_when_the_coordinator_is_dead() -> Result<()> {
    let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www");
    ensure!(
        www.join("pkg").is_dir(),
        "the page's client is not built: run `cargo xtask web`"
    );
    let set = ReplicaSet::start(3).await?;
    let options = ClusterOptions {
        www: Some(www),
        ..ClusterOptions::new(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;

    let browser = Browser::start().await?;
    let shown = use_page(&browser.client, &mut cluster).await;
    if shown.is_err() {
        eprintln!(
            "--- the page ---\n{}",
            browser.client.source().await.unwrap_or_default()
        );
    }
    browser.close().await?;
    shown?;

    let notes = set.client().database("app").collection::<Document>("notes");
    for text in ["from the page", "after the kill"] {
        assert_eq!(notes.count_documents(doc! { "text": text }).await?, 1, "{text}");
    }
    Ok(())
}

async fn use_page(page: &Client, cluster: &mut Cluster) -> Result<()> {
    // From a server that will stay: the page itself must come from somewhere.
    let coordinator = cluster.all_agree().await?.coordinator;
    let host = (coordinator + 1) % cluster.servers.len();
    page.goto(&cluster.servers[host].page()).await?;
    fill(page, "#servers", &cluster.urls().join("\n")).await?;

    let insert = r#"{"insert":"notes","documents":[{"text":"from the page"}]}"#;
    let (outcome, result) = send(page, insert).await?;
    ensure!(outcome == "executed", "the insert: {outcome}: {result}");
    let (outcome, result) = send(page, r#"{"find":"notes","filter":{"text":"from the page"}}"#).await?;
    ensure!(
        outcome == "executed" && result.contains("from the page"),
        "the find: {outcome}: {result}"
    );
    ensure!(
        !page
            .find_all(Locator::Css("#tries [data-server][data-state]"))
            .await?
            .is_empty(),
        "no tries are shown"
    );

    cluster.servers[coordinator].process.kill()?;
    let insert = r#"{"insert":"notes","documents":[{"text":"after the kill"}]}"#;
    let (outcome, result) = send(page, insert).await?;
    ensure!(
        outcome == "executed",
        "the insert after the kill: {outcome}: {result}"
    );
    picture(page).await
}

/// Keeps what the page looks like, if asked to.
async fn picture(page: &Client) -> Result<()> {
    let Some(path) = env::var_os("BELLWETHER_SCREENSHOT") else {
        return Ok(());
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    page.set_window_size(1120, 1160).await?;
    send(page, r#"{"find":"notes","filter":{},"sort":{"_id":-1}}"#).await?;
    page.execute("window.scrollTo(0, 0);", vec![]).await?;
    fs::write(&path, page.screenshot().await?).with_context(|| format!("writing {}", path.display()))
}

/// Sends a command and waits for the verdict: the outcome and what is shown as the result.
async fn send(page: &Client, command: &str) -> Result<(String, String)> {
    fill(page, "#command", command).await?;
    // What is shown now is the last command's.
    page.execute(
        "document.querySelector('#verdict').dataset.outcome = 'none yet';",
        vec![],
    )
    .await?;
    page.find(Locator::Css("#send")).await?.click().await?;
    let outcome = wait_until("the page's verdict", async || {
        let verdict = page.find(Locator::Css("#verdict")).await?;
        let outcome = verdict.attr("data-outcome").await?.unwrap_or_default();
        ensure!(
            ["executed", "not_executed", "unknown"].contains(&outcome.as_str()),
            "it is {outcome:?}"
        );
        Ok(outcome)
    })
    .await?;
    let result = page.find(Locator::Css("#result")).await?.text().await?;
    Ok((outcome, result))
}

async fn fill(page: &Client, field: &str, text: &str) -> Result<()> {
    let field = page
        .wait()
        .at_most(Duration::from_secs(30))
        .for_element(Locator::Css(field))
        .await?;
    field.clear().await?;
    field.send_keys(text).await?;
    Ok(())
}

struct Browser {
    client: Client,
    // Dropped last to first: the driver ends before its directory is removed.
    _driver: Process,
    _dir: TempDir,
}

impl Browser {
    async fn start() -> Result<Self> {
        let program = on_path("chromedriver").context("no chromedriver: run `cargo xtask provision`")?;
        let dir = TempDir::with_prefix("bellwether-browser-")?;
        let port = free_ports(1)?[0];
        let mut driver = Process::start(Recipe {
            name: "chromedriver".into(),
            program,
            args: vec![format!("--port={port}").into()],
            log: dir.path().join("chromedriver.log"),
        })?;
        let profile = dir.path().join("profile");
        // Containers forbid what Chromium's sandbox needs, and often have a small /dev/shm.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
        ]
        .map(str::to_owned);
        let args: Vec<String> = args
            .into_iter()
            .chain([format!("--user-data-dir={}", profile.display())])
            .collect();
        let capabilities = json!({ "goog:chromeOptions": { "args": args } });
        let capabilities = capabilities.as_object().cloned().unwrap_or_default();
        let client = wait_until("the browser to start", async || {
            driver.expect_running()?;
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            Ok(builder.connect(&format!("http://127.0.0.1:{port}")).await?)
        })
        .await?;
        Ok(Self {
            client,
            _driver: driver,
            _dir: dir,
        })
    }

    /// Ends the browser. Its driver, killed, would leave it running.
    async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}
