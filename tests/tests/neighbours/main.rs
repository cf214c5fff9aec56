//! One client never hurts another: bad and unlucky commands beside innocent clients.
//!
//! Each row of the table is a command, or several, or a program of what one connection does. Beside
//! it four innocent clients write and read all the time. A row passes if everything they sent was
//! executed and what they read was right, no other coordinator was elected, no server has logged an
//! error, and each command of the row got the answer that belongs to it. All rows share a replica
//! set and three servers, one row after the other; rows that kill a mongod, or need other servers,
//! start their own. `cargo test -p bellwether-tests --test neighbours cut::` runs those of one
//! subject.

mod caller;
mod field;
mod innocents;
mod row;
mod rows;

use std::process::ExitCode;

use anyhow::Result;
use bellwether_tests::play_rows;

use field::Field;

fn main() -> Result<ExitCode> {
    play_rows::<Field, _>(rows::all().into_iter().map(|row| (row.name.clone(), row)))
}
