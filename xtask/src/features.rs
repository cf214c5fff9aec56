use anyhow::Result;

use crate::step::{cargo, run as run_step};
use bellwether_programs::{ELECTION, Manifest};

/// Lints the election crate with every set of features it can be built with. Its tests, examples
/// and benchmarks are included, if they can be built with these features.
pub(crate) async fn run() -> Result<()> {
    let manifest = Manifest::of(ELECTION).await?;
    for features in manifest.feature_sets() {
        let features = features.into_iter().collect::<Vec<_>>().join(",");
        let mut clippy = cargo(["clippy", "--quiet", "--package", ELECTION, "--all-targets"]);
        clippy.args(["--no-default-features", "--features", &features]);
        run_step(clippy.args(["--", "-D", "warnings"])).await?;
    }
    Ok(())
}
