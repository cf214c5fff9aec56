//! The replica set and the servers that all rows share.

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::ServerFrame;
use bellwether_testkit::{Agreement, Cluster, ClusterOptions, FailPoint, ReplicaSet, Stage, unless_stalled};
use bson::{Bson, Document};
use tempfile::TempDir;

use crate::caller::{Caller, Spot};
use crate::innocents::Innocents;
use crate::row::{BAD, Expected, Injected, Neighbour, Row};

/// Cycles that each innocent finishes after the neighbour has begun, at least.
const CYCLES: usize = 1;

#[derive(Default)]
pub(crate) struct Field {
    /// The fixture that rows with innocents share, from the first to the last of them.
    shared: Option<Shared>,
}

/// A replica set and servers in front of it.
struct Shared {
    // Dropped in this order.
    cluster: Cluster,
    set: ReplicaSet,
    rows: usize,
    _logs: TempDir,
    _www: TempDir,
}

impl Stage<Row> for Field {
    async fn start() -> Result<Self> {
        Ok(Self::default())
    }

    async fn play(&mut self, row: Row) -> Result<()> {
        if let Neighbour::Alone(alone) = &row.neighbour {
            // There is room for one replica set at a time.
            self.shared = None;
            return unless_stalled(alone).await;
        }
        let shared = match &mut self.shared {
            Some(shared) => shared,
            none => none.insert(Shared::start().await?),
        };
        // A machine that stands still for longer than the servers' timeout elects another
        // coordinator.
        unless_stalled(async || shared.beside_innocents(&row).await).await
    }

    async fn end(self) -> Result<()> {
        Ok(())
    }
}

impl Shared {
    async fn start() -> Result<Self> {
        let set = ReplicaSet::start(3).await?;
        let logs = TempDir::with_prefix("bellwether-logs-")?;
        let www = page()?;
        let cluster = Cluster::start_with(ClusterOptions {
            logs: Some(logs.path().to_path_buf()),
            www: Some(www.path().to_path_buf()),
            // A busy machine should cause no election; a runtime that a client blocks for seconds
            // should cause one.
            args: ["--allow-schema", "--timeout-ms", "2000"]
                .map(Into::into)
                .to_vec(),
            ..ClusterOptions::new(set.uri())
        })
        .await?;
        let app = set.client().database("app");
        for collection in Innocents::collections() {
            app.create_collection(collection).await?;
        }
        Ok(Self {
            cluster,
            set,
            rows: 0,
            _logs: logs,
            _www: www,
        })
    }

    async fn beside_innocents(&mut self, row: &Row) -> Result<()> {
        self.rows += 1;
        let before = self.cluster.all_agree().await.context("before the row")?;
        let logged = self.errors();
        let coordinator = &self.cluster.servers[before.coordinator];
        let spot = Spot {
            url: coordinator.url(),
            port: coordinator.port,
            collection: format!("bad_{}", self.rows),
            mongodb: self.set.client().clone(),
        };
        prepare(&spot, row).await.context("preparing the row")?;

        let innocents = Innocents::start(&spot, self.rows).await?;
        let played = play(&spot, row, &innocents).await;
        let finished = innocents.finish(&spot.mongodb).await;
        let quiet = self.is_quiet(before, logged).await;
        let complaints: Vec<String> = [
            finished.context("the innocents"),
            played.context("the neighbour"),
            quiet.context("the servers"),
        ]
        .into_iter()
        .filter_map(|result| Some(format!("{:#}", result.err()?)))
        .collect();
        if complaints.is_empty() {
            return Ok(());
        }
        bail!(complaints.join("\n"))
    }

    /// Returns the lines of the servers' logs with ERROR.
    fn errors(&self) -> Vec<String> {
        let texts = self.cluster.servers.iter().map(|server| {
            let text = server.process.log_text();
            let errors = text.lines().filter(|line| line.contains(" ERROR "));
            errors
                .map(|line| format!("{}: {line}", server.id))
                .collect::<Vec<_>>()
        });
        texts.flatten().collect()
    }

    /// Checks that no other coordinator was elected, and that no server has logged an error.
    async fn is_quiet(&mut self, before: Agreement, logged: Vec<String>) -> Result<()> {
        let after = self.cluster.agreement().await?;
        ensure!(after == before, "{before:?} has become {after:?}");
        let new: Vec<String> = self
            .errors()
            .into_iter()
            .filter(|line| !logged.contains(line))
            .collect();
        ensure!(new.is_empty(), "logged: {new:#?}");
        Ok(())
    }
}

/// Makes a page with a file that is worth compressing.
fn page() -> Result<TempDir> {
    let www = TempDir::with_prefix("bellwether-www-")?;
    std::fs::write(
        www.path().join("index.html"),
        "<!doctype html><title>Page</title>",
    )?;
    // Text of which gzip makes about half, so that the compression takes time.
    let letters: Vec<u8> = (0..3_000_000_u32)
        .map(|index| b'a' + (index.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)
        .collect();
    std::fs::write(www.path().join("large.wasm"), letters)?;
    Ok(www)
}

/// Makes the row's own collection, and everything else that it needs.
async fn prepare(spot: &Spot, row: &Row) -> Result<()> {
    let app = spot.mongodb.database("app");
    let makes_it = |command: &String| command.contains(r#""create":"BAD""#);
    if !row.before.iter().any(makes_it) {
        app.create_collection(&spot.collection).await?;
    }
    for command in &row.before {
        let command: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&spot.own(command))?;
        app.run_command(Document::try_from(command)?).await?;
    }
    // One after the other: some are as large as a message may be.
    for document in &row.documents {
        let collection = app.collection::<Document>(&spot.collection);
        collection.insert_one(document).await?;
    }
    Ok(())
}

async fn play(spot: &Spot, row: &Row, innocents: &Innocents) -> Result<()> {
    // All of them are at work before it begins.
    innocents.go_on(1).await?;
    let injected = match &row.injected {
        Some(injected) => Some(inject(spot, injected).await?),
        None => None,
    };
    let done = async {
        match &row.neighbour {
            Neighbour::Commands(commands) => {
                for _ in 0..row.rounds {
                    send_together(spot, commands).await?;
                }
                Ok(())
            }
            Neighbour::Program(program) => program(spot.clone()).await,
            Neighbour::Alone(_) => Ok(()),
        }
    };
    let done = done.await;
    let went_on = innocents.go_on(CYCLES).await;
    if let Some(injected) = injected {
        let entered = injected.entered().await;
        injected.off().await?;
        entered.context("nothing was injected")?;
    }
    done.and(went_on)
}

async fn inject(spot: &Spot, injected: &Injected) -> Result<FailPoint> {
    let mut data = injected.data.clone();
    if let Some(Bson::String(namespace)) = data.get_mut("namespace") {
        *namespace = spot.own(namespace);
    }
    match injected.times {
        Some(times) => FailPoint::times(&spot.mongodb, "failCommand", times, data).await,
        None => FailPoint::on(&spot.mongodb, "failCommand", data).await,
    }
}

/// Sends the commands over a connection of their own, and compares the answers.
async fn send_together(spot: &Spot, commands: &[(String, Expected)]) -> Result<()> {
    let mut caller = Caller::open(&spot.url).await?;
    let mut ids = Vec::new();
    for (command, _) in commands {
        ids.push(caller.send(&spot.own(command), None).await?);
    }
    let mut complaints = Vec::new();
    for (id, (command, expected)) in ids.into_iter().zip(commands) {
        let answer: ServerFrame = caller.answer(id).await?;
        if let Some(complaint) = expected.complaint(&answer) {
            complaints.push(format!("{command:.120}: {complaint}"));
        }
    }
    ensure!(
        complaints.is_empty(),
        "{} of {} answers are wrong: {complaints:#?}",
        complaints.len(),
        commands.len()
    );
    Ok(())
}

impl Spot {
    /// Returns the text with the name of the row's own collection.
    pub(crate) fn own(&self, text: &str) -> String {
        text.replace(BAD, &self.collection)
    }
}
