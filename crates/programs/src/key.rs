use std::fmt::Write as _;

use anyhow::Result;
use sha2::{Digest, Sha256};

/// Returns the name of the directory for files made from this text.
pub(crate) fn key(text: &[u8]) -> Result<String> {
    let mut key = String::new();
    for byte in &Sha256::digest(text)[..8] {
        write!(key, "{byte:02x}")?;
    }
    Ok(key)
}
