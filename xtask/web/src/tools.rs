use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bellwether_programs::{command, find_node, node_packages, on_path, output, root, run, say};
use tokio::process::Command;

use crate::names::ShortNames;

/// Tools that make the module and its JavaScript smaller. Without them both work just as well.
pub(crate) struct Tools {
    wasm_opt: Option<Program>,
    terser: Option<Program>,
}

/// A program and its first arguments.
type Program = Vec<OsString>;

/// Arguments chosen by trials, for the smallest size with gzip. Inlining functions called once, and
/// keeping computed values, makes the module shorter, but it then compresses less well. The blocks
/// that the compiler made are rebuilt in between, which a second round makes use of.
const WASM_OPT: [&str; 8] = [
    "-Oz",
    "--flatten",
    "--rereloop",
    "-Oz",
    "--skip-pass=local-cse",
    "--converge",
    "--one-caller-inline-max-function-size=0",
    // Tools read the list of features. Engines look at the code itself.
    "--strip-target-features",
];

/// The features that today's compiler uses by itself, and no more: all browsers have had them for
/// years.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

const SHORT_NAMES: &str = "--minify-imports-and-exports-and-modules";

const TERSER: [&str; 4] = ["--module", "--compress", "passes=3", "--mangle"];

impl Tools {
    /// Finds the tools: those of npm, in known versions; otherwise those of the machine.
    pub(crate) async fn find() -> Self {
        Self::from_npm().await.unwrap_or_else(|error| {
            say(format_args!(
                "the client will be larger than it need be, for want of its tools: {error:#}"
            ));
            let wasm_opt = on_path("wasm-opt").map(|program| vec![program.into_os_string()]);
            Self {
                wasm_opt,
                terser: None,
            }
        })
    }

    async fn from_npm() -> Result<Self> {
        let node = find_node().await?;
        let packages = node_packages(&root().join("xtask/web/package.json")).await?;
        let modules = packages.join("node_modules");
        let program = |path: &str| {
            Some(vec![
                node.clone().into_os_string(),
                modules.join(path).into_os_string(),
            ])
        };
        Ok(Self {
            wasm_opt: program("binaryen/bin/wasm-opt"),
            terser: program("terser/bin/terser"),
        })
    }

    /// Returns `true` if all of them are here, so that the sizes can be compared.
    pub(crate) fn are_complete(&self) -> bool {
        self.wasm_opt.is_some() && self.terser.is_some()
    }

    /// Makes the module of this name and its JavaScript smaller, as far as that can be done here.
    pub(crate) async fn shrink(&self, dir: &Path, name: &str) -> Result<()> {
        let module = dir.join(format!("{name}_bg.wasm"));
        let script = dir.join(format!("{name}.js"));
        if let Some(wasm_opt) = &self.wasm_opt {
            run(wasm_opt_on(wasm_opt, &module).args(WASM_OPT)).await?;
        }
        // The form of the new names differs between versions of the tool, and the form of npm's
        // version is known.
        if self.are_complete()
            && let Some(wasm_opt) = &self.wasm_opt
        {
            let names = output(wasm_opt_on(wasm_opt, &module).arg(SHORT_NAMES)).await?;
            let text =
                fs::read_to_string(&script).with_context(|| format!("reading {}", script.display()))?;
            fs::write(&script, ShortNames::read(&names)?.apply(&text)?)
                .with_context(|| format!("writing {}", script.display()))?;
        }
        self.shrink_script(&script).await
    }

    /// Makes JavaScript smaller, if that can be done here.
    pub(crate) async fn shrink_script(&self, script: &Path) -> Result<()> {
        let Some(terser) = &self.terser else { return Ok(()) };
        output(
            started(terser)
                .arg(script)
                .args(TERSER)
                .arg("--output")
                .arg(script),
        )
        .await
        .map(drop)
    }

    /// Changes whenever the same input could come out different.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{:?} {WASM_OPT:?} {FEATURES:?} {SHORT_NAMES} {:?} {TERSER:?}",
            self.wasm_opt, self.terser
        )
    }
}

fn started(program: &Program) -> Command {
    let mut words = program.iter();
    let mut command = command(words.next().cloned().unwrap_or_default());
    command.args(words);
    command
}

fn wasm_opt_on(wasm_opt: &Program, module: &Path) -> Command {
    let mut wasm_opt = started(wasm_opt);
    wasm_opt.arg(module).arg("-o").arg(module).args(FEATURES);
    wasm_opt
}
