use std::env;
use std::fs;

use anyhow::{Context, Result};

use crate::project::{PACKAGE, Project, pack, repository};

const FILES: [&str; 9] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "bellwether_web_client.js",
    "bellwether_web_client_bg.wasm",
    "extended_json.js",
    "index.d.ts",
    "index.js",
    "package.json",
];

#[tokio::test]
async fn it_holds_the_client_and_nothing_else() -> Result<()> {
    let project = Project::of(&[]).await?;
    let packed = pack(project.dir()).await?;
    assert_eq!(
        (packed.name.as_str(), packed.version.as_str()),
        (PACKAGE, env!("CARGO_PKG_VERSION"))
    );
    let mut files: Vec<&str> = packed.files.iter().map(|file| file.path.as_str()).collect();
    files.sort_unstable();
    assert_eq!(files, FILES);
    Ok(())
}

#[tokio::test]
async fn it_tells_nothing_of_where_it_was_built_nor_of_the_server() -> Result<()> {
    let project = Project::of(&[]).await?;
    let unpacked = project.unpack().await?;
    let mut unwanted = vec![
        fs::canonicalize(repository())?.display().to_string(),
        // Texts that only the server has.
        "mongodb://".into(),
        "replicaSet".into(),
        "crates/server".into(),
        "crates/election".into(),
        "sourceMappingURL".into(),
        // Sources of dependencies.
        "registry/src".into(),
        ".cargo/".into(),
    ];
    unwanted.extend(env::var("HOME").ok().filter(|home| home.len() > 1));
    for name in FILES {
        let bytes = fs::read(unpacked.join(name)).with_context(|| format!("reading {name}"))?;
        for text in &unwanted {
            let found = bytes
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            let around = found
                .map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())]));
            assert_eq!(around, None, "{name} holds {text}");
        }
    }
    Ok(())
}
