//! The figures in `docs/benchmarks.md` about the election: `cargo xtask bench-election`.

mod failing;
#[cfg(unix)]
mod failover;
mod messages;
mod quiet;
mod steady;
mod table;
#[cfg(unix)]
#[path = "../../examples/tcp/transport.rs"]
mod tcp;
mod throughput;
mod world;

use std::io;

const TABLES: [&str; 4] = ["messages", "quiet", "failover", "throughput"];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(unix)]
    if let Some((first, rest)) = arguments.split_first()
        && first == failover::SERVE
    {
        return failover::serve(rest);
    }
    // Cargo passes this argument; without it this is a test run, and there is nothing to test.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let asked_for: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    if let Some(unknown) = asked_for.iter().find(|word| !TABLES.contains(word)) {
        return Err(io::Error::other(format!(
            "no table {unknown}; there are {}",
            TABLES.join(", ")
        )));
    }
    for table in TABLES {
        if !asked_for.is_empty() && !asked_for.contains(&table) {
            continue;
        }
        match table {
            "messages" => messages::print(),
            "quiet" => quiet::print(),
            #[cfg(unix)]
            "failover" => failover::print()?,
            "throughput" => throughput::print(),
            _ => {}
        }
    }
    Ok(())
}
