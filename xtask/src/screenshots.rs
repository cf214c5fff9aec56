use anyhow::Result;
use bellwether_programs::target_dir;

use crate::step::{cargo, command, root, run as run_step};
use crate::{provision, web};

/// Makes the pictures of the page in docs/images.
pub(crate) async fn run() -> Result<()> {
    provision::mongod().await?;
    provision::browser().await?;
    web::build().await?;
    let packages = ["bellwether-server", "bellwether-tests"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    run_step(cargo(["build", "--bins"]).args(packages)).await?;
    let programs = target_dir()?.join("debug");
    let mut screenshots = command(programs.join("bellwether-screenshots"));
    screenshots.arg(root().join("docs/images"));
    run_step(screenshots.env("BELLWETHER_PROGRAMS", programs)).await
}
