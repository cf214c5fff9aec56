use anyhow::Result;

use crate::step::{cargo, run as run_step};
use bellwether_programs::ELECTION;

/// Builds all documentation, and that of the election crate as its users can see it, whose examples
/// are run too.
pub(crate) async fn run() -> Result<()> {
    document(&["--workspace"]).await?;
    for features in ["--no-default-features", "--all-features"] {
        document(&["--package", ELECTION, features]).await?;
        run_step(&mut cargo([
            "test",
            "--quiet",
            "--doc",
            "--package",
            ELECTION,
            features,
        ]))
        .await?;
    }
    Ok(())
}

async fn document(selection: &[&str]) -> Result<()> {
    let mut doc = cargo(["doc", "--no-deps"]);
    run_step(doc.args(selection).env("RUSTDOCFLAGS", "-D warnings")).await
}
