use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, ensure};
use bellwether_testkit::python_packages;
use tokio::process::Command;

/// Returns the directory of the Python project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/python")
}

/// Returns Python with the client from its source, and with the packages that the client and its
/// tests need.
pub(crate) async fn python(args: &[&str]) -> Result<Command> {
    let packages = python_packages(&project()).await?;
    let path = format!("{}:{}", project().join("src").display(), packages.display());
    let mut python = Command::new("python3");
    python
        .args(args)
        .current_dir(project())
        .env("PYTHONPATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // The developer's proxy does not lead to this machine.
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(python)
}

/// Runs Python to its end and returns its output.
pub(crate) async fn run(args: &[&str]) -> Result<String> {
    let output = python(args).await?.output().await?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "python3 {args:?} failed ({}):\n{printed}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
