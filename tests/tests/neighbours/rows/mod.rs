//! The table, by subject.

mod coverage;
mod cut;
mod injected;
mod lists;
mod options;
mod overload;
mod refused;
mod replies;
mod schema;
mod schema_options;
mod shares;
mod sizes;
mod statements;
mod unstoppable;

use crate::row::Row;

/// Returns all rows, in the order in which they run.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for (subject, of_it) in [
        ("coverage", coverage::rows()),
        ("refused", refused::rows()),
        ("options", options::rows()),
        ("options", schema_options::rows()),
        ("statements", statements::rows()),
        ("lists", lists::rows()),
        ("schema", schema::rows()),
        ("cut", cut::rows()),
        ("replies", replies::rows()),
        ("injected", injected::rows()),
        ("sizes", sizes::rows()),
        ("shares", shares::rows()),
        ("overload", overload::rows()),
        ("unstoppable", unstoppable::rows()),
    ] {
        rows.extend(of_it.into_iter().map(|row| Row {
            name: format!("{subject}::{}", row.name),
            ..row
        }));
    }
    rows
}
