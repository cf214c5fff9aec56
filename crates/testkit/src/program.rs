use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_programs::{root, target_dir};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Returns the directory with the page, after building its client.
///
/// # Errors
/// If the client is not built.
pub fn page_dir() -> Result<PathBuf> {
    let www = root().join("www");
    ensure!(
        www.join("pkg/index.js").is_file(),
        "the page's client is not built: run `cargo xtask web`"
    );
    Ok(www)
}

/// Returns the `bellwether-server` program: in the directory `BELLWETHER_PROGRAMS` if that is set,
/// else built first.
///
/// # Errors
/// If it does not build.
pub async fn server_program() -> Result<PathBuf> {
    Ok(programs().await?.join("bellwether-server"))
}

/// Returns the `bellwether` program, the client for the terminal; found as [`server_program`] is.
///
/// # Errors
/// If it does not build.
pub async fn client_program() -> Result<PathBuf> {
    Ok(programs().await?.join("bellwether"))
}

/// Returns an example of the server crate; found as [`server_program`] is.
///
/// # Errors
/// If it does not build, or there is none of this name.
pub async fn server_example(name: &str) -> Result<PathBuf> {
    let example = programs().await?.join("examples").join(name);
    ensure!(
        example.is_file(),
        "there is no {}; cargo build --package bellwether-server --examples makes it",
        example.display()
    );
    Ok(example)
}

/// Returns the directory with the project's own programs: `BELLWETHER_PROGRAMS` if set. Otherwise
/// it is the directory of the profile with which this program was built. They are built there
/// first, so that a plain `cargo test` never runs old ones.
async fn programs() -> Result<&'static Path> {
    static PROGRAMS: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        if let Some(dir) = env::var_os("BELLWETHER_PROGRAMS") {
            return Ok(PathBuf::from(dir));
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--quiet",
            "--package",
            "bellwether-server",
            "--package",
            "bellwether-client",
            "--bins",
            "--examples",
        ]);
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        if profile == "release" {
            command.arg("--release");
        }
        // Cargo gives a test the name and the directory of its package. The build script of `ring`
        // depends on these variables. With them, each switch between a test and a plain `cargo`
        // would compile `ring` and all its dependents again.
        let of_this_package = |name: &str| {
            ["CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|begin| name.starts_with(begin))
        };
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
            command.env_remove(name);
        }
        command.current_dir(root());
        let built = command
            .status()
            .await
            .context("starting cargo to build the server and the client")?;
        ensure!(
            built.success(),
            "the server or the client does not build; cargo's messages are above"
        );
        Ok(target_dir()?.join(profile))
    };
    PROGRAMS.get_or_try_init(build).await.map(PathBuf::as_path)
}
