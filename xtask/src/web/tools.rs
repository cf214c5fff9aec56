use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use bellwether_tests::{find_node, node_packages, on_path};
use tokio::process::Command;

use crate::step::{command, output, root, run, say};

/// What makes the module and its JavaScript smaller. Without them they work just as well.
pub(super) struct Tools {
    wasm_opt: Option<Program>,
    terser: Option<Program>,
}

/// A program and its first arguments.
type Program = Vec<OsString>;

/// Arguments that were tried out; what counts is the size with gzip. To inline what is called once makes the module
/// shorter, but it then compresses less well.
const WASM_OPT: [&str; 9] = [
    "-Oz",
    "--converge",
    "--one-caller-inline-max-function-size=0",
    // What today's compiler emits by itself, and no more: all browsers have had it for years.
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

const TERSER: [&str; 4] = ["--module", "--compress", "passes=3", "--mangle"];

impl Tools {
    /// Those of npm, in known versions; else what there is.
    pub(super) async fn find() -> Self {
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
        let packages = node_packages(&root().join("xtask/src/web/package.json")).await?;
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

    /// Whether all of them are here, so that the sizes can be compared.
    pub(super) fn are_complete(&self) -> bool {
        self.wasm_opt.is_some() && self.terser.is_some()
    }

    /// Makes a module smaller, if that can be done here.
    pub(super) async fn shrink_module(&self, module: &Path) -> Result<()> {
        let Some(wasm_opt) = &self.wasm_opt else {
            return Ok(());
        };
        run(started(wasm_opt).args(WASM_OPT).arg(module).arg("-o").arg(module)).await
    }

    /// Makes JavaScript smaller, if that can be done here.
    pub(super) async fn shrink_script(&self, script: &Path) -> Result<()> {
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
    pub(super) fn describe(&self) -> String {
        format!("{:?} {WASM_OPT:?} {:?} {TERSER:?}", self.wasm_opt, self.terser)
    }
}

fn started(program: &Program) -> Command {
    let mut words = program.iter();
    let mut command = command(words.next().cloned().unwrap_or_default());
    command.args(words);
    command
}
