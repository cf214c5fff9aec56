use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories where systems put libfaketime, or which contain a directory for the machine's kind
/// with it.
const PLACES: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Returns the path of libfaketime, if there is one that can be loaded. A program that preloads it
/// has a wall clock of its own.
pub fn installed_faketime() -> Option<PathBuf> {
    let places = PLACES.iter().flat_map(|place| {
        let place = Path::new(place);
        [place.to_path_buf(), place.join(format!("{ARCH}-linux-gnu"))]
    });
    let libraries = places.map(|place| place.join(LIBRARY));
    libraries.filter(|library| library.is_file()).find(|library| {
        let tried = Command::new("true").env("LD_PRELOAD", library).output();
        // If a library cannot be preloaded, the loader prints a warning and goes on.
        tried.is_ok_and(|tried| tried.status.success() && tried.stderr.is_empty())
    })
}
