use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwether_tests::target_dir;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasm_bindgen_cli_support::Bindgen;

use super::tools::Tools;
use crate::step::{cargo, command, output, root, run};

const NAME: &str = "bellwether_web_client";

/// Builds the WebAssembly module and the JavaScript that loads it, both as small as can be, and says where they are.
pub(super) async fn make(tools: &Tools) -> Result<PathBuf> {
    let built = compile().await?;
    let wasm = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let dir = target_dir()?.join("web-client");
    let place = dir.join("made");
    let made_from = dir.join("made-from");
    // What takes seconds is done only when it would come out different.
    let key = format!("{:?} {}", Sha256::digest(&wasm), tools.describe());
    if place.is_dir() && fs::read_to_string(&made_from).is_ok_and(|made| made == key) {
        return Ok(place);
    }
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let making = TempDir::with_prefix_in("making-", &dir).context("making a directory for the module")?;
    bind(&built, making.path())?;
    tools
        .shrink_module(&making.path().join(format!("{NAME}_bg.wasm")))
        .await?;
    tools
        .shrink_script(&making.path().join(format!("{NAME}.js")))
        .await?;
    if place.is_dir() {
        fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
    }
    fs::rename(making.path(), &place).with_context(|| format!("moving a module to {}", place.display()))?;
    fs::write(&made_from, key).with_context(|| format!("writing {}", made_from.display()))?;
    Ok(place)
}

async fn compile() -> Result<PathBuf> {
    let target = ["--target", "wasm32-unknown-unknown", "--profile", "web"];
    let mut build = cargo(["build", "--package", "bellwether-web-client", "--lib"]);
    build
        .args(target)
        .env("CARGO_ENCODED_RUSTFLAGS", no_paths_of_this_machine().await?);
    run(&mut build).await?;
    let built = target_dir()?.join("wasm32-unknown-unknown/web").join(NAME);
    Ok(built.with_extension("wasm"))
}

/// Flags for the compiler. Panics name the file they come from, and a published module should neither tell where it was
/// built nor depend on it.
async fn no_paths_of_this_machine() -> Result<OsString> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"])).await?;
    let mut prefixes = vec![root().to_path_buf(), Path::new(sysroot.trim()).to_path_buf()];
    prefixes.extend(sources_of_dependencies().await?);
    let mut flags = OsString::new();
    for prefix in prefixes {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(prefix);
        flags.push("=");
    }
    Ok(flags)
}

/// The directories in which cargo keeps the sources of what is not in this repository.
async fn sources_of_dependencies() -> Result<Vec<PathBuf>> {
    let metadata = [
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        "wasm32-unknown-unknown",
    ];
    let metadata = output(&mut cargo(metadata)).await?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let manifests = packages.filter_map(|package| package["manifest_path"].as_str());
    let mut dirs: Vec<PathBuf> = manifests
        .filter_map(|manifest| Some(Path::new(manifest).parent()?.parent()?.to_path_buf()))
        .filter(|dir| !dir.starts_with(root()))
        .collect();
    dirs.sort();
    dirs.dedup();
    Ok(dirs)
}

fn bind(wasm: &Path, into: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(wasm)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                // Next to the JavaScript, unless told otherwise.
                .omit_default_module_path(false)
                .remove_producers_section(true)
                .remove_name_section(true)
                .generate(into)
        })
        .with_context(|| format!("making JavaScript for {}", wasm.display()))
}
