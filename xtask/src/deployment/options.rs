//! A misspelt option in a manifest is an environment variable that no program reads: no schema
//! knows it, and no server reports an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{DOCKER, KUBERNETES, files, has_extension};
use crate::step::{root, say};

/// Files that define the server's options.
const ARGS: [&str; 2] = [
    "crates/server/src/bin/bellwether-server/args/mod.rs",
    "crates/server/src/bin/bellwether-server/args/limits.rs",
];

/// Beginning of all their environment variables.
const PREFIX: &str = "BELLWETHER_";

/// Expects every variable that the manifests, the Compose files and the Dockerfile set to be one
/// that the server reads.
pub(super) fn check() -> Result<()> {
    let mut options = BTreeSet::new();
    for file in ARGS {
        let here = defined(&read(Path::new(file))?);
        ensure!(!here.is_empty(), "{file} defines no environment variable");
        options.extend(here);
    }
    let mut places = files(KUBERNETES, |file| has_extension(file, "yaml"))?;
    places.extend(files(DOCKER, |file| {
        has_extension(file, "yaml") || file.ends_with("Dockerfile")
    })?);
    let mut count = 0;
    for place in places {
        for name in set(&read(&place)?) {
            ensure!(
                options.contains(&name),
                "{} sets {name}, which is no option of bellwether-server",
                place.display()
            );
            count += 1;
        }
    }
    ensure!(count > 0, "no option is set anywhere");
    say(format_args!(
        "options set in {DOCKER}: {count}, all of them the server's"
    ));
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("reading {}", file.display()))
}

/// Returns the variables from which options are read.
fn defined(args: &str) -> BTreeSet<String> {
    args.split("env = \"").skip(1).map(name).collect()
}

/// Returns the variables that a file sets for a server. Variables in `${…}` are for Compose, and
/// are set elsewhere.
fn set(file: &str) -> BTreeSet<String> {
    let starts = file.match_indices(PREFIX).filter(|(at, _)| {
        let before = file.get(..*at).unwrap_or_default();
        !before.ends_with("${") && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    });
    starts
        .map(|(at, _)| name(file.get(at..).unwrap_or_default()))
        .collect()
}

/// Returns the name at the beginning of a text.
fn name(text: &str) -> String {
    let of_a_name = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
    text.chars().take_while(of_a_name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are_set() {
        let names = |text| set(text).into_iter().collect::<Vec<_>>();
        assert_eq!(
            names("  BELLWETHER_ID: ${BELLWETHER_NODE:?say which}"),
            ["BELLWETHER_ID"]
        );
        assert_eq!(
            names("- name: BELLWETHER_CLIENT_URL\n  value: ws://$(BELLWETHER_ID):7001/v1"),
            ["BELLWETHER_CLIENT_URL", "BELLWETHER_ID"]
        );
        assert_eq!(
            names("ENV BELLWETHER_LISTEN=0.0.0.0:7001 \\\n"),
            ["BELLWETHER_LISTEN"]
        );
    }

    #[test]
    fn options_are_found_where_they_are_defined() {
        let args = "#[arg(long, env = \"BELLWETHER_ID\")]\nid: ServerId,\n#[arg(env = \"BELLWETHER_WWW\")]";
        assert!(defined(args).contains("BELLWETHER_ID"));
        assert_eq!(defined(args).len(), 2);
    }
}
