//! The inputs of a corpus, each fed to a check by an ordinary test: part of the tests of every
//! crate that has checks.

use std::path::Path;

/// # Panics
/// If the check does, or there is no input.
pub(crate) fn corpus(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let inputs: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!inputs.is_empty(), "nothing in {}", dir.display());
    inputs
        .iter()
        .for_each(|input| check(&std::fs::read(input).unwrap()));
}
