use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwether_programs::target_dir;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wasm_bindgen_cli_support::Bindgen;

use crate::NAME;
use crate::compile::{Compiled, compile};
use crate::tools::Tools;

/// The generated files that a page loads, in addition to the handwritten ones.
pub(crate) struct Made {
    pub(crate) dir: PathBuf,
    /// `true` if all tools that make it small were available.
    pub(crate) small: bool,
}

/// Builds the WebAssembly module and the JavaScript that loads it, both as small as can be.
pub(crate) async fn make(tools: &Tools) -> Result<Made> {
    let Compiled { module, small } = compile().await?;
    let wasm = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    let dir = target_dir()?.join("web-client");
    let made = Made {
        dir: dir.join("made"),
        small: small && tools.are_complete(),
    };
    let made_from = dir.join("made-from");
    // The slow steps are done only if their result would differ.
    let key = format!("{:?} {}", Sha256::digest(&wasm), tools.describe());
    if made.dir.is_dir() && fs::read_to_string(&made_from).is_ok_and(|made| made == key) {
        return Ok(made);
    }
    let making = TempDir::with_prefix_in("making-", &dir).context("making a directory for the module")?;
    bind(&module, making.path())?;
    tools.shrink(making.path(), NAME).await?;
    if made.dir.is_dir() {
        fs::remove_dir_all(&made.dir).with_context(|| format!("removing {}", made.dir.display()))?;
    }
    fs::rename(making.path(), &made.dir)
        .with_context(|| format!("moving a module to {}", made.dir.display()))?;
    fs::write(&made_from, key).with_context(|| format!("writing {}", made_from.display()))?;
    Ok(made)
}

fn bind(wasm: &Path, into: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(wasm)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                // By default, the JavaScript loads the module next to it.
                .omit_default_module_path(false)
                .remove_producers_section(true)
                .remove_name_section(true)
                .generate(into)
        })
        .with_context(|| format!("making JavaScript for {}", wasm.display()))
}
