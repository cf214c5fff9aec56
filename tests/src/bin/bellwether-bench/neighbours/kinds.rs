use std::time::Duration;

use anyhow::Result;
use bellwether_protocol::MAX_MESSAGE_BYTES;
use bson::{Document, doc};
use mongodb::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::innocents::ask;
use crate::kept_open::KeptOpen;
use bellwether_testkit::{Connection, mint};

/// The requested file of the page.
pub(super) const LARGE_FILE: &str = "large.wasm";

/// Pause after a failure, before the next attempt.
const PAUSE: Duration = Duration::from_millis(20);

/// Aggregates that take longer than they may.
const SLOW: &str = r#"{"aggregate":"bad","pipeline":[{"$set":{"x":{"$range":[0,30000]}}},{"$unwind":"$x"},{"$set":{"y":{"$range":[0,30000]}}},{"$unwind":"$y"},{"$count":"n"}],"maxTimeMS":5000}"#;

/// Number of slow reads in progress on one connection.
const SLOW_READS: usize = 32;

/// The cluster that a neighbour works on.
pub(super) struct Place {
    /// The coordinator's port for clients.
    pub(super) port: u16,
    pub(super) mongodb: Client,
}

/// A kind of neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    DuplicateKey,
    CommitFailure,
    LargeReplies,
    RefusedMebibytes,
    Compressed,
    SlowReads,
    Conflicts,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::DuplicateKey,
        Self::CommitFailure,
        Self::LargeReplies,
        Self::RefusedMebibytes,
        Self::Compressed,
        Self::SlowReads,
        Self::Conflicts,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DuplicateKey => "a duplicate key on 100 characters that are not ASCII, again and again",
            Self::CommitFailure => "an upsert with an `_id` of 3 MB, which fails at the commit",
            Self::LargeReplies => "8 connections that read 340 000 int32 (4.5 MB of BSON)",
            Self::RefusedMebibytes => "4 connections that send 1 MiB of `{}`, which is refused",
            Self::Compressed => "16 connections that get a file of 3 MB with gzip",
            Self::SlowReads => "32 reads of 5 s at a time on one connection",
            Self::Conflicts => "an update of a document that 4 other programs write to",
        }
    }

    /// Begins. It goes on until the returned value is dropped.
    pub(super) fn begin(self, place: &Place) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        let port = place.port;
        let mut commands = |count: usize, command: String| {
            for _ in 0..count {
                let command = command.clone();
                clients.spawn(async move { send_again_and_again(port, &command).await });
            }
        };
        match self {
            Self::DuplicateKey => commands(
                1,
                format!(r#"{{"insert":"bad","documents":[{{"t":"{}"}}]}}"#, text()),
            ),
            Self::CommitFailure => commands(1, large_id()),
            Self::LargeReplies => commands(
                8,
                r#"{"aggregate":"bad","pipeline":[{"$project":{"x":{"$range":[0,340000]}}}]}"#.to_owned(),
            ),
            Self::RefusedMebibytes => commands(4, mebibyte()),
            Self::Compressed => {
                for _ in 0..16 {
                    clients.spawn(async move {
                        loop {
                            if fetch(port).await.is_err() {
                                sleep(PAUSE).await;
                            }
                        }
                    });
                }
            }
            Self::SlowReads => {
                clients.spawn(async move {
                    loop {
                        let _ = slow_reads(port).await;
                        sleep(PAUSE).await;
                    }
                });
            }
            Self::Conflicts => {
                commands(
                    1,
                    r#"{"update":"bad","updates":[{"q":{"_id":1},"u":{"$inc":{"mine":1}}}]}"#.to_owned(),
                );
                for _ in 0..4 {
                    let bad = place.mongodb.database("app").collection::<Document>("bad");
                    clients.spawn(async move {
                        loop {
                            let increment = bad.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } });
                            if increment.await.is_err() {
                                sleep(PAUSE).await;
                            }
                        }
                    });
                }
            }
        }
        clients
    }
}

/// Returns a text of which MongoDB cuts a character in two when it quotes the text.
pub(super) fn text() -> String {
    format!("x{}", "é".repeat(100))
}

/// Its statement passes; the transaction is then too large to be committed.
fn large_id() -> String {
    r#"{"update":"bad","updates":[{"q":{"n":-5},"u":[{"$set":{"t":{"$reduce":{"input":{"$range":[0,20]},"initialValue":"x","in":{"$concat":["$$value","$$value"]}}}}},{"$replaceWith":{"_id":{"$concat":["$t","$t","$t"]},"x":["$t","$t","$t","$t","$t","$t","$t","$t","$t","$t","$t","$t"]}}],"upsert":true}]}"#.to_owned()
}

fn mebibyte() -> String {
    let documents = vec!["{}"; (MAX_MESSAGE_BYTES - 500) / 3].join(",");
    format!(r#"{{"shutdown":1,"filter":[{documents}]}}"#)
}

async fn send_again_and_again(port: u16, command: &str) {
    loop {
        if let Ok(mut connection) = KeptOpen::open(port).await {
            // Refused or executed: it goes on.
            while ask(&mut connection, command, None).await.is_ok() {}
        }
        sleep(PAUSE).await;
    }
}

async fn fetch(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request =
        format!("GET /{LARGE_FILE} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

/// Keeps [`SLOW_READS`] reads in progress.
async fn slow_reads(port: u16) -> Result<()> {
    let (mut connection, hello) = Connection::greeted(&format!("ws://127.0.0.1:{port}/v1")).await?;
    for _ in 0..SLOW_READS {
        connection.command(mint(hello.server_time_ms), SLOW).await?;
    }
    loop {
        connection.receive().await?;
        connection.command(mint(hello.server_time_ms), SLOW).await?;
    }
}
