#![no_main]

use allocation_counter::measure;
use bellwether_fuzz::is_bounded;
use bellwether_protocol::RawJson;
use bellwether_server::fuzzing::{command, memory};
use bellwether_server::{AllowedCommands, ParsedCommand};
use libfuzzer_sys::fuzz_target;

/// Highest memory for one byte of the input: fields of one byte each take the most.
const FACTOR: u64 = 400;

fuzz_target!(|data: &[u8]| {
    command(data);
    takes_what_it_is_said_to(data);
});

/// The queue is bounded by what its commands are taken to need, so none may need more.
fn takes_what_it_is_said_to(data: &[u8]) {
    let Some(raw) = str::from_utf8(data)
        .ok()
        .and_then(|text| RawJson::object(text).ok())
    else {
        return;
    };
    let allowed_commands = AllowedCommands::default();
    let mut parsed = None;
    let used = measure(|| parsed = ParsedCommand::parse(&raw, &allowed_commands).ok());
    let Some(command) = parsed else {
        return is_bounded(&used, data.len() + COPIES, FACTOR);
    };
    // Each command of a list has a copy of the list's comment.
    let operations = command
        .operations()
        .iter()
        .filter_map(|operation| operation.body().to_vec().ok());
    is_bounded(
        &used,
        data.len() + operations.map(|body| body.len()).sum::<usize>(),
        FACTOR,
    );
    let held = u64::try_from(used.bytes_current).unwrap_or_default();
    assert!(
        held <= memory(&command) as u64 + 1024,
        "{held} bytes held, {} expected",
        memory(&command)
    );
}

/// Limit for the copies of a comment, in bytes. The parser makes them before it finds that the list
/// is not allowed.
const COPIES: usize = 100 * 1024;
