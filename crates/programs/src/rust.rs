use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::step::{command, output, run, say};

/// A tool that a machine lacks, and that could not be installed, with the way to supply it.
#[derive(Debug)]
pub struct Missing(pub String);

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

/// Makes sure that the target of the browser client is installed.
pub async fn wasm_target() -> Result<()> {
    target("wasm32-unknown-unknown").await
}

/// Makes sure that there is the source of the standard library, to make it small for the browser
/// client.
pub async fn rust_src() -> Result<()> {
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

/// Makes sure that the compiler supports another target.
pub async fn target(name: &str) -> Result<()> {
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

/// Makes sure that there is another version of the compiler.
pub async fn toolchain(name: &str, components: &[&str]) -> Result<()> {
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
