//! Every example in `docs/protocol.md` is of the kind that it is marked as.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{ClientFrame, ErrorCode, ServerFrame, Status};
use bellwether_protocol::{CloseCode, Outcome};
use bellwether_testkit::{CodeBlock, code_blocks};

#[test]
fn every_example_parses() -> Result<()> {
    let mut counts = (0, 0);
    for CodeBlock { info, text, line } in code_blocks(&document()?) {
        let at = || format!("docs/protocol.md, line {line}");
        match info.split_whitespace().collect::<Vec<_>>()[..] {
            ["json", "client"] => {
                ClientFrame::parse(&text).with_context(at)?;
                counts.0 += 1;
            }
            ["json", "server"] => {
                ServerFrame::parse(&text).with_context(at)?;
                counts.1 += 1;
            }
            ["json", "status"] => {
                serde_json::from_str::<Status>(&text).with_context(at)?;
            }
            // Those are executed by `protocol_examples.rs`, and a frame that is an error need not
            // be one.
            ["json", "command" | "reply" | "error-example", ..] => {}
            ["json", ..] => ensure!(
                false,
                "{}: a block of JSON has to say what it is: client, server, status, command, reply or error-example",
                at()
            ),
            _ => {}
        }
    }
    ensure!(
        counts.0 >= 4 && counts.1 >= 5,
        "all four of the client's frames and all five of the server's have an example"
    );
    Ok(())
}

#[test]
fn every_code_is_described() -> Result<()> {
    let document = document()?;
    let codes = ErrorCode::ALL.map(|code| code.to_string()).into_iter();
    let outcomes =
        [Outcome::NotExecuted, Outcome::Unknown, Outcome::Executed].map(|outcome| outcome.to_string());
    for name in codes.chain(outcomes) {
        assert!(
            document.contains(&format!("`{name}`")),
            "docs/protocol.md does not describe {name}"
        );
    }
    for code in CloseCode::ALL {
        assert!(
            document.contains(&code.to_string()),
            "docs/protocol.md does not describe close code {code}"
        );
    }
    Ok(())
}

fn document() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}
