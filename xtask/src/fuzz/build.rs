use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwether_programs::target_dir;

use crate::provision;
use crate::step::{cargo, command, output, root, run as run_step};

/// Flags that `cargo fuzz --sanitizer none` sets: counters at every edge, and the compared values
/// there, for libFuzzer to see.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
     -Cllvm-args=-sanitizer-coverage-stack-depth --cfg fuzzing";

/// The fuzz targets, built.
pub(super) struct Programs {
    dir: PathBuf,
}

impl Programs {
    pub(super) async fn build() -> Result<Self> {
        provision::cxx().await?;
        let host = host().await?;
        let target = target_dir()?.join("fuzz");
        let mut build = cargo(["build", "--bins", "--release", "--manifest-path"]);
        // Named as a target, the machine's own system is compiled for with flags that build scripts
        // do not get.
        build
            .arg(manifest())
            .args(["--target", &host, "--target-dir"])
            .arg(&target);
        run_step(build.env("RUSTFLAGS", FLAGS)).await?;
        let dir = target.join(&host).join("release");
        Ok(Self { dir })
    }

    pub(super) fn get(&self, target: &str) -> PathBuf {
        self.dir.join(target)
    }
}

/// Checks the format of the package, which is no member of the workspace. The crates that it calls
/// are members, and are linted there.
pub(super) async fn format() -> Result<()> {
    run_step(cargo(["fmt", "--check", "--manifest-path"]).arg(manifest())).await
}

fn manifest() -> PathBuf {
    root().join("fuzz/Cargo.toml")
}

async fn host() -> Result<String> {
    let version = output(command("rustc").arg("-vV")).await?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say what system this is")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Returns the versions of every package that a lock file names.
    fn versions(lock: &str) -> BTreeMap<String, Vec<String>> {
        let lock: toml::Table = std::fs::read_to_string(root().join(lock))
            .unwrap()
            .parse()
            .unwrap();
        let mut versions = BTreeMap::<String, Vec<String>>::new();
        for package in lock["package"].as_array().unwrap() {
            let text = |field: &str| package[field].as_str().unwrap().to_owned();
            versions.entry(text("name")).or_default().push(text("version"));
        }
        versions
    }

    #[test]
    fn what_is_fuzzed_is_what_is_shipped() {
        let shipped = versions("Cargo.lock");
        for (package, fuzzed) in versions("fuzz/Cargo.lock") {
            let shipped = shipped.get(&package).unwrap_or(&fuzzed);
            let differs = fuzzed.iter().any(|version| !shipped.contains(version));
            assert!(
                !differs,
                "{package} {fuzzed:?}, not {shipped:?}: copy Cargo.lock to fuzz/ and run cargo metadata there"
            );
        }
    }
}
