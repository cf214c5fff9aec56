//! Links between the documents lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::page::repository;

#[test]
fn every_link_within_the_repository_leads_somewhere() -> Result<()> {
    let mut wrong = Vec::new();
    let mut links = 0;
    for document in documents()? {
        for link in targets(&prose(&document)?) {
            links += 1;
            if !leads_somewhere(&document, &link)? {
                wrong.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(links > 100, "only {links} links were found");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
    Ok(())
}

fn documents() -> Result<Vec<PathBuf>> {
    let root = repository();
    let mut documents: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|name| root.join(name))
        .into();
    for entry in fs::read_dir(root.join("docs"))? {
        documents.push(entry?.path());
    }
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    Ok(documents)
}

/// Returns a document without its blocks of code.
fn prose(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    Ok(prose)
}

/// Returns the targets of links and pictures, except those on other sites.
fn targets(prose: &str) -> Vec<String> {
    let between = |start: &'static str, end: char| {
        let parts = prose.split(start).skip(1);
        parts.filter_map(move |part| part.split_once(end).map(|(target, _)| target))
    };
    let all = between("](", ')')
        .chain(between("src=\"", '"'))
        .chain(between("srcset=\"", '"'));
    let within = all.filter(|target| !target.contains("://") && !target.contains(char::is_whitespace));
    within.map(str::to_owned).collect()
}

fn leads_somewhere(document: &Path, link: &str) -> Result<bool> {
    let (file, section) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => document.to_owned(),
        file => document.parent().unwrap_or(Path::new("")).join(file),
    };
    if section.is_empty() || !target.is_file() {
        return Ok(target.exists() && section.is_empty());
    }
    let prose = prose(&target)?;
    let mut headings = prose.lines().filter(|line| line.starts_with('#'));
    Ok(headings.any(|heading| anchor(heading.trim_start_matches('#')) == section))
}

/// Returns the anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    });
    kept.collect::<String>().to_lowercase()
}

#[test]
fn links_are_told_apart() -> Result<()> {
    let prose = "[a](b.md#c) [d](https://e.example) <img src=\"f.svg\"> <source srcset=\"g.svg\">";
    assert_eq!(targets(prose), ["b.md#c", "f.svg", "g.svg"]);
    assert_eq!(
        anchor(" When MongoDB's primary dies"),
        "when-mongodbs-primary-dies"
    );
    let document = repository().join("docs/tutorial.md");
    assert!(leads_somewhere(&document, "security.md#threats")?);
    assert!(leads_somewhere(&document, "../crates/election")?);
    assert!(!leads_somewhere(&document, "security.md#nothing")?);
    assert!(!leads_somewhere(&document, "nothing.md")?);
    Ok(())
}
