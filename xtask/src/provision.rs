//! Gets what a fresh machine lacks. Everything goes into cargo's target directory or through the system's own
//! package manager, and what cannot be had is named together with how to supply it.

mod apt;
mod cargo_deny;
mod kubernetes_validate;
mod mongod;
mod node;
mod wheel;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bellwether_tests::on_path;

pub(crate) use cargo_deny::cargo_deny;
pub(crate) use kubernetes_validate::kubernetes_validate;
pub(crate) use mongod::mongod;
pub(crate) use node::{node, packages};

use crate::step::{command, output, run, say};

/// Something a machine lacks, and that could not be had, with how to supply it.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl Missing {
    fn rust(what: &str) -> Self {
        Self(format!(
            "{what} is needed; install it with your way of installing Rust"
        ))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what) = self;
        f.write_str(what)
    }
}

/// Everything any of the commands needs.
pub(crate) async fn everything() -> Result<()> {
    let got = [
        mongod().await,
        wasm_target().await,
        browser().await,
        if_possible(rust_src().await),
        if_possible(packages().await),
    ];
    let failures: Vec<String> = got
        .into_iter()
        .filter_map(|got| Some(format!("{:#}", got.err()?)))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        bail!(failures.join("\n\n"))
    }
}

/// Without it the browser client is larger, and its package goes untested; everything else works.
fn if_possible(got: Result<()>) -> Result<()> {
    match got {
        Err(error) if error.is::<Missing>() => {
            say(format_args!("the browser client goes without: {error}"));
            Ok(())
        }
        got => got,
    }
}

/// The target the browser client is built for.
pub(crate) async fn wasm_target() -> Result<()> {
    target("wasm32-unknown-unknown").await
}

/// The source of the standard library, to make it small for the browser client.
pub(crate) async fn rust_src() -> Result<()> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"])).await?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    if source.is_dir() {
        return Ok(());
    }
    say(format_args!(
        "source of the standard library: missing. Installing it."
    ));
    run(command("rustup").args(["component", "add", "rust-src"]))
        .await
        .with_context(|| Missing::rust("the source of Rust's standard library"))
}

/// The compiler's support for another target.
pub(crate) async fn target(name: &str) -> Result<()> {
    let libraries = output(command("rustc").args(["--print", "target-libdir", "--target", name])).await?;
    if Path::new(libraries.trim()).is_dir() {
        say(format_args!("target {name}: installed"));
        return Ok(());
    }
    say(format_args!("target {name}: missing. Installing it."));
    run(command("rustup").args(["target", "add", name]))
        .await
        .with_context(|| Missing::rust(&format!("the Rust target {name}")))
}

/// Another version of the compiler.
pub(crate) async fn toolchain(name: &str, components: &[&str]) -> Result<()> {
    let installed = async || {
        let list = ["component", "list", "--installed", "--toolchain", name];
        let list = output(command("rustup").args(list)).await.unwrap_or_default();
        // Some are listed with the target they are for: rustc-x86_64-unknown-linux-gnu.
        let has = |component: &str| list.lines().any(|line| line.starts_with(component));
        has("rustc") && components.iter().copied().all(has)
    };
    if installed().await {
        say(format_args!("Rust {name}: installed"));
        return Ok(());
    }
    say(format_args!("Rust {name}: missing. Installing it."));
    let mut install = command("rustup");
    install.args([
        "toolchain",
        "install",
        name,
        "--profile",
        "minimal",
        "--no-self-update",
    ]);
    for component in components {
        install.args(["--component", component]);
    }
    run(&mut install)
        .await
        .with_context(|| Missing::rust(&format!("Rust {name} {}", components.join(" "))))
}

/// A browser that can be driven, for the tests of the page, the package and the browser client.
pub(crate) async fn browser() -> Result<()> {
    if on_path("chromedriver").is_some() {
        say(format_args!("browser: chromedriver is installed"));
        return Ok(());
    }
    say(format_args!(
        "browser: missing. The tests of the page drive a headless Chromium."
    ));
    apt::install(&["chromium", "chromium-driver"]).await.context(
        "no chromedriver: install Chromium or Chrome and the chromedriver of the same version, and put \
         chromedriver on PATH. Only the tests that run in a browser need it",
    )
}
