//! Memory that grows with what comes in, and no faster than a small multiple of it.

#![forbid(unsafe_code)]

use allocation_counter::{AllocationInfo, measure};

/// What is used whatever comes in.
const ALWAYS: u64 = 64 * 1024;

/// Does something with an input.
///
/// # Panics
/// If at any moment it holds more than `factor` bytes for each byte of the input, above what is
/// always used.
pub fn bounded(input: &[u8], factor: u64, work: impl FnOnce()) {
    is_bounded(&measure(work), input.len(), factor);
}

/// # Panics
/// If at any moment more than `factor` bytes were held for each of so many, above what is always
/// used.
pub fn is_bounded(used: &AllocationInfo, bytes: usize, factor: u64) {
    let limit = ALWAYS + factor * bytes as u64;
    assert!(
        used.bytes_max <= limit,
        "{} bytes of memory for {bytes}",
        used.bytes_max
    );
}
