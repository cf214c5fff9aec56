//! Every command and every option that a server takes is in a row.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use bellwether_server::AllowedCommands;
use serde_json::Value;

use super::all;
use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![Row::alone("every_option_has_a_row", || {
        Box::pin(async { every_option_has_a_row() })
    })]
}

fn every_option_has_a_row() -> Result<()> {
    let mut seen = BTreeSet::new();
    for row in all() {
        for (command, _) in row.commands() {
            // Commands that are no JSON are there to be refused.
            if let Ok(command) = serde_json::from_str(command) {
                gather(&command, &mut seen);
            }
        }
    }
    let mut allowed_commands = AllowedCommands::default();
    allowed_commands.schema = true;
    let mut missing = Vec::new();
    for (command, options) in allowed_commands.options() {
        let used = |option: &str| seen.contains(&(command.to_owned(), option.to_owned()));
        let unused = options.into_iter().filter(|option| !used(option));
        missing.extend(unused.map(|option| format!("{command}.{option}")));
        if command != "index" && !seen.iter().any(|(used, _)| used == command) {
            missing.push(command.to_owned());
        }
    }
    ensure!(
        missing.is_empty(),
        "no row has {missing:?}: add a wrong value of each to rows/options.rs or rows/schema_options.rs"
    );
    Ok(())
}

/// Notes the options of a command, of the commands in a list, and of indexes.
fn gather(command: &Value, seen: &mut BTreeSet<(String, String)>) {
    let Some(fields) = command.as_object() else { return };
    let Some(name) = fields.keys().next() else { return };
    for field in fields.keys() {
        seen.insert((name.clone(), field.clone()));
    }
    let each = |field: &str| fields.get(field).and_then(Value::as_array).into_iter().flatten();
    each("transaction").for_each(|command| gather(command, seen));
    for index in each("indexes").filter_map(Value::as_object) {
        for option in index.keys() {
            seen.insert(("index".to_owned(), option.clone()));
        }
    }
}
