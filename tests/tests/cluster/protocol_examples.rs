//! Every worked example in `docs/protocol.md` is executed and has the documented answer.
//!
//! From top to bottom, on one database that is empty at first:
//! - a block `json command`, followed by one `json reply`: the command, and MongoDB's reply to it,
//!   to the letter;
//! - blocks `json error-example`, client's frames, followed by one `json server`: the answer to the
//!   last of them, in everything that is not text for people. The frames before it succeed. Those
//!   with the word `follower` are sent to a server that is not the coordinator. An id is exchanged
//!   for a new one, the same wherever it stands, unless the answer is that it has expired. `…` in
//!   an answer stands for any text, an `epoch` for any.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ErrorCode, ServerFrame};
use bellwether_server::CommandName;
use bellwether_testkit::{Cluster, ClusterOptions, CodeBlock, Connection, ReplicaSet, code_blocks, mint};
use serde_json::Value;

/// Errors that no frame causes: they depend on other events. Other tests see them.
const NOT_BY_A_FRAME: [ErrorCode; 8] = [
    ErrorCode::NoCoordinator,
    ErrorCode::Fenced,
    ErrorCode::Draining,
    ErrorCode::Overloaded,
    ErrorCode::DatabaseUnavailable,
    ErrorCode::Internal,
    ErrorCode::Unauthenticated,
    ErrorCode::Forbidden,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_it_says() -> Result<()> {
    let examples = examples()?;
    let set = ReplicaSet::start(3).await?;
    let mut options = ClusterOptions::steady(set.uri());
    options.servers = 2;
    options.numbers = vec![2, 1];
    options.args = vec!["--allow-schema".into()];
    let cluster = Cluster::start_with(options).await?;
    let servers = Servers {
        coordinator: cluster.servers[0].url(),
        follower: cluster.servers[1].url(),
    };
    let mut wrong = Vec::new();
    // The new ids, by those of the document.
    let mut ids = HashMap::new();
    for example in &examples {
        if let Err(error) = servers.check(example, &mut ids).await {
            wrong.push(format!("line {}: {error:#}", example.answered.line));
        }
    }
    println!("{} examples, {} of them wrong", examples.len(), wrong.len());
    ensure!(wrong.is_empty(), "docs/protocol.md:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_command_and_every_error_has_an_example() -> Result<()> {
    let mut commands = Vec::new();
    let mut codes = Vec::new();
    for example in examples()? {
        if let Some(code) = json(&example.answered)?["code"].as_str() {
            codes.push(code.to_owned());
        } else if let Value::Object(command) = json(&example.asked[0])? {
            commands.extend(command.keys().next().cloned());
        }
    }
    for name in CommandName::ALL
        .map(CommandName::as_str)
        .into_iter()
        .chain(["transaction"])
    {
        assert!(
            commands.iter().any(|command| command == name),
            "{name} has no worked example"
        );
    }
    for code in ErrorCode::ALL {
        let has_one = codes.iter().any(|other| other == code.as_str());
        assert!(
            has_one || NOT_BY_A_FRAME.contains(&code),
            "the error {code} has no example that is executed"
        );
    }
    Ok(())
}

/// Sent frames and their answer.
struct Example {
    /// The answer belongs to the last of these.
    asked: Vec<CodeBlock>,
    answered: CodeBlock,
}

fn examples() -> Result<Vec<Example>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let document = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut examples = Vec::new();
    let mut asked: Vec<CodeBlock> = Vec::new();
    for block in code_blocks(&document) {
        let line = block.line;
        match block.words()[..] {
            ["json", "command"] => {
                ensure!(
                    asked.is_empty(),
                    "line {line}: the example before it has no answer"
                );
                asked.push(block);
            }
            ["json", "error-example", ..] => asked.push(block),
            ["json", "reply"] => {
                ensure!(!asked.is_empty(), "line {line}: a reply without a command");
                examples.push(Example {
                    asked: std::mem::take(&mut asked),
                    answered: block,
                });
            }
            // Also on its own, to be read.
            ["json", "server"] if !asked.is_empty() => examples.push(Example {
                asked: std::mem::take(&mut asked),
                answered: block,
            }),
            _ => {}
        }
    }
    ensure!(asked.is_empty(), "the last example has no answer");
    Ok(examples)
}

fn json(block: &CodeBlock) -> Result<Value> {
    serde_json::from_str(&block.text).with_context(|| format!("line {}", block.line))
}

struct Servers {
    coordinator: String,
    follower: String,
}

impl Servers {
    async fn check(&self, example: &Example, ids: &mut HashMap<String, String>) -> Result<()> {
        if example.answered.words()[1] == "reply" {
            self.check_command(example).await
        } else {
            self.check_error(example, ids).await
        }
    }

    async fn check_command(&self, example: &Example) -> Result<()> {
        let [command] = &example.asked[..] else {
            bail!("a reply is to one command")
        };
        let (mut connection, hello) = Connection::greeted(&self.coordinator).await?;
        connection
            .command(mint(hello.server_time_ms), command.text.trim())
            .await?;
        let result = match connection.receive().await? {
            ServerFrame::Result(result) => result.result,
            other => bail!("it is answered by {}", other.to_json()),
        };
        // As texts, since the order of the fields counts.
        let [said, is] = [json(&example.answered)?, serde_json::from_str(result.as_str())?]
            .map(|it: Value| it.to_string());
        ensure!(
            said == is,
            "the document says\n  {said}\nand the reply is\n  {is}"
        );
        Ok(())
    }

    async fn check_error(&self, example: &Example, ids: &mut HashMap<String, String>) -> Result<()> {
        let said = json(&example.answered)?;
        let mut answer = None;
        for asked in &example.asked {
            if let Some(before) = answer.replace(self.send(asked, &said, ids).await?) {
                ensure!(
                    matches!(before, ServerFrame::Result(_)),
                    "a frame before it fails: {before:?}"
                );
            }
        }
        let mut is: Value = serde_json::from_str(&answer.context("nothing was asked")?.to_json())?;
        leave_out(&said, &mut is);
        let [said_plain, is_plain] = [without_text(said, ids), without_text(is, &HashMap::new())];
        ensure!(
            said_plain == is_plain,
            "the document says\n  {said_plain}\nand the answer is\n  {is_plain}"
        );
        Ok(())
    }

    async fn send(
        &self,
        asked: &CodeBlock,
        answer: &Value,
        ids: &mut HashMap<String, String>,
    ) -> Result<ServerFrame> {
        let server = match asked.words()[2..] {
            [] => &self.coordinator,
            ["follower"] => &self.follower,
            ref other => bail!("a frame is for the coordinator or a follower, not {other:?}"),
        };
        let frame = json(asked)?;
        let mut connection = Connection::open(server).await?;
        let mut text = asked.text.clone();
        if frame["type"] != "hello" {
            let (greeted, hello) = Connection::greeted(server).await?;
            connection = greeted;
            if let Some(id) = frame["id"].as_str().filter(|_| answer["code"] != "id_expired") {
                let new = ids.entry(id.to_owned());
                let new = new.or_insert_with(|| mint(hello.server_time_ms).to_string());
                text = text.replace(id, new);
            }
        }
        connection.send_text(text.trim()).await?;
        connection.receive().await
    }
}

/// Leaves out the parts that the document leaves out with `…`.
fn leave_out(said: &Value, is: &mut Value) {
    match (said, is) {
        (Value::String(said), is @ Value::String(_)) if said == "…" => *is = said.as_str().into(),
        (Value::Object(said), Value::Object(is)) => {
            for (field, is) in is.iter_mut() {
                if let Some(said) = said.get(field) {
                    leave_out(said, is);
                }
            }
        }
        _ => {}
    }
}

/// Returns a frame in which every text for people and every address is the same, and the ids are
/// those sent.
fn without_text(frame: Value, ids: &HashMap<String, String>) -> Value {
    let Value::Object(mut fields) = frame else {
        return frame;
    };
    for (field, value) in &mut fields {
        *value = match (field.as_str(), value.take()) {
            ("message" | "hint" | "url", Value::String(_)) => "a text".into(),
            ("epoch", Value::Number(_)) => "a number".into(),
            ("id", Value::String(id)) => ids.get(&id).cloned().unwrap_or(id).into(),
            (_, other) => without_text(other, ids),
        };
    }
    Value::Object(fields)
}

#[test]
fn the_comparison_can_fail() {
    let plain = |text: &str| without_text(serde_json::from_str(text).expect("JSON"), &HashMap::new());
    let said = plain(r#"{"type":"error","code":"mongo","message":"x","mongo":{"code":1,"message":"y"}}"#);
    let good = r#"{"type":"error","message":"xx","code":"mongo","mongo":{"code":1,"message":"yy"}}"#;
    assert_eq!(said, plain(good));
    for (is, other) in [
        (r#""mongo","#, r#""bad_command","#),
        (r#"{"code":1"#, r#"{"code":2"#),
        (r#""message":"xx","#, ""),
        (r#"{"type""#, r#"{"id":"1","type""#),
        (r#"{"code":1"#, r#"{"index":0,"code":1"#),
    ] {
        let bad = good.replacen(is, other, 1);
        assert_ne!(bad, good);
        assert_ne!(said, plain(&bad), "{bad}");
    }
}
