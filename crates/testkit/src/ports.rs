use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};
use bellwether_programs::is_free;

/// Below the range from which systems take the ports of outgoing connections (32768 and up on
/// Linux). While a server is down, a client's connection could take a port out of that range. A
/// client that keeps dialling it could even connect to itself.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

/// Returns `count` ports of 127.0.0.1 on which no process listens. A process never gets the same
/// port twice, until it has got all of them.
///
/// # Errors
/// If there are not that many.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // A random start keeps test programs that run side by side out of each other's way.
    let next = NEXT.get_or_init(|| AtomicU16::new(rand::random()));
    let ports: Vec<u16> = (FIRST..LAST)
        .map(|_| FIRST + next.fetch_add(1, Ordering::Relaxed) % (LAST - FIRST))
        .filter(|port| is_free(*port))
        .take(count)
        .collect();
    if ports.len() < count {
        bail!("fewer than {count} free ports between {FIRST} and {LAST} on 127.0.0.1");
    }
    Ok(ports)
}
