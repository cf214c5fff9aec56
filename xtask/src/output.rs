//! Readers of the output of programs.

/// Returns the whole number right behind the first `prefix`.
pub(crate) fn number_after(text: &str, prefix: &str) -> Option<u64> {
    let (_, rest) = text.split_once(prefix)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
