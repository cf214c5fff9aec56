use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::place::root;

/// Tells the user something, on stderr. A terminal that is gone is no reason to stop.
pub fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a line of a result, on stdout.
pub fn show(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Makes a command, run in the repository's directory, that ends when its task ends.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).kill_on_drop(true);
    command
}

/// Makes a command of the cargo that runs this program, with these arguments.
pub fn cargo<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_this_program(&mut cargo);
    cargo.args(args);
    cargo
}

/// Makes a command of the cargo of another Rust than the project's.
pub fn cargo_of<A: AsRef<OsStr>>(toolchain: &str, args: impl IntoIterator<Item = A>) -> Command {
    let mut cargo = command("rustup");
    forget_this_program(&mut cargo);
    cargo.args(["run", toolchain, "cargo"]).args(args);
    cargo
}

/// Removes cargo's variables for the programs it runs: they are about this program, and would
/// confuse the next one.
fn forget_this_program(cargo: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            cargo.env_remove(name);
        }
    }
}

/// Runs a command, its output shown, and expects it to succeed.
pub async fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    say(format_args!("    $ {line}"));
    let status = command
        .status()
        .await
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(
        status.success(),
        "`{line}` failed ({status}); its messages are above"
    );
    Ok(())
}

/// Runs a command, its output shown, and has every line of its stdout read as well.
pub async fn run_and_read(command: &mut Command, mut read: impl FnMut(&str)) -> Result<ExitStatus> {
    let line = line(command);
    say(format_args!("    $ {line}"));
    let mut running = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = running.stdout.take();
    let mut lines = BufReader::new(stdout.with_context(|| format!("`{line}` has no output"))?).lines();
    while let Some(line) = lines.next_line().await? {
        read(&line);
        show(&line);
    }
    Ok(running.wait().await?)
}

/// Runs a command and returns its standard output.
pub async fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .output()
        .await
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(
        output.status.success(),
        "`{line}` failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn line(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
