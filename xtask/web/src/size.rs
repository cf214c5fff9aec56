use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Highest size of a page's files for its first command, in bytes with gzip. It is the present size
/// and a little more, so that the size does not grow unnoticed. 30 000 are wanted;
/// `docs/benchmarks.md` lists the sizes of the parts.
const LIMIT: usize = 49_800;

/// The files a page loads, with their names in the package.
const LOADED: [&str; 4] = [
    "bellwether_web_client_bg.wasm",
    "bellwether_web_client.js",
    "index.js",
    "extended_json.js",
];

/// The sizes of the files that a page loads before its first command.
pub struct Sizes {
    parts: Vec<Part>,
    /// `true` if all tools that make it small were available.
    comparable: bool,
}

struct Part {
    name: &'static str,
    plain: usize,
    gzip: usize,
}

impl Sizes {
    pub(crate) fn of(package: &Path, comparable: bool) -> Result<Self> {
        let parts = LOADED.map(|name| Part::of(package, name));
        Ok(Self {
            parts: parts.into_iter().collect::<Result<_>>()?,
            comparable,
        })
    }

    fn gzip(&self) -> usize {
        self.parts.iter().map(|part| part.gzip).sum()
    }

    /// # Errors
    /// If a page loads more than it may, unless the only reason is a missing tool.
    pub fn expect_small(&self) -> Result<()> {
        ensure!(
            !self.comparable || self.gzip() <= LIMIT,
            "a page loads {} bytes (gzip) before its first command, and {LIMIT} is the limit",
            self.gzip()
        );
        Ok(())
    }
}

impl Part {
    fn of(package: &Path, name: &'static str) -> Result<Self> {
        let file = package.join(name);
        let plain = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&plain)?;
        Ok(Self {
            name,
            plain: plain.len(),
            gzip: gzip.finish()?.len(),
        })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name, plain, gzip| writeln!(f, "    {name:30} {plain:>8} {gzip:>8}");
        row("a page loads (bytes)", "plain".to_owned(), "gzip".to_owned())?;
        for part in &self.parts {
            row(part.name, part.plain.to_string(), part.gzip.to_string())?;
        }
        let plain: usize = self.parts.iter().map(|part| part.plain).sum();
        row("together", plain.to_string(), self.gzip().to_string())?;
        write!(f, "    The limit is {LIMIT} with gzip")?;
        if self.comparable {
            f.write_str(".")
        } else {
            f.write_str("; not checked, because what makes it small is missing here.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(gzip: usize, comparable: bool) -> Sizes {
        let part = |gzip| Part {
            name: "a.js",
            plain: 2 * gzip,
            gzip,
        };
        Sizes {
            parts: vec![part(10_000), part(gzip - 10_000)],
            comparable,
        }
    }

    #[test]
    fn the_sum_is_limited_where_it_can_be_compared() {
        assert!(sizes(LIMIT, true).expect_small().is_ok());
        assert!(sizes(LIMIT + 1, true).expect_small().is_err());
        assert!(sizes(LIMIT + 1, false).expect_small().is_ok());
    }
}
