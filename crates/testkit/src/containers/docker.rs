use std::ffi::{OsStr, OsString};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Runs `docker` with these arguments and returns its output, without the line's end.
///
/// # Errors
/// If it fails; the error repeats its message.
pub async fn docker<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<String> {
    let mut command = Command::new("docker");
    command.args(args);
    let output = run(command).await?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Returns everything that a container has written so far, on either of its outputs.
///
/// # Errors
/// If there is no such container.
pub async fn docker_logs(container: &str) -> Result<String> {
    let mut command = Command::new("docker");
    command.args(["logs", container]);
    let output = run(command).await?;
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Ok([out, err].concat())
}

/// Returns Docker's description of a container.
pub(super) async fn inspect(container: &str) -> Result<Value> {
    let text = docker(["inspect", "--type", "container", container]).await?;
    let mut all: Vec<Value> = serde_json::from_str(&text)?;
    ensure!(all.len() == 1, "docker inspect {container} shows {text}");
    Ok(all.remove(0))
}

/// Runs a command and expects it to succeed.
pub(super) async fn run(mut command: Command) -> Result<Output> {
    let line = line(&command);
    let output =
        command.kill_on_drop(true).output().await.with_context(|| {
            format!("cannot start `{line}`: run `cargo xtask containers`, which gets Docker")
        })?;
    ensure!(
        output.status.success(),
        "`{line}` failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

fn line(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<OsString> = words.map(OsStr::to_os_string).collect();
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}
