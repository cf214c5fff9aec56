//! The files to deploy servers with: the Kubernetes manifests and the Compose files.

mod compose;
mod options;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::provision::{self, Missing};
use crate::step::{root, run_and_read};

/// Directory of the Compose files and the Dockerfile.
const DOCKER: &str = "docker";
const KUBERNETES: &str = "docker/kubernetes";
/// Not a manifest: it lists them.
const KUSTOMIZATION: &str = "kustomization.yaml";

/// The oldest version of Kubernetes the manifests are for, and the newest the validator knows.
const VERSIONS: [&str; 2] = ["1.27", "1.37"];

/// Compares all of it with its schemas, and its options with the options of the server. A check
/// whose tool is not available is left out, and named at the end.
pub(crate) async fn run() -> Result<()> {
    every_manifest_is_listed()?;
    let checked = [options::check(), manifests().await, compose::check().await];
    let (left_out, made): (Vec<_>, Vec<_>) = checked.into_iter().partition(lacks_a_tool);
    // Failures come first: a missing tool must not hide them.
    made.into_iter().chain(left_out).collect()
}

fn lacks_a_tool(checked: &Result<()>) -> bool {
    checked.as_ref().is_err_and(|error| error.is::<Missing>())
}

/// Checks the manifests in strict mode: a field that the schema does not know, such as a misspelt
/// one, is an error.
async fn manifests() -> Result<()> {
    let mut validate = provision::kubernetes_validate().await?;
    validate.arg("--strict");
    for version in VERSIONS {
        validate.args(["-k", version]);
    }
    // As they are written, since the output of kubectl lacks the names of the files.
    validate.args(manifest_files()?);
    let mut passed = 0;
    // A kind or version of it that it has no schema for is but a warning to the validator.
    let mut unknown = Vec::new();
    let status = run_and_read(&mut validate, |line| match line.split_once(' ') {
        Some(("INFO", _)) => passed += 1,
        Some(("WARN", what)) => unknown.push(what.to_owned()),
        _ => {}
    })
    .await?;
    ensure!(
        status.success(),
        "some manifests do not fit their schemas: see above"
    );
    ensure!(unknown.is_empty(), "not validated: {}", unknown.join("; "));
    ensure!(passed > 0, "no manifest was validated");
    Ok(())
}

/// Checks that every manifest is listed: kustomize would not apply an unlisted one, without any
/// message. One may be listed in a comment, as a choice.
fn every_manifest_is_listed() -> Result<()> {
    let kustomization = root().join(KUBERNETES).join(KUSTOMIZATION);
    let listed =
        fs::read_to_string(&kustomization).with_context(|| format!("reading {}", kustomization.display()))?;
    let listed: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.trim_start_matches(['#', ' ']).strip_prefix("- "))
        .filter(|entry| has_extension(Path::new(entry), "yaml"))
        .collect();
    let files = manifest_files()?;
    let names: Vec<&OsStr> = files.iter().filter_map(|file| file.file_name()).collect();
    for name in &names {
        ensure!(
            listed.iter().any(|entry| OsStr::new(entry) == *name),
            "{KUBERNETES}/{KUSTOMIZATION} does not list {}",
            name.display()
        );
    }
    match listed.iter().find(|entry| !names.contains(&OsStr::new(entry))) {
        Some(gone) => bail!("{KUBERNETES}/{KUSTOMIZATION} lists {gone}, which is not there"),
        None => Ok(()),
    }
}

fn manifest_files() -> Result<Vec<PathBuf>> {
    let mut files = files(KUBERNETES, |file| has_extension(file, "yaml"))?;
    files.retain(|file| file.file_name() != Some(OsStr::new(KUSTOMIZATION)));
    Ok(files)
}

/// Returns the files in a directory of the repository that fit, sorted.
fn files(dir: &str, fits: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join(dir)).with_context(|| format!("reading {dir}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let name = Path::new(dir).join(entry?.file_name());
        if fits(&name) {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|has| has == extension)
}
