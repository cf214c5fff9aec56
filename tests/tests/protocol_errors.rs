//! Every example of an error in `docs/protocol.md` is what a server answers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{CommandId, ErrorFrame, ServerFrame};
use bellwether_tests::{Cluster, Connection, ReplicaSet, mint};
use serde_json::Value;

/// What a client sends, one frame after another, and what the last of them is answered.
#[derive(Debug, Default)]
struct Example {
    to_follower: bool,
    frames: Vec<String>,
    answer: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_an_error_is_answered_so() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let follower = (coordinator + 1) % cluster.servers.len();
    let examples = examples()?;
    ensure!(examples.len() >= 10, "only {} examples", examples.len());
    for example in examples {
        let server = if example.to_follower {
            follower
        } else {
            coordinator
        };
        let answer = answer(&cluster.servers[server].url(), &example.frames).await?;
        if std::env::var_os("BELLWETHER_SHOW").is_some() {
            println!("ANSWER {}", ServerFrame::Error(answer).to_json());
            continue;
        }
        let ServerFrame::Error(documented) = ServerFrame::parse(&example.answer)? else {
            bail!("{example:?} is answered with no error");
        };
        assert_eq!(essence(&answer), essence(&documented), "{example:?}: {answer:?}");
    }
    Ok(())
}

/// The answer to the last frame.
async fn answer(url: &str, frames: &[String]) -> Result<ErrorFrame> {
    let is_hello = |frame: &String| frame.contains(r#""type": "hello""#);
    let (mut connection, now) = if frames.first().is_some_and(is_hello) {
        (Connection::open(url).await?, 0)
    } else {
        let (connection, hello) = Connection::greeted(url).await?;
        (connection, hello.server_time_ms)
    };
    let mut ids = HashMap::new();
    for (index, frame) in frames.iter().enumerate() {
        connection.send_text(with_new_id(frame, now, &mut ids)?).await?;
        let answer = connection.receive().await?;
        match answer {
            ServerFrame::Error(error) if index + 1 == frames.len() => return Ok(error),
            ServerFrame::Result(_) if index + 1 < frames.len() => {}
            other => bail!("{frame} is answered with {other:?}"),
        }
    }
    bail!("an example without a frame")
}

/// The frame with an id made now in place of its own, the same for the same; but an old id is left as it is.
fn with_new_id(frame: &str, now: u64, ids: &mut HashMap<String, CommandId>) -> Result<String> {
    let fields: Value = serde_json::from_str(frame)?;
    match fields["id"].as_str() {
        Some(id) if id.starts_with("01a202eb") => {
            let new = ids.entry(id.to_owned()).or_insert_with(|| mint(now));
            Ok(frame.replace(id, &new.to_string()))
        }
        _ => Ok(frame.to_owned()),
    }
}

/// What does not change from run to run.
fn essence(error: &ErrorFrame) -> impl PartialEq + std::fmt::Debug {
    let mongo = error.mongo.as_ref();
    (
        error.code,
        error.outcome,
        error.id.is_some(),
        error.coordinator.is_some(),
        error.retry_after_ms.is_some(),
        mongo.map(|mongo| (mongo.code, mongo.code_name.clone(), mongo.index, mongo.command)),
    )
}

fn examples() -> Result<Vec<Example>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let document = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut examples = Vec::new();
    let mut next = Example::default();
    // Every other piece is a block: what it is in its first line, and below it the text.
    for block in document.split("```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').unwrap_or_default();
        match info.split_whitespace().collect::<Vec<_>>()[..] {
            ["json", "error-example", ref who @ ..] => {
                next.to_follower |= who == ["follower"];
                next.frames.push(text.trim().to_owned());
            }
            ["json", "server"] if !next.frames.is_empty() => {
                text.trim().clone_into(&mut next.answer);
                examples.push(std::mem::take(&mut next));
            }
            _ => ensure!(next.frames.is_empty(), "an example without its answer: {next:?}"),
        }
    }
    Ok(examples)
}
