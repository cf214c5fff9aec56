use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::step::{cargo, root, run as run_step, say};
use bellwether_programs::Manifest;

/// Builds and runs a project that depends on the unpacked package next to it, with the features of
/// different users.
pub(super) async fn run(manifest: &Manifest, project: &Project) -> Result<()> {
    let all: Vec<String> = manifest
        .features()
        .map(|feature| format!("{}/{feature}", manifest.name))
        .collect();
    let all = format!("on-defaults,json,{}", all.join(","));

    say(format_args!("\nAn election with no features:"));
    project.elect("by_hand", "").await?;
    say(format_args!("\nAn election with the default features:"));
    project.elect("on_tokio", "on-defaults").await?;
    say(format_args!("\nThe program of the README:"));
    project.elect("readme", "on-defaults").await?;
    say(format_args!("\nAn election with all features:"));
    project.elect("on_tokio", &all).await?;
    say(format_args!(
        "\nThe same with the oldest versions of its dependencies that the package allows:"
    ));
    project.take_oldest(manifest).await?;
    project.elect("on_tokio", &all).await
}

/// A project of a user, below cargo's target directory.
pub(crate) struct Project {
    dir: PathBuf,
}

impl Project {
    /// Makes a fresh copy of `xtask/dependent`, with the workspace's versions of dependencies. So
    /// everything is downloaded already, and does not change from one day to the next.
    pub(super) fn beside(package: &Path) -> Result<Self> {
        let dir = package.with_file_name("project");
        let source = root().join("xtask/dependent");
        let files = ["Cargo.toml", "src/bin/by_hand.rs", "src/bin/on_tokio.rs"];
        let files = files.map(|file| (source.join(file), dir.join(file)));
        let lock = (root().join("Cargo.lock"), dir.join("Cargo.lock"));
        for (from, to) in files.into_iter().chain([lock]) {
            let parent = to.parent().context("a file without a directory")?;
            fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            fs::copy(&from, &to)
                .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        }
        write_readme_program(package, &dir.join("src/bin/readme.rs"))?;
        Ok(Self { dir })
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    async fn elect(&self, program: &str, features: &str) -> Result<()> {
        let mut cargo = cargo(["run", "--quiet", "--bin", program, "--features", features]);
        // Not in the directory in which this program's own parts are built, even if
        // CARGO_TARGET_DIR is set.
        cargo.arg("--target-dir").arg(self.dir.join("target"));
        run_step(cargo.current_dir(&self.dir)).await
    }

    /// Uses every dependency of the package in the oldest version that the package permits.
    async fn take_oldest(&self, manifest: &Manifest) -> Result<()> {
        for dependency in manifest
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none())
        {
            let oldest = oldest(&dependency.requirement);
            let mut cargo = cargo(["update", "--quiet", &dependency.name, "--precise", &oldest]);
            run_step(cargo.current_dir(&self.dir)).await.with_context(|| {
                format!(
                    "the package says that {} {} will do, and that cannot be had together with the rest",
                    dependency.name, dependency.requirement
                )
            })?;
        }
        Ok(())
    }
}

/// Makes a program of the example in the README that is one.
fn write_readme_program(package: &Path, to: &Path) -> Result<()> {
    let readme = package.join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| format!("reading {}", readme.display()))?;
    let program = text
        .split_once("```rust\n")
        .and_then(|(_, rest)| rest.split_once("```"));
    let (program, _) = program.context("the README shows no program")?;
    fs::write(to, program).with_context(|| format!("writing {}", to.display()))
}

/// Returns the oldest version that meets a requirement such as `^1.38`.
fn oldest(requirement: &str) -> String {
    let version = requirement.trim_start_matches('^');
    let missing = 2_usize.saturating_sub(version.matches('.').count());
    version.to_owned() + &".0".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::oldest;

    #[test]
    fn the_oldest_version_has_three_parts() {
        assert_eq!(oldest("^1"), "1.0.0");
        assert_eq!(oldest("^1.38"), "1.38.0");
        assert_eq!(oldest("^0.1.40"), "0.1.40");
    }
}
