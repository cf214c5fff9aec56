//! Every worked example in `docs/protocol.md` is executed and answers what the document says.
//!
//! From top to bottom, on one database that is empty at first:
//! - a block `json command`, followed by one `json reply`: the command, and MongoDB's reply to it;
//! - a block `json error-example`, a client's frame, followed by one `json server`: the answer to it. With the word
//!   `follower` behind it, it is sent to a server that is not the coordinator.
//!
//! `…` in an answer stands for any text, and alone for any value; an `epoch` is any number. An id of the document is
//! exchanged for a new one, the same one wherever it stands, unless the answer is that it has expired.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::ServerFrame;
use bellwether_tests::{Cluster, ClusterOptions, CodeBlock, Connection, ReplicaSet, code_blocks, mint};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_it_says() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let document = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let examples = examples(&document)?;

    let set = ReplicaSet::start(3).await?;
    let mut options = ClusterOptions::new(set.uri());
    options.servers = 2;
    options.numbers = vec![2, 1];
    options.args = vec!["--allow-schema".into()];
    let cluster = Cluster::start_with(options).await?;
    let mut reader = Reader {
        coordinator: cluster.servers[0].url(),
        follower: cluster.servers[1].url(),
        ids: HashMap::new(),
    };
    let mut wrong = Vec::new();
    for example in &examples {
        if let Err(error) = reader.check(example).await {
            wrong.push(format!("line {}: {error:#}", example.asked.line));
        }
    }
    println!("{} examples, {} of them wrong", examples.len(), wrong.len());
    ensure!(wrong.is_empty(), "docs/protocol.md:\n{}", wrong.join("\n"));
    Ok(())
}

/// What is sent and what comes back.
struct Example {
    asked: CodeBlock,
    answered: CodeBlock,
}

fn examples(document: &str) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    let mut open: Option<CodeBlock> = None;
    for block in code_blocks(document) {
        match block.words()[..] {
            ["json", "command" | "error-example", ..] => {
                ensure!(
                    open.is_none(),
                    "line {}: an example without an answer stands before it",
                    block.line
                );
                open = Some(block);
            }
            ["json", "reply" | "server", ..] => {
                // Frames of the server also stand alone, to be read.
                if let Some(asked) = open.take() {
                    examples.push(Example {
                        asked,
                        answered: block,
                    });
                } else {
                    ensure!(
                        block.words()[1] == "server",
                        "line {}: a reply without a command",
                        block.line
                    );
                }
            }
            _ => {}
        }
    }
    ensure!(open.is_none(), "the last example has no answer");
    Ok(examples)
}

struct Reader {
    coordinator: String,
    follower: String,
    /// The ids in use, by those of the document.
    ids: HashMap<String, String>,
}

impl Reader {
    async fn check(&mut self, example: &Example) -> Result<()> {
        let asked: Value = serde_json::from_str(&example.asked.text).unwrap_or(Value::Null);
        let answered: Value =
            serde_json::from_str(&example.answered.text).context("the answer is not JSON")?;
        match (&example.asked.words()[1..], &example.answered.words()[1..]) {
            (["command"], ["reply"]) => {
                let (mut connection, hello) = Connection::greeted(&self.coordinator).await?;
                connection
                    .command(mint(hello.server_time_ms), example.asked.text.trim())
                    .await?;
                let result = match connection.receive().await? {
                    ServerFrame::Result(result) => result,
                    other => bail!("expected a result, not {}", other.to_json()),
                };
                compare(&answered, &serde_json::from_str(result.result.get())?, true)
            }
            (["error-example", to @ ..], ["server"]) => {
                let server = match to {
                    [] => self.coordinator.clone(),
                    ["follower"] => self.follower.clone(),
                    other => bail!("an error-example is for the coordinator or a follower, not {other:?}"),
                };
                let mut connection = if asked["type"] == "hello" {
                    Connection::open(&server).await?
                } else {
                    Connection::greeted(&server).await?.0
                };
                let keep = answered["code"] == "id_expired";
                let [asked, answered] = [&example.asked.text, &example.answered.text].map(|text| {
                    if keep {
                        text.clone()
                    } else {
                        self.with_new_ids(&asked, text)
                    }
                });
                connection.send_text(asked.trim()).await?;
                let frame = connection.receive().await?;
                compare(
                    &serde_json::from_str(&answered)?,
                    &serde_json::from_str(&frame.to_json())?,
                    false,
                )
            }
            (asked, answered) => bail!("{asked:?} is not followed by {answered:?}"),
        }
    }

    /// The text with a new id in place of that of this frame.
    fn with_new_ids(&mut self, frame: &Value, text: &str) -> String {
        let Some(id) = frame["id"].as_str() else {
            return text.to_owned();
        };
        let new = self
            .ids
            .entry(id.to_owned())
            .or_insert_with(|| mint(now_ms()).to_string());
        text.replace(id, new)
    }
}

/// Compares an answer with what the document says. `ordered`: the order of an object's fields counts, too.
fn compare(said: &Value, is: &Value, ordered: bool) -> Result<()> {
    ensure!(
        alike(said, is, ordered),
        "the document says\n  {said}\nand the answer is\n  {is}"
    );
    Ok(())
}

fn alike(said: &Value, is: &Value, ordered: bool) -> bool {
    match (said, is) {
        (Value::String(said), _) if said == "…" => true,
        (Value::String(said), Value::String(is)) => text_alike(said, is),
        (Value::Array(said), Value::Array(is)) => {
            said.len() == is.len() && said.iter().zip(is).all(|(said, is)| alike(said, is, ordered))
        }
        (Value::Object(said), Value::Object(is)) => {
            let in_order = !ordered || said.keys().eq(is.keys());
            let all = said.iter().all(|(field, said)| {
                is.get(field)
                    .is_some_and(|is| field == "epoch" || alike(said, is, ordered))
            });
            in_order && all && said.len() == is.len()
        }
        (said, is) => said == is,
    }
}

/// Whether the text is what the document says, where `…` is any text.
fn text_alike(said: &str, is: &str) -> bool {
    let Some((first, rest)) = said.split_once('…') else {
        return said == is;
    };
    let Some(mut is) = is.strip_prefix(first) else {
        return false;
    };
    let mut rest: Vec<&str> = rest.split('…').collect();
    let last = rest.pop().unwrap_or_default();
    for part in rest {
        match is.split_once(part) {
            Some((_, behind)) => is = behind,
            None => return false,
        }
    }
    is.ends_with(last)
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.ok()
        .and_then(|now| u64::try_from(now.as_millis()).ok())
        .unwrap_or_default()
}

#[test]
fn the_comparison_can_fail() {
    let json = |text| serde_json::from_str::<Value>(text).expect("JSON");
    let said = json(r#"{"a":1,"b":["…",{"m":"E11000 … index: …_ dup"}],"c":"…"}"#);
    let good = json(r#"{"a":1,"b":[7,{"m":"E11000 key index: x_ dup"}],"c":{}}"#);
    assert!(alike(&said, &good, true));
    for bad in [
        r#"{"a":2,"b":[7,{"m":"E11000 key index: x_ dup"}],"c":{}}"#,
        r#"{"a":1,"b":[7,{"m":"E11000 key index: x_ dupl"}],"c":{}}"#,
        r#"{"a":1,"b":[7,{"m":"E11000 key index x_ dup"}],"c":{}}"#,
        r#"{"a":1,"b":[7],"c":{}}"#,
        r#"{"a":1,"b":[7,{"m":"E11000 key index: x_ dup"}]}"#,
        r#"{"a":1,"b":[7,{"m":"E11000 key index: x_ dup"}],"c":{},"d":1}"#,
    ] {
        assert!(!alike(&said, &json(bad), true), "{bad}");
    }
    let other_order = json(r#"{"b":[7,{"m":"E11000 key index: x_ dup"}],"a":1,"c":{}}"#);
    assert!(alike(&said, &other_order, false) && !alike(&said, &other_order, true));
}
