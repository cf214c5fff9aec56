use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use super::stand_in::{self, StandIn};
use crate::step::{command, output, root, run, say};

/// For a registry to begin with its answer. A download may then take as long as it does.
const REGISTRY_ANSWERS: Duration = Duration::from_secs(20);

/// The image under test. It is built here, so it has no version.
const SERVER: &str = "bellwether-test/server";

/// The images the tests run.
pub(crate) struct Images {
    pub(crate) server: String,
    pub(crate) mongo: String,
}

/// An image that others make, by the variable that names it in `docker/.env`.
struct Base {
    variable: &'static str,
    stand_in: StandIn,
}

const MONGO: Base = Base {
    variable: "MONGO_IMAGE",
    stand_in: StandIn::Mongo,
};
const RUST: Base = Base {
    variable: "RUST_IMAGE",
    stand_in: StandIn::Rust,
};
const NODE: Base = Base {
    variable: "NODE_IMAGE",
    stand_in: StandIn::Node,
};

impl Images {
    /// Gets MongoDB's image and builds the server's from source, both on the images that users
    /// have. If no registry can be reached, it uses stand-ins.
    pub(crate) async fn get() -> Result<Self> {
        let mut registry = Registry { reached: true };
        let mongo = MONGO.get(&mut registry).await?;
        let rust = RUST.get(&mut registry).await?;
        let node = NODE.get(&mut registry).await?;
        run(command("docker")
            .args(["build", "--file", "docker/Dockerfile", "--tag", SERVER])
            .args(["--build-arg", &format!("RUST_IMAGE={rust}")])
            .args(["--build-arg", &format!("NODE_IMAGE={node}")])
            .arg("."))
        .await?;
        let size =
            output(command("docker").args(["image", "inspect", "--format", "{{.Size}}", SERVER])).await?;
        let bytes: u64 = size.trim().parse().with_context(|| format!("a size of {size}"))?;
        say(format_args!("the server's image: {:.1} MB", bytes as f64 / 1e6));
        Ok(Self {
            server: SERVER.to_owned(),
            mongo,
        })
    }
}

impl Base {
    /// Returns the name of an image that is here.
    async fn get(&self, registry: &mut Registry) -> Result<String> {
        let name = self.name()?;
        if is_here(&name).await {
            say(format_args!("image {name}: is here"));
            return Ok(name);
        }
        if registry.reached {
            match pull(&name).await {
                Ok(()) => return Ok(name),
                Err(error) => say(format_args!("image {name} cannot be pulled: {error:#}")),
            }
            registry.reached = false;
        }
        stand_in::make(self.stand_in).await
    }

    /// Returns the name, as the compose files read it: from the environment, else from the file of
    /// variables.
    fn name(&self) -> Result<String> {
        if let Ok(name) = std::env::var(self.variable) {
            return Ok(name);
        }
        let file = root().join("docker/.env");
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(self.variable)?.strip_prefix('='));
        let value = value.with_context(|| format!("{} does not set {}", file.display(), self.variable))?;
        Ok(value.to_owned())
    }
}

/// The registry of images, and `true` if a request to it is worth an attempt.
struct Registry {
    reached: bool,
}

pub(super) async fn is_here(image: &str) -> bool {
    output(command("docker").args(["image", "inspect", image]))
        .await
        .is_ok()
}

async fn pull(image: &str) -> Result<()> {
    say(format_args!("image {image}: missing. Pulling it."));
    let mut pull = command("docker");
    pull.args(["pull", image])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut pull = pull.spawn().context("cannot start `docker`")?;
    let stdout = pull.stdout.take().context("docker has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let Ok(first) = timeout(REGISTRY_ANSWERS, lines.next_line()).await else {
        bail!("the registry does not answer");
    };
    let mut line = first?;
    while line.is_some() {
        line = lines.next_line().await?;
    }
    let status = pull.wait().await?;
    ensure!(status.success(), "docker pull has failed ({status})");
    Ok(())
}
