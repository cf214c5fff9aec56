//! Floods of every kind, small: the server serves good clients meanwhile, and releases everything
//! afterwards.

use std::process::Stdio;

use anyhow::{Result, ensure};
use tokio::process::Command;

/// `cargo xtask bench flood` fails if the server has another file open afterwards, or a good
/// client's command was not executed during an attack.
#[tokio::test]
async fn good_clients_are_served_and_nothing_is_left_open() -> Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether-bench"))
        .args(["--quick", "flood", "--seconds", "1"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{out}\n{err}");
    ensure!(output.status.success(), "{}: {err}", output.status);
    ensure!(out.contains("| after round 1 |"), "{out}");
    Ok(())
}
