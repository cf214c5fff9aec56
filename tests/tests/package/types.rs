use std::fs;

use anyhow::Result;
use bellwether_testkit::code_blocks;

use crate::project::{Project, repository};

/// Allowed code compiles, forbidden code does not, and the README's examples are right.
#[tokio::test]
async fn a_strict_typescript_program_uses_all_of_it() -> Result<()> {
    let project = Project::of(&["typescript"]).await?;
    project.install().await?;
    let readme = fs::read_to_string(repository().join("www/pkg/README.md"))?;
    let examples: Vec<_> = code_blocks(&readme)
        .into_iter()
        .filter(|block| block.info == "ts")
        .collect();
    assert!(!examples.is_empty(), "the README has no examples");
    for example in examples {
        fs::write(
            project.path(&format!("readme_line_{}.ts", example.line)),
            example.text,
        )?;
    }
    for config in ["tsconfig.json", "tsconfig.nodenext.json"] {
        project
            .run_package("typescript/bin/tsc", &["--project", config])
            .await?;
    }
    Ok(())
}
