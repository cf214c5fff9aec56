//! Gets what a fresh machine lacks. Everything goes into cargo's target directory or through the system's own
//! package manager, and what cannot be had is named together with how to supply it.

mod apt;
mod mongod;

use anyhow::{Context, Result, bail};
use bellwether_tests::on_path;

pub(crate) use mongod::mongod;

use crate::step::{command, output, run, say};

/// Everything any of the commands needs.
pub(crate) async fn everything() -> Result<()> {
    let mongod = mongod().await;
    let wasm = wasm_target().await;
    let browser = browser().await;
    let failures: Vec<String> = [mongod, wasm, browser]
        .into_iter()
        .filter_map(|got| Some(format!("{:#}", got.err()?)))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        bail!(failures.join("\n\n"))
    }
}

/// The compiler's support for WebAssembly, which the browser client is built for.
pub(crate) async fn wasm_target() -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let libraries = output(command("rustc").args(["--print", "target-libdir", "--target", TARGET])).await?;
    if std::path::Path::new(libraries.trim()).is_dir() {
        say(format_args!("wasm target: installed"));
        return Ok(());
    }
    say(format_args!(
        "wasm target: missing. Installing it: the page's client is compiled for it."
    ));
    run(command("rustup").args(["target", "add", TARGET])).await.with_context(|| {
        format!("the Rust target {TARGET} is needed to build the page; install it with your way of installing Rust")
    })
}

/// A browser that can be driven, for the test of the page.
pub(crate) async fn browser() -> Result<()> {
    if on_path("chromedriver").is_some() {
        say(format_args!("browser: chromedriver is installed"));
        return Ok(());
    }
    say(format_args!(
        "browser: missing. The test of the page drives a headless Chromium."
    ));
    apt::install(&["chromium", "chromium-driver"]).await.context(
        "no chromedriver: install Chromium or Chrome and the chromedriver of the same version, and put \
         chromedriver on PATH. Only the test of the page needs it",
    )
}
