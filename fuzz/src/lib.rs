//! Memory that grows with the input, and no faster than a small multiple of it.

#![forbid(unsafe_code)]

use allocation_counter::{AllocationInfo, measure};

/// The memory that is used for any input.
const ALWAYS: u64 = 64 * 1024;

/// Does something with an input.
///
/// # Panics
/// If at any moment it holds more than `factor` bytes for each byte of the input, in addition to
/// the memory for any input.
pub fn bounded(input: &[u8], factor: u64, work: impl FnOnce()) {
    is_bounded(&measure(work), input.len(), factor);
}

/// # Panics
/// If at any moment more than `factor` bytes were held for each of `bytes`, in addition to the
/// memory for any input.
pub fn is_bounded(used: &AllocationInfo, bytes: usize, factor: u64) {
    let limit = ALWAYS + factor * bytes as u64;
    assert!(
        used.bytes_max <= limit,
        "{} bytes of memory for {bytes}",
        used.bytes_max
    );
}
