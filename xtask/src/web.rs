use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use bellwether_tests::{on_path, target_dir};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

use crate::provision;
use crate::step::{cargo, command, root, run, say};

const NAME: &str = "bellwether_web_client";

/// Builds the browser client into `www/pkg`: the WebAssembly module and the JavaScript that loads it.
pub(crate) async fn build() -> Result<()> {
    provision::wasm_target().await?;
    let target = ["--target", "wasm32-unknown-unknown", "--profile", "web"];
    run(cargo(["build", "--package", "bellwether-web-client", "--lib"]).args(target)).await?;
    let built = target_dir()?
        .join("wasm32-unknown-unknown/web")
        .join(NAME)
        .with_extension("wasm");
    let pkg = root().join("www/pkg");
    let module = pkg.join(format!("{NAME}_bg.wasm"));
    if !is_newer(&module, &built) {
        Bindgen::new()
            .input_path(&built)
            .web(true)
            .and_then(|bindgen| {
                bindgen
                    .typescript(false)
                    .remove_producers_section(true)
                    .remove_name_section(true)
                    .generate(&pkg)
            })
            .with_context(|| format!("making {} from {}", pkg.display(), built.display()))?;
        if on_path("wasm-opt").is_some() {
            // Older versions refuse what today's compiler emits unless told to accept it.
            run(command("wasm-opt")
                .args(["-Oz", "--all-features"])
                .arg(&module)
                .arg("-o")
                .arg(&module))
            .await?;
        }
    }
    let glue = pkg.join(format!("{NAME}.js"));
    say(format_args!(
        "page: www/pkg is up to date, {} for the module and {} for its JavaScript (gzip)",
        gzip_size(&module)?,
        gzip_size(&glue)?
    ));
    Ok(())
}

/// Whether both files exist and the first was written after the second.
fn is_newer(file: &Path, than: &Path) -> bool {
    let written = |file: &Path| fs::metadata(file)?.modified();
    matches!((written(file), written(than)), (Ok(file), Ok(than)) if file > than)
}

fn gzip_size(file: &Path) -> Result<String> {
    let plain = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&plain)?;
    Ok(format!("{:.1} KB", gzip.finish()?.len() as f64 / 1000.0))
}
