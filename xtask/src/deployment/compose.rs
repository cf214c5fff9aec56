use anyhow::{Result, ensure};
use bellwether_programs::on_path;
use tokio::process::Command;

use super::DOCKER;
use crate::provision::Missing;
use crate::step::{command, output, root, run, say};

/// The files as they are used together, each with the variable file it is used with.
const USES: [(&[&str], &str); 3] = [
    (&["compose.yaml"], ".env"),
    (&["compose.yaml", "compose.five.yaml"], ".env"),
    (&["compose.server.yaml"], "server.env"),
];

/// Has each generation of Compose that is here read the files: the one of Python, whose last
/// version is 1.29, and Docker's plug-in.
pub(super) async fn check() -> Result<()> {
    let mut generations: Vec<fn() -> Command> = Vec::new();
    if on_path("docker-compose").is_some() {
        generations.push(|| command("docker-compose"));
    }
    if output(plug_in().arg("version")).await.is_ok() {
        generations.push(plug_in);
    }
    ensure!(
        !generations.is_empty(),
        Missing("Docker Compose is needed to check the Compose files".to_owned())
    );
    for compose in generations {
        let mut version = compose();
        let version = output(version.args(["version", "--short"])).await?;
        say(format_args!("Compose {}", version.trim()));
        for (files, variables) in USES {
            let mut compose = compose();
            // Paths in the files are relative to where they are.
            compose.current_dir(root().join(DOCKER));
            compose.args(["--env-file", variables]);
            for file in files {
                compose.args(["-f", file]);
            }
            run(compose.args(["config", "--quiet"])).await?;
        }
    }
    Ok(())
}

fn plug_in() -> Command {
    let mut docker = command("docker");
    docker.arg("compose");
    docker
}
