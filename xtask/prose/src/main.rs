//! Checks the English of comments, documents and error texts: `cargo xtask prose`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use xtask_prose::budget::Budgets;
use xtask_prose::changes::Changes;
use xtask_prose::{files, measure};

const BUDGETS: &str = "xtask/prose/budgets.toml";

/// Check the English of comments, documents and error texts against the budgets
#[derive(Parser)]
#[command(name = "cargo xtask prose", bin_name = "cargo xtask prose")]
struct Cli {
    /// Lower the budgets to the rates of today; budgets that are exceeded stay
    #[arg(long)]
    tighten: bool,
    /// List the violations in lines that changed since this commit, without budgets
    #[arg(long, value_name = "COMMIT")]
    since: Option<String>,
    /// List all violations in these files and directories, without budgets
    paths: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns `true` if no budget is exceeded.
fn run(cli: &Cli) -> Result<bool> {
    let root = root();
    let measured = measure(root)?;
    let mut out = io::stdout().lock();
    if !cli.paths.is_empty() || cli.since.is_some() {
        let changes = cli.since.as_deref().map(|commit| Changes::since(root, commit));
        let changes = changes.transpose()?;
        let paths = cli
            .paths
            .iter()
            .map(|path| path.trim_start_matches("./").trim_end_matches('/'));
        let paths: Vec<_> = paths.collect();
        for found in measured.findings() {
            let (path, line) = (found.path.as_str(), found.finding.line);
            let is_named = paths.is_empty() || paths.iter().any(|above| files::is_below(path, above));
            if is_named && changes.as_ref().is_none_or(|changes| changes.contain(path, line)) {
                writeln!(out, "{found}")?;
            }
        }
        return Ok(true);
    }
    let file = root.join(BUDGETS);
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut budgets = Budgets::parse(&text)?;
    if cli.tighten {
        budgets.tighten(&measured);
        fs::write(&file, budgets.to_toml()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let excesses = budgets.excesses(&measured);
    write!(out, "{}{}", measured.places(&excesses), measured.table(&budgets))?;
    for excess in &excesses {
        let (part, rule) = (excess.part, excess.measure);
        writeln!(
            out,
            "{} exceeds the budget of {} in {}: {} of {} per 1,000 lines; rewrite some of the places above; `cargo xtask prose --since main` lists new ones",
            rule.name(),
            part.name(),
            BUDGETS,
            measured.rate(part, rule),
            budgets.of(part, rule),
        )?;
    }
    Ok(excesses.is_empty())
}

/// Returns the repository's directory.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}
