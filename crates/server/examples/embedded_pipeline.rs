//! The pipeline inside a program of its own: no election, no WebSocket, no other servers.
//!
//! ```sh
//! cargo run -p bellwether-server --example embedded_pipeline -- 'mongodb://m1,m2,m3/?replicaSet=rs0'
//! ```
//!
//! It works in the database `embedded`. You can run it as often as you like, also twice at a time.
//! The program that claimed the last epoch may commit, and the other one is fenced.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellwether_server::protocol::{CommandId, CommandResult, ErrorCode, ErrorFrame, RawJson};
use bellwether_server::{AllowedCommands, Database, Fence, ParsedCommand, Pipeline, Settings, SourceId};
use bson::{Bson, Document, doc};
use tokio::time::{Instant, timeout};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let uri = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "mongodb://127.0.0.1:27017/?replicaSet=rs0".to_owned());
    let database = Database::connect(&uri, "embedded").await?;
    // It connects in the background, and again whenever it has to.
    let mut health = database.health();
    let available = health.wait_for(|health| health.available);
    timeout(Duration::from_secs(30), available).await??;

    let fence = Fence::new(database.clone());
    let pipeline = Pipeline::start(database, fence.clone(), Settings::default());

    // From here on no program can commit under an earlier epoch.
    let epoch = fence.claim("embedded_pipeline", "1").await?;
    pipeline.lead(epoch).await?;
    println!("Leading in epoch {epoch}.");

    let insert = doc! { "insert": "orders", "documents": [{ "item": "tea", "pieces": 2 }] };
    let id = mint()?;
    let inserted = execute(&pipeline, id, &insert).await?;
    println!("Inserted: {}", inserted.result);
    // The same command under the same id, as from a client that did not get the answer, is not
    // executed again.
    let again = execute(&pipeline, id, &insert).await?;
    println!("Again, replayed ({}): {}", again.replayed, again.result);
    // A program can ask for the outcome without a second execution.
    let outcome_result = pipeline.outcome(SourceId::new(), id, in_a_while())?.await??;
    println!(
        "What became of it: {}, in epoch {:?}",
        outcome_result.outcome, outcome_result.epoch
    );
    let count = doc! { "count": "orders", "query": { "item": "tea" } };
    println!("Counted: {}", execute(&pipeline, mint()?, &count).await?.result);

    // Another program claims the next epoch: this one cannot commit any more, and gets an error
    // that says so.
    let another = Fence::new(Database::connect(&uri, "embedded").await?);
    let later = another.claim("another program", "2").await?;
    let refused = execute(&pipeline, mint()?, &insert).await.err();
    match refused
        .as_ref()
        .and_then(|error| error.downcast_ref::<ErrorFrame>())
    {
        Some(frame) if frame.code == ErrorCode::Fenced => {
            println!("Fenced by epoch {later}; the command: {}", frame.outcome);
        }
        _ => return Err(format!("epoch {epoch} should be fenced: {refused:?}").into()),
    }

    // Finishes the batch in progress and answers the commands that wait.
    pipeline.retire().await;
    println!("Retired.");
    Ok(())
}

/// Submits one command and waits for its answer.
async fn execute(
    pipeline: &Pipeline,
    id: CommandId,
    command: &Document,
) -> Result<CommandResult, Box<dyn Error>> {
    let text = Bson::from(command.clone()).into_canonical_extjson();
    let text = RawJson::object(&text.to_string())?;
    let command = ParsedCommand::parse(&text, &AllowedCommands::default())?;
    // A source is served in turn with all others. A program that serves several clients gives each
    // its own.
    let answer = pipeline.submit(SourceId::new(), id, command, in_a_while())?;
    // If there is no answer at all, the outcome of the command is unknown: ask again under the same
    // id.
    Ok(answer.await??)
}

/// An id is a UUIDv7: when it was made, and chance.
fn mint() -> Result<CommandId, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(CommandId::mint(now, rand::random()))
}

fn in_a_while() -> Instant {
    Instant::now() + Duration::from_secs(10)
}
