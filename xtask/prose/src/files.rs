//! The files that the lint reads, and the part each belongs to.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::budget::Part;

/// The language of a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `.rs`
    Rust,
    /// `.js`, `.mjs` and `.ts`
    JavaScript,
    /// `.py`
    Python,
    /// `.md`
    Markdown,
}

/// A file that the lint reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path from the root of the repository, with `/` between its names.
    pub path: String,
    /// The language, from the extension.
    pub language: Language,
    /// The part whose budgets apply to comments and prose of this file.
    pub part: Part,
}

/// Directories whose comments count as product. Everything else counts as tools and tests.
const PRODUCT: [&str; 8] = [
    "clients/python/src/",
    "crates/client/src/",
    "crates/election/src/",
    "crates/protocol/src/",
    "crates/server/src/",
    "crates/web-client/npm/",
    "crates/web-client/src/",
    "www/",
];

impl Source {
    /// Returns the source at `path`, or `None` if the lint does not read files of that kind.
    pub fn new(path: &str) -> Option<Self> {
        let (_, extension) = path.rsplit_once('.')?;
        let language = match extension {
            "rs" => Language::Rust,
            "js" | "mjs" | "ts" => Language::JavaScript,
            "py" => Language::Python,
            "md" => Language::Markdown,
            _ => return None,
        };
        let part = if language == Language::Markdown {
            Part::Documents
        } else if PRODUCT.iter().any(|directory| path.starts_with(directory)) {
            Part::Product
        } else {
            Part::Tools
        };
        Some(Self {
            path: path.to_owned(),
            language,
            part,
        })
    }

    /// Returns `true` if the whole file is a test. Users do not read the string literals of tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }
}

/// Lists the sources of the repository at `root`: tracked files, and new files that git does not
/// ignore.
///
/// # Errors
/// If `root` is not in a git work tree, or git cannot be started.
pub fn list(root: &Path) -> Result<Vec<Source>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git, which lists the sources; install git")?;
    ensure!(
        output.status.success(),
        "git cannot list the sources in {}: {}",
        root.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let paths = String::from_utf8(output.stdout).context("a file name is not UTF-8; rename the file")?;
    let mut paths: Vec<_> = paths
        .split('\0')
        .filter(|path| root.join(path).is_file())
        .collect();
    // git lists a file with a merge conflict once for each side.
    paths.sort_unstable();
    paths.dedup();
    Ok(paths.into_iter().filter_map(Source::new).collect())
}

/// Returns `true` if `path` is the file or directory `above`, or lies in it.
pub fn is_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above);
    above == "." || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_parts() {
        let part = |path: &str| Source::new(path).map(|source| source.part);
        assert_eq!(part("crates/server/src/server.rs"), Some(Part::Product));
        assert_eq!(part("www/app.js"), Some(Part::Product));
        assert_eq!(
            part("clients/python/src/bellwether_client/_frames.py"),
            Some(Part::Product)
        );
        assert_eq!(
            part("crates/election/tests/simulation/main.rs"),
            Some(Part::Tools)
        );
        assert_eq!(part("xtask/src/main.rs"), Some(Part::Tools));
        assert_eq!(part("crates/election/README.md"), Some(Part::Documents));
        assert_eq!(part("docker/compose.yaml"), None);
        assert_eq!(part("LICENSE-MIT"), None);
    }

    #[test]
    fn a_directory_holds_its_files_only() {
        assert!(is_below("docs/a.md", "docs"));
        assert!(is_below("docs/a.md", "docs/a.md"));
        assert!(is_below("docs/a.md", "."));
        assert!(!is_below("docs2/a.md", "docs"));
    }

    #[test]
    fn this_repository_has_sources_of_every_language() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .expect("a root");
        let sources = list(root).expect("a list");
        for language in [
            Language::Rust,
            Language::JavaScript,
            Language::Python,
            Language::Markdown,
        ] {
            assert!(
                sources.iter().any(|source| source.language == language),
                "{language:?}"
            );
        }
        assert!(
            sources
                .iter()
                .any(|source| source.path == "xtask/prose/src/files.rs")
        );
        assert!(!sources.iter().any(|source| source.path.starts_with("target/")));
    }
}
