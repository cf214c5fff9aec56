use anyhow::{Context, Result};
use bellwether_programs::{find_node, node_packages};

use super::Missing;
use crate::step::{root, say};

/// The dependents on packages of npm, and their purpose.
const DEPENDENTS: [(&str, &str); 6] = [
    ("xtask/web/package.json", "to make the browser client small"),
    (
        "tests/package/vite/package.json",
        "to test the package in a Vite app",
    ),
    (
        "tests/package/typescript/package.json",
        "to test the package's types",
    ),
    (
        "tests/package/runtimes/package.json",
        "to test the package in Node.js 22, Deno and Bun",
    ),
    (
        "tests/package/program/package.json",
        "to test the package with values of the package bson",
    ),
    (
        "tests/tests/page/package.json",
        "to look for what keeps people from using the page",
    ),
];

/// Makes sure that there is Node.js with npm, which only the browser client and its tests use.
pub(crate) async fn node() -> Result<()> {
    let found = find_node().await;
    found.map(drop).map_err(|error| {
        let missing = Missing(format!("{error:#}"));
        error.context(missing)
    })
}

/// Installs the packages from npm.
pub(crate) async fn packages() -> Result<()> {
    node().await?;
    for (package_json, purpose) in DEPENDENTS {
        node_packages(&root().join(package_json))
            .await
            .with_context(|| format!("no packages from npm, {purpose} ({package_json})"))?;
        say(format_args!("packages of npm, {purpose}: installed"));
    }
    Ok(())
}
