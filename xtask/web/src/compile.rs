use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwether_programs::{cargo, command, output, root, run, rust_src, say, target_dir};

use crate::NAME;

/// The compiled client, before JavaScript is made for it.
pub(crate) struct Compiled {
    pub(crate) module: PathBuf,
    /// `true` if all tools that make it small were available.
    pub(crate) small: bool,
}

const BUILD: [&str; 8] = [
    "build",
    "--package",
    "bellwether-web-client",
    "--lib",
    "--target",
    "wasm32-unknown-unknown",
    "--profile",
    "web",
];

/// Compiles the standard library as well. The one that comes with Rust is optimized for speed, and
/// prints the place of a panic.
const STD_FOR_SIZE: [&str; 2] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
];

/// A panic, which is a bug, then traps without a message.
const WITHOUT_MESSAGES: [&str; 3] = [
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
];

/// Compiles the client to WebAssembly, with the standard library if its source is here.
pub(crate) async fn compile() -> Result<Compiled> {
    let target = target_dir()?.join("web-client/build");
    let module = target
        .join("wasm32-unknown-unknown/web")
        .join(NAME)
        .with_extension("wasm");
    let small = compile_with_std(&target).await;
    if let Err(error) = &small {
        say(format_args!(
            "the client will be larger than it need be, for want of a standard library made small: {error:#}"
        ));
        compile_plainly(&target).await?;
    }
    Ok(Compiled {
        module,
        small: small.is_ok(),
    })
}

async fn compile_with_std(target: &Path) -> Result<()> {
    rust_src().await?;
    let mut build = cargo(BUILD);
    build.args(STD_FOR_SIZE).arg("--target-dir").arg(target);
    // Lets this Rust use features that otherwise only a nightly one has. The way to ask for them
    // may change with every version, but the project names the one version for its builds. The
    // features only change the size of the module.
    build.env("RUSTC_BOOTSTRAP", "1");
    run(build.env("CARGO_ENCODED_RUSTFLAGS", flags(&WITHOUT_MESSAGES).await?)).await
}

async fn compile_plainly(target: &Path) -> Result<()> {
    let mut build = cargo(BUILD);
    build.arg("--target-dir").arg(target);
    run(build.env("CARGO_ENCODED_RUSTFLAGS", flags(&[]).await?)).await
}

/// Flags for the compiler, in the form cargo reads from its environment: these, and those that keep
/// paths of this machine out of the module. A published one should neither tell where it was built
/// nor depend on it.
async fn flags(flags: &[&str]) -> Result<OsString> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"])).await?;
    let mut prefixes = vec![root().to_path_buf(), PathBuf::from(sysroot.trim())];
    prefixes.extend(sources_of_dependencies().await?);
    let remapped = prefixes.into_iter().map(|prefix| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(prefix);
        flag.push("=");
        flag
    });
    let all: Vec<OsString> = flags.iter().map(OsString::from).chain(remapped).collect();
    Ok(all.join(OsStr::new("\u{1f}")))
}

/// Returns the directories in which cargo keeps the sources from outside this repository.
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
