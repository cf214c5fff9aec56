//! The table in `docs/command-reference.md` has the server's commands and options.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use bellwether_server::AllowedCommands;

use crate::page::Page;

/// Options of all commands, which the page lists in its text.
const COMMON: [&str; 2] = ["comment", "maxTimeMS"];

#[test]
fn every_command_and_option_is_that_of_the_server() -> Result<()> {
    let page = Page::read("command-reference.md")?.text;
    let told: BTreeMap<String, BTreeSet<String>> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            match cells[..] {
                ["", command, _, options, ""] if command.starts_with('`') => {
                    Some((quoted(command).next()?, quoted(options).collect()))
                }
                _ => None,
            }
        })
        .collect();
    let mut allowed = AllowedCommands::default();
    allowed.schema = true;
    let taken: BTreeMap<String, BTreeSet<String>> = allowed
        .options()
        .into_iter()
        // An index is no command, but a part of `createIndexes`.
        .filter(|(command, _)| *command != "index")
        .map(|(command, options)| {
            let own = options.iter().filter(|option| !COMMON.contains(option));
            (command.to_owned(), own.map(ToString::to_string).collect())
        })
        .collect();
    ensure!(told == taken, "the page has {told:?}, the server {taken:?}");
    ensure!(
        COMMON.iter().all(|option| page.contains(&format!("`{option}`"))),
        "the page does not name the options of all commands"
    );
    Ok(())
}

/// The texts in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}
