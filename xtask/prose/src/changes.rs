//! The lines that changed since a commit, so that an author sees the new violations only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Changed lines by file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<String, Vec<Range<usize>>>);

impl Changes {
    /// Reads the changes of the work tree at `root` since `revision`, with files that git does not
    /// track yet.
    ///
    /// # Errors
    /// If git cannot be started, or does not know the revision.
    pub fn since(root: &Path, revision: &str) -> Result<Self> {
        ensure!(
            !revision.starts_with('-'),
            "{revision} is no commit; give a branch, a tag or a hash"
        );
        let diff = [
            "-c",
            "core.quotePath=false",
            "diff",
            "--unified=0",
            "--no-color",
            "--no-ext-diff",
        ];
        let plain = [
            "--no-renames",
            "--no-relative",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            revision,
            "--",
        ];
        let mut changes = Self::parse(&git(root, &[diff.as_slice(), &plain].concat())?);
        let new = git(root, &["ls-files", "-z", "--others", "--exclude-standard"])?;
        for path in new.split('\0').filter(|path| !path.is_empty()) {
            changes.0.entry(path.to_owned()).or_default().push(1..usize::MAX);
        }
        Ok(changes)
    }

    /// Reads the output of `git diff --unified=0`.
    fn parse(diff: &str) -> Self {
        let mut changes = Self::default();
        let mut path = "";
        let mut previous = "";
        for line in diff.lines() {
            // A changed line may look like the header of a file. In a header, `---` comes first.
            if let Some(name) = line
                .strip_prefix("+++ b/")
                .filter(|_| previous.starts_with("--- "))
            {
                path = name.trim_end_matches('\t');
            } else if let Some(range) = added(line) {
                changes.0.entry(path.to_owned()).or_default().push(range);
            }
            previous = line;
        }
        changes
    }

    /// Returns `true` if the line of the file has changed. Lines count from 1.
    pub fn contain(&self, path: &str, line: usize) -> bool {
        let ranges = self.0.get(path);
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&line)))
    }
}

/// Returns the new lines of a hunk, from its header such as `@@ -1,2 +3,4 @@`.
fn added(line: &str) -> Option<Range<usize>> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (_, added) = ranges.split_once(" +")?;
    let (first, count) = added.split_once(',').unwrap_or((added, "1"));
    let first: usize = first.parse().ok()?;
    Some(first..first.saturating_add(count.parse().ok()?))
}

fn git(root: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root)
        .output()
        .context("cannot start git; install git")?;
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    // A diff can hold files of other encodings, of which the lint reads none.
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_lines_are_changes_and_others_are_not() {
        let diff = "diff --git a/docs/a.md b/docs/a.md\n--- a/docs/a.md\n+++ b/docs/a.md\n\
                    @@ -3,2 +3 @@ # Title\n-one\n-two\n+++ b/docs/b.md\n@@ -9,0 +9,2 @@\n+three\n+four\n\
                    diff --git a/gone.md b/gone.md\n--- a/gone.md\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-five\n-six\n";
        let changes = Changes::parse(diff);
        let changed: Vec<_> = (1..20)
            .filter(|line| changes.contain("docs/a.md", *line))
            .collect();
        assert_eq!(changed, [3, 9, 10]);
        assert!(!changes.contain("docs/b.md", 9));
    }

    #[test]
    fn an_unknown_commit_is_an_error() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for revision in ["no-such-branch", "--output=x"] {
            let error = Changes::since(root, revision).expect_err("an error");
            assert!(error.to_string().contains(revision), "{error}");
        }
        assert!(Changes::since(root, "HEAD").is_ok());
    }
}
