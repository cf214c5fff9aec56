//! The tests of the browser client that need a browser, in a headless Chromium: in a page and in a
//! worker.
//!
//! This replaces `wasm-bindgen-test-runner`. To build that program takes minutes, and its version
//! would have to be equal to that of the crate `wasm-bindgen`.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use bellwether_programs::{cargo, output, run as run_step, say, show, target_dir};
use bellwether_testkit::{Browser, FileServer, wait_until};
use clap::Parser;
use serde_json::Value;
use wasm_bindgen_cli_support::Bindgen;

use self::server::TestServers;

#[derive(Parser)]
struct Options {
    /// Run only tests whose names contain this
    filter: Option<String>,
}

/// Files that the browser loads in addition to the tests.
const HARNESS: [(&str, &str); 4] = [
    ("index.html", include_str!("harness/page.html")),
    ("page.js", include_str!("harness/page.js")),
    ("worker.js", include_str!("harness/worker.js")),
    ("run.js", include_str!("harness/run.js")),
];

/// Places in which the tests run. The client is for both, and only one of them has a window.
const PLACES: [&str; 2] = ["page", "worker"];

const BUILD: [&str; 8] = [
    "test",
    "--no-run",
    "--package",
    "bellwether-web-client",
    "--target",
    "wasm32-unknown-unknown",
    "--test",
    "*",
];

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(options.filter.as_deref()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the tests whose names contain the filter.
async fn run(filter: Option<&str>) -> Result<()> {
    let modules = build().await?;
    let servers = TestServers::start().await?;
    let browser = Browser::start().await?;
    let mut failed = Vec::new();
    for module in &modules {
        for place in PLACES {
            let name = name(module);
            show(&format!("\n     Running the tests `{name}` in a {place}"));
            let passed = run_in(&browser, place, module, &servers, filter).await;
            if let Err(error) = passed {
                failed.push(format!("`{name}` in a {place}: {error:#}"));
            }
        }
    }
    browser.close().await?;
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Builds the tests, each into a module of its own.
async fn build() -> Result<Vec<PathBuf>> {
    run_step(&mut cargo(BUILD)).await?;
    // Once more, now with nothing to do, for the names.
    let messages = output(cargo(BUILD).args(["--quiet", "--message-format", "json"])).await?;
    let mut modules = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo says something unexpected")?;
        modules.extend(message["executable"].as_str().map(PathBuf::from));
    }
    ensure!(!modules.is_empty(), "the browser client has no tests");
    Ok(modules)
}

async fn run_in(
    browser: &Browser,
    place: &str,
    module: &Path,
    servers: &TestServers,
    filter: Option<&str>,
) -> Result<()> {
    let dir = target_dir()?.join("browser-tests");
    prepare(module, &dir)?;
    let files = FileServer::start(&dir).await?;
    let filter = filter.unwrap_or_default();
    let page = browser.client();
    page.goto(&format!(
        "{}/?place={place}&filter={filter}&{}",
        files.origin(),
        servers.query()
    ))
    .await?;
    let ended = wait_until("the tests to end", async || {
        let state = page
            .execute("return document.body.dataset.state ?? null", vec![])
            .await?;
        state.as_str().map(str::to_owned).context("they still run")
    })
    .await;
    let printed = page
        .execute("return document.querySelector('#output').textContent", vec![])
        .await?;
    for line in printed.as_str().unwrap_or_default().lines() {
        show(line);
    }
    match ended.as_deref() {
        Ok("passed") => Ok(()),
        Ok(_) => bail!("tests failed; their messages are above"),
        Err(error) => {
            for line in browser.console().await? {
                show(&line.to_string());
            }
            bail!("{error:#}")
        }
    }
}

/// Returns the name of the tests, without the number that cargo appends.
fn name(module: &Path) -> String {
    let name = module.file_stem().unwrap_or_default().to_string_lossy();
    name.split_once('-').map_or(&*name, |(name, _)| name).to_owned()
}

/// Makes the directory the browser loads everything from.
fn prepare(module: &Path, dir: &Path) -> Result<()> {
    if dir.is_dir() {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    for (name, text) in HARNESS {
        fs::write(dir.join(name), text)?;
    }
    Bindgen::new()
        .input_path(module)
        .out_name("tests")
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .debug(true)
                .typescript(false)
                // It is `main`, and these tests have none.
                .emit_start(false)
                .omit_default_module_path(false)
                .generate(dir)
        })
        .with_context(|| format!("making JavaScript for {}", module.display()))
}
