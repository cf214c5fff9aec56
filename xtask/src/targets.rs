use anyhow::Result;

use crate::provision;
use crate::step::{cargo, run as run_step};
use bellwether_programs::ELECTION;

/// A browser, and a microcontroller, for which there is no `std`.
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "thumbv7m-none-eabi"];

/// Builds the election crate without features, for targets without an operating system.
pub(crate) async fn run() -> Result<()> {
    for target in TARGETS {
        provision::target(target).await?;
        let build = ["build", "--lib", "--no-default-features", "--package", ELECTION];
        run_step(cargo(build).args(["--target", target])).await?;
    }
    Ok(())
}
