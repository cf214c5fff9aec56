use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use bellwether_testkit::page_dir;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use bellwether_testkit::markdown::{count, line, table};

/// Sizes of the page's files, in bytes.
#[derive(Default, Serialize)]
pub(crate) struct Sizes {
    parts: Vec<(String, Part)>,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Part {
    files: usize,
    plain: usize,
    gzip: usize,
}

impl Sizes {
    /// Returns the sizes of the files with these paths, by their kinds.
    pub(crate) fn of(paths: &[String]) -> Result<Self> {
        let mut sizes = Self::default();
        for path in paths {
            let file = page_dir()?.join(path.trim_start_matches('/'));
            let plain = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            gzip.write_all(&plain)?;
            let part = sizes.part(kind(path));
            part.files += 1;
            part.plain += plain.len();
            part.gzip += gzip.finish()?.len();
        }
        Ok(sizes)
    }

    fn part(&mut self, kind: &str) -> &mut Part {
        let place = self.parts.iter().position(|(name, _)| name == kind);
        let place = place.unwrap_or_else(|| {
            self.parts.push((kind.to_owned(), Part::default()));
            self.parts.len() - 1
        });
        &mut self.parts[place].1
    }

    pub(crate) fn show(&self) {
        line("What the page loads, in bytes; `gzip` is what is sent to a browser that reads it.\n");
        let mut all = Part::default();
        for (_, part) in &self.parts {
            all.files += part.files;
            all.plain += part.plain;
            all.gzip += part.gzip;
        }
        let row = |name: &str, part: Part| {
            vec![
                name.to_owned(),
                part.files.to_string(),
                count(part.plain as f64),
                count(part.gzip as f64),
            ]
        };
        let rows = self.parts.iter().map(|(name, part)| row(name, *part));
        let rows: Vec<_> = rows.chain([row("together", all)]).collect();
        table(&["", "files", "plain", "gzip"], &rows);
    }
}

fn kind(path: &str) -> &'static str {
    match (path.starts_with("/pkg/"), path.rsplit('.').next()) {
        (true, Some("wasm")) => "package: WebAssembly module",
        (true, _) if path.ends_with("/index.js") => "package: its interface",
        (true, _) if path.ends_with("/extended_json.js") => "package: values of JavaScript",
        (true, _) => "package: glue of the module",
        (false, Some("js")) => "page: scripts",
        (false, Some("css")) => "page: style",
        (false, Some("html")) => "page: document",
        (false, _) => "page: icon",
    }
}
