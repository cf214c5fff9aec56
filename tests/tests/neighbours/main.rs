//! One client never hurts another: bad and unlucky commands together with innocent clients.
//!
//! Each row of the table is a command, or several, or a program that uses one connection. At the
//! same time four innocent clients write and read. A row passes if everything that the innocents
//! sent was executed, and their reads were right. Also, no other coordinator was elected, no server
//! has logged an error, and each command of the row got the right answer. All rows share a replica
//! set and three servers, one row after the other. Rows that kill a mongod, or need other servers,
//! start their own. `cargo test -p bellwether-tests --test neighbours cut::` runs those of one
//! subject.

mod caller;
mod field;
mod innocents;
mod row;
mod rows;

use std::process::ExitCode;

use anyhow::Result;
use bellwether_testkit::play_rows;

use field::Field;

fn main() -> Result<ExitCode> {
    play_rows::<Field, _>(rows::all().into_iter().map(|row| (row.name.clone(), row)))
}
