//! Images that replace the official ones for the compose files and the image's build. They are made
//! from the files of this machine and of its package manager. They are for machines that reach no
//! registry of images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use bellwether_programs::{find_mongod, node_packages, npm, on_path, target_dir};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::images::is_here;
use crate::provision::{self, Missing, apt};
use crate::step::{cargo, command, output, root, run, say};

/// A replacement for an official image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    Mongo,
    Node,
    Rust,
}

/// The base of all of them: a Debian with the packages that they need.
const DEBIAN: &str = "bellwether-test/debian";
const RELEASE: &str = "bookworm";
const PACKAGES: &str = "ca-certificates,gcc,gosu,libc6-dev,libcurl4,musl-tools,openssl,procps";

const MUSL: &str = "x86_64-unknown-linux-musl";

/// The path of cargo in the stand-in for Rust's image.
const RUST_PATH: &str =
    "ENV PATH=/usr/local/rustup/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Label of a stand-in, with the key from which it was made.
const LABEL: &str = "bellwether.made-from";

/// Makes the stand-in, unless an equal one is here, and returns its name.
///
/// # Errors
/// [`Missing`] if this machine lacks a part of it.
pub(super) async fn make(stand_in: StandIn) -> Result<String> {
    try_make(stand_in).await.map_err(|error| {
        let missing = Missing(format!(
            "images are needed that cannot be pulled, and nothing can be made here that stands in for them; pull them elsewhere \
             and `docker load` them. {error:#}"
        ));
        error.context(missing)
    })
}

async fn try_make(stand_in: StandIn) -> Result<String> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "stand-ins are made on Linux on x86-64 only"
    );
    let image = stand_in.image();
    let key = stand_in.key()?;
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let made_from = output(command("docker").args(["image", "inspect", "--format", &format, image])).await;
    if made_from.is_ok_and(|made_from| made_from.trim() == key) {
        say(format_args!("image {image}: is here"));
        return Ok(image.to_owned());
    }
    say(format_args!(
        "image {image}: making it, to stand in for the official one."
    ));
    if !is_here(DEBIAN).await {
        make_debian().await?;
    }
    let host = stand_in.host().await?;
    commit(stand_in, &host.mounts, &key).await?;
    Ok(image.to_owned())
}

/// The files of the host that are needed to make one.
struct Host {
    /// Path of each on the host, and its name below `/host` in the stand-in.
    mounts: Vec<(PathBuf, &'static str)>,
    /// Directory with files made for it, until it is used.
    _dir: Option<TempDir>,
}

impl StandIn {
    fn image(self) -> &'static str {
        match self {
            Self::Mongo => "bellwether-test/mongo",
            Self::Node => "bellwether-test/node",
            Self::Rust => "bellwether-test/rust",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Mongo => include_str!("mongo.sh"),
            Self::Node => include_str!("node.sh"),
            Self::Rust => include_str!("rust.sh"),
        }
    }

    /// Returns the configuration of the image, in addition to its files.
    fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Mongo => &[
                "ENTRYPOINT [\"docker-entrypoint.sh\"]",
                "CMD [\"mongod\"]",
                "ENV HOME=/data/db",
                "VOLUME /data/db /data/configdb",
                "EXPOSE 27017",
            ],
            Self::Node => &["CMD [\"node\"]"],
            // Everything that is built there has been downloaded here.
            Self::Rust => &[
                RUST_PATH,
                "ENV CARGO_HOME=/usr/local/cargo",
                "ENV CARGO_NET_OFFLINE=true",
            ],
        }
    }

    /// Changes whenever it would come out different.
    fn key(self) -> Result<String> {
        let mut key = Sha256::new();
        key.update(PACKAGES);
        key.update(self.script());
        key.update(self.changes().join("\n"));
        let inputs: &[&str] = match self {
            Self::Mongo => &["xtask/src/containers/stand_in/package.json"],
            Self::Node => &[
                "xtask/src/containers/stand_in/package.json",
                "xtask/web/package.json",
            ],
            Self::Rust => &["Cargo.lock", "rust-toolchain.toml"],
        };
        for input in inputs {
            key.update(fs::read(root().join(input)).with_context(|| format!("reading {input}"))?);
        }
        Ok(key.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    async fn host(self) -> Result<Host> {
        match self {
            Self::Mongo => {
                provision::mongod().await?;
                let mounts = vec![(packages().await?, "packages"), (find_mongod()?, "mongod")];
                Ok(Host { mounts, _dir: None })
            }
            Self::Node => Host::of_node().await,
            Self::Rust => Host::of_rust().await,
        }
    }
}

impl Host {
    /// Gathers Node.js, npm, and the npm packages that make the page small.
    async fn of_node() -> Result<Self> {
        let dir = TempDir::new_in(scratch()?).context("making a directory for npm")?;
        fs::copy(
            root().join("xtask/web/package.json"),
            dir.path().join("package.json"),
        )?;
        let cache = dir.path().join("cache");
        npm(&["install", "--cache", &cache.to_string_lossy()], dir.path()).await?;
        let registry = dir.path().join("registry");
        fs::write(&registry, npm(&["config", "get", "registry"], dir.path()).await?)?;
        let mounts = vec![
            (packages().await?, "packages"),
            (cache, "npm-cache"),
            (registry, "npm-registry"),
        ];
        Ok(Self {
            mounts,
            _dir: Some(dir),
        })
    }

    /// Gathers Rust with everything that the image's build needs, and the sources of all crates.
    async fn of_rust() -> Result<Self> {
        provision::target(MUSL).await?;
        provision::wasm_target().await?;
        provision::rust_src().await?;
        let sysroot = output(command("rustc").args(["--print", "sysroot"])).await?;
        let sysroot = PathBuf::from(sysroot.trim());
        let library = sysroot.join("lib/rustlib/src/rust/library/Cargo.toml");
        run(&mut cargo(["fetch", "--locked"])).await?;
        run(cargo(["fetch", "--locked", "--manifest-path"])
            .arg(library)
            .env("RUSTC_BOOTSTRAP", "1"))
        .await?;
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        let registry = home.context("cargo has no home directory")?.join("registry");
        Ok(Self {
            mounts: vec![(sysroot, "rust"), (registry, "registry")],
            _dir: None,
        })
    }
}

/// Returns the directory with mongosh, Node.js and npm.
async fn packages() -> Result<PathBuf> {
    node_packages(&root().join("xtask/src/containers/stand_in/package.json")).await
}

/// Returns a directory for the files made here, in cargo's target directory.
fn scratch() -> Result<PathBuf> {
    let dir = target_dir()?.join("containers");
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

async fn make_debian() -> Result<()> {
    if on_path("debootstrap").is_none() {
        apt::install(&["debootstrap"]).await?;
    }
    ensure!(
        nix::unistd::geteuid().is_root(),
        "debootstrap, which makes a Debian of packages, works for root only"
    );
    let dir = TempDir::new_in(scratch()?).context("making a directory for a Debian")?;
    let place = dir.path().join("debian");
    let archive = dir.path().join("debian.tar");
    run(command("debootstrap")
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), RELEASE])
        .arg(&place)
        .arg(mirror().await?)
        .stdout(Stdio::null()))
    .await?;
    run(command("tar")
        .args(["--exclude=./var/cache/apt", "--exclude=./var/lib/apt/lists", "-C"])
        .arg(&place)
        .arg("-cf")
        .arg(&archive)
        .arg("."))
    .await?;
    run(command("docker").arg("import").arg(&archive).arg(DEBIAN)).await
}

/// Returns the address from which this machine gets its packages.
async fn mirror() -> Result<String> {
    let format = [
        "indextargets",
        "--format",
        "$(RELEASE) $(SITE)",
        "Created-By: Packages",
    ];
    let targets = output(command("apt-get").args(format)).await?;
    let site = targets
        .lines()
        .find_map(|line| line.strip_prefix(RELEASE)?.strip_prefix(' '));
    site.map(str::to_owned)
        .with_context(|| format!("apt-get has no source of Debian's {RELEASE}"))
}

/// Runs the script in a Debian and keeps the result.
async fn commit(stand_in: StandIn, mounts: &[(PathBuf, &str)], key: &str) -> Result<()> {
    let container = Container::named(format!("bellwether-test-making-{}", std::process::id()));
    let mut make = command("docker");
    make.args([
        "run",
        "--interactive",
        "--network=none",
        "--name",
        &container.name,
    ]);
    for (here, there) in mounts {
        make.arg("--volume").arg(volume(here, there)?);
    }
    make.args([DEBIAN, "sh", "-s"]).stdin(Stdio::piped());
    let mut making = make.spawn().context("cannot start `docker`")?;
    let mut stdin = making.stdin.take().context("docker takes no input")?;
    stdin.write_all(stand_in.script().as_bytes()).await?;
    drop(stdin);
    let status = making.wait().await?;
    ensure!(
        status.success(),
        "making {} has failed ({status})",
        stand_in.image()
    );
    let mut commit = command("docker");
    commit.arg("commit");
    for change in stand_in.changes() {
        commit.args(["--change", change]);
    }
    commit
        .args(["--change", &format!("LABEL {LABEL}={key}")])
        .args([&container.name, stand_in.image()]);
    run(&mut commit).await
}

fn volume(here: &Path, there: &str) -> Result<String> {
    let here = fs::canonicalize(here).with_context(|| format!("there is no {}", here.display()))?;
    Ok(format!("{}:/host/{there}:ro", here.display()))
}

/// A container that is removed when this is dropped.
struct Container {
    name: String,
}

impl Container {
    fn named(name: String) -> Self {
        Self { name }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = std::process::Command::new("docker");
        remove.args(["rm", "--force", &self.name]);
        // There is nothing more to be done about one that stays.
        let _ = remove.output();
    }
}
