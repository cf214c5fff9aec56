//! The cluster of `docker/compose.yaml` put through faults, in containers.

mod images;
mod stand_in;

use anyhow::{Result, ensure};
use bellwether_programs::target_dir;
use clap::Args;

use crate::provision;
use crate::step::{self, cargo};
use images::Images;

#[derive(Args)]
pub(crate) struct Options {
    /// Make the images, and test nothing
    #[arg(long)]
    images_only: bool,
    /// Arguments for the test program, such as the beginning of a case's name
    #[arg(last = true)]
    args: Vec<String>,
}

impl Options {
    /// Selects every case whose name contains this.
    pub(crate) fn filter(filter: Option<&str>) -> Self {
        Self {
            images_only: false,
            args: filter.map(str::to_owned).into_iter().collect(),
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<()> {
    run_and_read(&options, |_| {}).await
}

/// Gets Docker and the images, runs the tests, and has every line they print read.
pub(crate) async fn run_and_read(options: &Options, read: impl FnMut(&str)) -> Result<()> {
    let docker = provision::docker().await?;
    let done = with_docker(options, read).await;
    docker.end().await?;
    done
}

async fn with_docker(options: &Options, read: impl FnMut(&str)) -> Result<()> {
    let images = Images::get().await?;
    if options.images_only {
        return Ok(());
    }
    provision::browser().await?;
    step::run(&mut cargo(["build", "--workspace", "--bins"])).await?;
    let mut test = cargo([
        "test",
        "--package",
        "bellwether-tests",
        "--test",
        "containers",
        "--",
    ]);
    test.args(&options.args)
        .env("BELLWETHER_PROGRAMS", target_dir()?.join("debug"))
        .env("BELLWETHER_IMAGE", &images.server)
        .env("MONGO_IMAGE", &images.mongo);
    let status = step::run_and_read(&mut test, read).await?;
    ensure!(
        status.success(),
        "the tests in containers failed ({status}); what failed is named above"
    );
    Ok(())
}
