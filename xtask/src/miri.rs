use anyhow::Result;
use bellwether_programs::target_dir;
use tokio::process::Command;

use crate::step::{cargo_of, run as run_step};
use crate::{package, provision};
use bellwether_programs::ELECTION;

const NIGHTLY: &str = "nightly";

/// Runs the election's pure part under Miri, which notices undefined behaviour. The crate has no
/// unsafe code, so this examines its dependencies.
pub(crate) async fn run() -> Result<()> {
    provision::toolchain(NIGHTLY, &["miri", "rust-src"]).await?;
    let target = target_dir()?.join("miri");
    let core = ["--package", ELECTION, "--no-default-features", "--lib"];
    run_step(miri("test").args(core).arg("--target-dir").arg(&target)).await?;
    // An election, too.
    let dependent = package::dependent().await?;
    let mut by_hand = miri("run");
    by_hand.args(["--bin", "by_hand", "--target-dir"]).arg(&target);
    run_step(by_hand.current_dir(dependent.dir())).await
}

fn miri(command: &str) -> Command {
    cargo_of(NIGHTLY, ["miri", command])
}
