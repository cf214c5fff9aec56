use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{node_packages, npm};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) const PACKAGE: &str = "bellwether-web-client";

/// A project that uses the package, in a directory of its own.
pub(crate) struct Project(TempDir);

impl Project {
    /// Puts the files of these directories of `tests/package` together, with the packages their
    /// `package.json` names.
    pub(crate) async fn of(dirs: &[&str]) -> Result<Self> {
        let project = Self(TempDir::with_prefix_in("package-", env!("CARGO_TARGET_TMPDIR"))?);
        for dir in dirs {
            project.copy(&fixtures().join(dir)).await?;
        }
        if project.path("package.json").is_file() {
            let packages = node_packages(&project.path("package.json")).await?;
            project.copy(&packages).await?;
        }
        Ok(project)
    }

    /// Installs the package into the project with npm, from the archive that `npm pack` makes.
    pub(crate) async fn install(&self) -> Result<()> {
        let tarball = self.path(&pack(self.dir()).await?.filename);
        npm(
            &["install", "--offline", "--no-save", &tarball.to_string_lossy()],
            self.dir(),
        )
        .await?;
        Ok(())
    }

    /// Unpacks the archive that `npm pack` makes of the package, and returns the directory.
    pub(crate) async fn unpack(&self) -> Result<PathBuf> {
        let tarball = pack(self.dir()).await?.filename;
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--file", &tarball]);
        self.run(&mut tar).await?;
        let unpacked = self.path(PACKAGE);
        fs::rename(self.path("package"), &unpacked)?;
        Ok(unpacked)
    }

    /// Runs a program of one of its packages, and returns its output.
    pub(crate) async fn run_package(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut node = Command::new("node");
        node.arg(self.path("node_modules").join(program)).args(args);
        self.run(&mut node).await
    }

    /// Runs one of its scripts with this program and these arguments before the script's name, and
    /// returns its output.
    pub(crate) async fn run_script(&self, runtime: &[String], script: &str, args: &[&str]) -> Result<String> {
        let (program, options) = runtime.split_first().context("a runtime is a program")?;
        let mut run = Command::new(program);
        run.args(options).arg(script).args(args);
        self.run(&mut run).await
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    async fn copy(&self, dir: &Path) -> Result<()> {
        let mut copy = Command::new("cp");
        self.run(copy.arg("--archive").arg(dir.join(".")).arg(self.dir()))
            .await?;
        Ok(())
    }

    async fn run(&self, command: &mut Command) -> Result<String> {
        let output = command
            .current_dir(self.dir())
            .kill_on_drop(true)
            .output()
            .await?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{:?} failed ({}):\n{printed}\n{}",
            command.as_std(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
    }
}

/// The description that `npm pack` prints of its package.
#[derive(serde::Deserialize)]
pub(crate) struct Packed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) filename: String,
    pub(crate) files: Vec<PackedFile>,
}

#[derive(serde::Deserialize)]
pub(crate) struct PackedFile {
    pub(crate) path: String,
}

/// Packs the package as for publishing, into this directory.
pub(crate) async fn pack(into: &Path) -> Result<Packed> {
    let package = repository().join("www/pkg");
    ensure!(
        package.join("package.json").is_file(),
        "the package is not built: run `cargo xtask web`"
    );
    let packed = npm(&["pack", "--json", &package.to_string_lossy()], into).await?;
    let packed: Vec<Packed> =
        serde_json::from_str(&packed).with_context(|| format!("npm pack says {packed}"))?;
    packed.into_iter().next().context("npm has packed nothing")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("package")
}
