//! The table in `docs/limits.md` has the programs' values.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{client_program, server_program};
use tokio::process::Command;

use crate::page::Page;
use crate::texts::sources;

#[tokio::test]
async fn every_value_is_that_of_the_programs() -> Result<()> {
    let server = help(server_program().await?).await?;
    let client = help(client_program().await?).await?;
    let sources = sources()?;
    let rows = rows(&Page::read("limits.md")?.text);
    ensure!(rows.len() > 40, "{} rows", rows.len());
    for row in &rows {
        let value = quantity(&row.limit).with_context(|| format!("{row:?}"))?;
        let values = match row.set_by.split_once("--") {
            Some(("bellwether ", option)) => default(&client, option).into_iter().collect(),
            Some((_, option)) => default(&server, option).into_iter().collect(),
            None => definitions(&sources, &row.set_by),
        };
        ensure!(values.contains(&value), "{row:?} is not one of {values:?}");
    }
    for option in options(&server) {
        // Ports and names are no limits.
        if default(&server, option).is_some() {
            let name = format!("--{option}");
            ensure!(rows.iter().any(|row| row.set_by == name), "no row has {name}");
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Row {
    limit: String,
    set_by: String,
}

/// Returns the rows of the table that have a limit.
fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, limit, set_by, ..] = cells[..] else {
            return None;
        };
        let set_by = set_by.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        Some(Row {
            limit: limit.to_owned(),
            set_by,
        })
    });
    rows.collect()
}

async fn help(program: PathBuf) -> Result<String> {
    let printed = Command::new(program).arg("--help").output().await?;
    ensure!(printed.status.success(), "{printed:?}");
    Ok(String::from_utf8(printed.stdout)?)
}

fn options(help: &str) -> impl Iterator<Item = &str> {
    let lines = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"));
    lines.filter_map(|line| line.split([' ', '[']).next())
}

/// Returns the default of an option, if that is a number: a count, bytes, or milliseconds.
fn default(help: &str, option: &str) -> Option<u64> {
    let (_, after) = help.split_once(&format!("      --{option} "))?;
    let own = after.split("\n      --").next()?;
    let (_, value) = own.split_once("[default: ")?;
    quantity(value.split_once(']')?.0)
}

/// Returns the values of constants or fields of this name in the sources, in bytes, milliseconds,
/// or as counts.
fn definitions(sources: &str, name: &str) -> Vec<u64> {
    let constant = format!("const {name}: ");
    let field = format!("{name}: ");
    let lines = sources.lines().map(str::trim);
    let values = lines.filter_map(|line| {
        if let Some((_, definition)) = line.split_once(&constant) {
            return evaluate(definition.split_once(" = ")?.1.strip_suffix(';')?);
        }
        evaluate(line.strip_prefix(&field)?.strip_suffix(',')?)
    });
    values.collect()
}

/// Returns the value of a product such as `4 * 1024`, or of a `Duration` of one, in milliseconds.
fn evaluate(expression: &str) -> Option<u64> {
    let of = |constructor: &str| expression.strip_prefix(constructor)?.strip_suffix(')');
    let (product, unit): (&str, u64) = match (of("Duration::from_secs("), of("Duration::from_millis(")) {
        (Some(seconds), _) => (seconds, 1000),
        (_, Some(millis)) => (millis, 1),
        _ => (expression, 1),
    };
    let mut factors = product
        .split(" * ")
        .map(|factor| factor.replace('_', "").parse::<u64>().ok());
    factors.try_fold(unit, |value, factor| value.checked_mul(factor?))
}

/// Reads a value as people write it: `1,024`, `4 MiB`, `60 s`, `30s`.
fn quantity(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != ',')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return None,
    };
    number.replace(',', "").parse::<u64>().ok()?.checked_mul(unit)
}

#[test]
fn values_are_read() {
    let read = ["1,024", "4 MiB", "30s", "10 min", "100 ms", "five", "5 apples"].map(quantity);
    let expected = [
        Some(1024),
        Some(4 << 20),
        Some(30_000),
        Some(600_000),
        Some(100),
        None,
        None,
    ];
    assert_eq!(read, expected);
    let sources = "const A: usize = 64 * 1_024;\npub const A: Duration = Duration::from_secs(2 * 60);\n  a: 7,\nb: x,\n";
    assert_eq!(definitions(sources, "A"), [65_536, 120_000]);
    assert_eq!(definitions(sources, "a"), [7]);
    assert!(definitions(sources, "b").is_empty());
    let help = "      --one <N>\n          Text\n          [default: 5]\n\n      --two <N>\n          Text\n";
    assert_eq!((default(help, "one"), default(help, "two")), (Some(5), None));
    assert_eq!(options(help).collect::<Vec<_>>(), ["one", "two"]);
}
