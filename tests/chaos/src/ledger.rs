//! The history of the servers' ledger, the fence and the records of executed commands, as a majority of MongoDB has it:
//! watched while the run goes on, in the order of the commits, past all servers.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use bellwether_client::CommandId;
use bson::{Bson, Document, Timestamp, doc};
use futures_util::{StreamExt, TryStreamExt};
use mongodb::Collection;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use mongodb::options::ReadConcern;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::history::{line, lines};

const DATABASE: &str = "app_bellwether";
const COLLECTION: &str = "ledger";
const FENCE: &str = "fence";

/// How long the watcher may take to see what is there when the run has ended.
const CATCHING_UP: Duration = Duration::from_secs(30);
/// Nothing more comes if nothing came for this long after what had to come.
const SILENCE: Duration = Duration::from_secs(1);
/// MongoDB's error if what was to be watched is too long ago.
const HISTORY_LOST: i32 = 286;

/// What the ledger has gone through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Every change, in the order of the commits.
    pub lines: Vec<Line>,
}

/// A change of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Line {
    /// The fence when the watching began, or began anew.
    From {
        /// What it was, if there was one.
        fence: Option<Fence>,
    },
    /// An epoch was granted.
    Granted {
        /// The epoch.
        epoch: u64,
        /// The server it was granted to.
        holder: String,
        /// The number this server had drawn at its start.
        number: String,
        /// What the fence's count was set to, if it was set: by the first grant of all.
        seq: Option<i64>,
    },
    /// A transaction wrote the fence.
    Held {
        /// What the fence's count is from then on.
        seq: i64,
        /// Which transaction, if it was one.
        transaction: Option<String>,
    },
    /// Commands were recorded.
    Recorded {
        /// The epoch in the record.
        epoch: u64,
        /// The commands.
        ids: Vec<CommandId>,
        /// In which transaction, if it was one.
        transaction: Option<String>,
    },
    /// Something was deleted or replaced, which nobody does in the time of a run.
    Removed {
        /// What, for people.
        what: String,
    },
    /// Some of the history was not seen.
    Lost {
        /// Why, for people.
        why: String,
    },
}

/// The fence at some moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The newest epoch.
    pub epoch: u64,
    /// The server it was granted to.
    pub holder: String,
    /// The number this server had drawn at its start.
    pub number: String,
    /// How often the fence was written.
    pub seq: i64,
}

impl Ledger {
    /// Reads a history from disk.
    ///
    /// # Errors
    /// If the file cannot be read, with the line.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { lines: lines(path)? })
    }
}

/// Watches the ledger and writes its history to a file.
#[derive(Debug)]
pub struct Watcher {
    client: mongodb::Client,
    target: watch::Sender<Option<Target>>,
    task: JoinHandle<Result<Ledger>>,
}

/// What the watcher has to have seen.
type Target = (u64, i64);

impl Watcher {
    /// Begins to watch. Best before the first server starts: what was before is not in the history.
    ///
    /// # Errors
    /// If MongoDB cannot be read, or the file cannot be made.
    pub async fn start(client: &mongodb::Client, path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        let (target, targets) = watch::channel(None);
        let mut watching = Watching {
            collection: ledger(client),
            file: BufWriter::new(file),
            fence: None,
            ledger: Ledger::default(),
        };
        let from = watching.begin().await?;
        let task = tokio::spawn(watching.watch(from, targets));
        let client = client.clone();
        Ok(Self { client, target, task })
    }

    /// Waits until all that is there now has been seen, and gives the whole history, which is also on disk then.
    ///
    /// # Errors
    /// If MongoDB cannot be read, or the file cannot be written.
    pub async fn finish(self) -> Result<Ledger> {
        let (fence, _) = snapshot(&ledger(&self.client)).await?;
        let target = fence.map_or((0, 0), |fence| (fence.epoch, fence.seq));
        let _ = self.target.send(Some(target));
        self.task.await.context("the watcher of the ledger panicked")?
    }
}

struct Watching {
    collection: Collection<Document>,
    file: BufWriter<File>,
    fence: Option<Fence>,
    ledger: Ledger,
}

/// From where on to watch.
enum From {
    Time(Timestamp),
    Token(ResumeToken),
}

impl Watching {
    /// Notes the fence as it is, and says from where on changes are not in it.
    async fn begin(&mut self) -> Result<From> {
        let (fence, at) = snapshot(&self.collection).await?;
        self.fence = fence.clone();
        self.note(Line::From { fence })?;
        Ok(From::Time(Timestamp {
            time: at.time,
            increment: at.increment + 1,
        }))
    }

    async fn watch(mut self, mut from: From, mut target: watch::Receiver<Option<Target>>) -> Result<Ledger> {
        let mut give_up = None;
        let mut silent_since = Instant::now();
        let mut stream = None;
        loop {
            let wanted = *target.borrow_and_update();
            if let Some(wanted) = wanted {
                let give_up = *give_up.get_or_insert_with(|| {
                    silent_since = Instant::now();
                    Instant::now() + CATCHING_UP
                });
                let seen = self
                    .fence
                    .as_ref()
                    .map_or((0, 0), |fence| (fence.epoch, fence.seq));
                let all = seen >= wanted;
                if all && silent_since.elapsed() >= SILENCE {
                    break;
                }
                if Instant::now() >= give_up {
                    let why = format!(
                        "{wanted:?} was not seen in {} s, only {seen:?}",
                        CATCHING_UP.as_secs()
                    );
                    self.note(Line::Lost { why })?;
                    break;
                }
            }
            let open = match &mut stream {
                Some(open) => open,
                None => match self.open(&from).await {
                    Ok(open) => stream.insert(open),
                    Err(error) if is_lost(&error) => {
                        let why = format!("MongoDB does not have it any more: {error}");
                        self.note(Line::Lost { why })?;
                        match self.begin().await {
                            Ok(anew) => from = anew,
                            Err(_) => sleep(SILENCE).await,
                        }
                        continue;
                    }
                    Err(_) => {
                        sleep(SILENCE / 4).await;
                        continue;
                    }
                },
            };
            let look_up = Instant::now() + SILENCE / 4;
            let Ok(next) = timeout_at(look_up, open.next()).await else {
                continue;
            };
            if let Some(token) = open.resume_token() {
                from = From::Token(token);
            }
            match next {
                Some(Ok(event)) => {
                    silent_since = Instant::now();
                    self.event(&event)?;
                }
                Some(Err(_)) | None => stream = None,
            }
        }
        self.file.flush().context("writing the ledger's history")?;
        Ok(self.ledger)
    }

    async fn open(&self, from: &From) -> mongodb::error::Result<ChangeStream<Document>> {
        // The replies in the records would be most of it.
        let needed = doc! { "$project": {
            "operationType": 1, "documentKey": 1, "updateDescription": 1, "lsid": 1, "txnNumber": 1,
            "fullDocument.epoch": 1, "fullDocument.seq": 1, "fullDocument.holder": 1, "fullDocument.number": 1,
            "fullDocument.commands.id": 1,
        } };
        let watch = self
            .collection
            .watch()
            .pipeline([needed])
            .max_await_time(SILENCE / 4);
        let opened = match from {
            From::Time(time) => watch.start_at_operation_time(*time).await?,
            From::Token(token) => watch.resume_after(token.clone()).await?,
        };
        Ok(opened.with_type())
    }

    fn note(&mut self, noted: Line) -> Result<()> {
        line(&mut self.file, &noted).context("writing the ledger's history")?;
        self.ledger.lines.push(noted);
        Ok(())
    }

    fn event(&mut self, event: &Document) -> Result<()> {
        match changed(event, self.fence.as_ref()) {
            Ok(noted) => {
                match &noted {
                    Line::Granted {
                        epoch,
                        holder,
                        number,
                        seq,
                    } => {
                        let before = self.fence.as_ref().map(|fence| fence.seq);
                        self.fence = Some(Fence {
                            epoch: *epoch,
                            holder: holder.clone(),
                            number: number.clone(),
                            seq: seq.or(before).unwrap_or(0),
                        });
                    }
                    Line::Held { seq, .. } => {
                        if let Some(fence) = &mut self.fence {
                            fence.seq = *seq;
                        }
                    }
                    _ => {}
                }
                self.note(noted)
            }
            Err(error) => self.note(Line::Lost {
                why: format!("{error:#}"),
            }),
        }
    }
}

/// What an event of the change stream says.
fn changed(event: &Document, fence: Option<&Fence>) -> Result<Line> {
    let kind = event.get_str("operationType")?;
    let is_fence = event
        .get_document("documentKey")
        .is_ok_and(|key| key.get_str("_id").is_ok_and(|id| id == FENCE));
    let transaction = transaction(event);
    let changes = match kind {
        "insert" => event.get_document("fullDocument")?,
        "update" if is_fence => event
            .get_document("updateDescription")?
            .get_document("updatedFields")?,
        _ => {
            let key = event.get("documentKey");
            return Ok(Line::Removed {
                what: format!("{kind} of {}", key.map(ToString::to_string).unwrap_or_default()),
            });
        }
    };
    if !is_fence {
        return Ok(Line::Recorded {
            epoch: epoch(changes)?,
            ids: ids(changes)?,
            transaction,
        });
    }
    let seq = changes.get("seq").and_then(Bson::as_i64);
    if !changes.contains_key("epoch") {
        let seq = seq.with_context(|| format!("the fence was changed in an unknown way: {changes}"))?;
        return Ok(Line::Held { seq, transaction });
    }
    // Only what differs from before is in the event.
    let text = |field: &str, before: Option<&String>| {
        let now = changes.get_str(field).ok().map(str::to_owned);
        now.or_else(|| before.cloned()).unwrap_or_default()
    };
    Ok(Line::Granted {
        epoch: epoch(changes)?,
        holder: text("holder", fence.map(|fence| &fence.holder)),
        number: text("number", fence.map(|fence| &fence.number)),
        seq,
    })
}

/// The transaction of an event: its session and its number in it.
fn transaction(event: &Document) -> Option<String> {
    let session = event.get_document("lsid").ok()?.get("id")?;
    let number = event.get("txnNumber")?;
    Some(format!("{session} {number}"))
}

fn epoch(document: &Document) -> Result<u64> {
    let epoch = document.get("epoch").and_then(Bson::as_i64);
    epoch
        .and_then(|epoch| u64::try_from(epoch).ok())
        .with_context(|| format!("no epoch in {document}"))
}

fn ids(record: &Document) -> Result<Vec<CommandId>> {
    let ids = record.get_array("commands")?.iter().map(|command| {
        let id = command.as_document().and_then(|command| command.get("id"));
        let Some(Bson::Binary(binary)) = id else {
            bail!("no id in a record")
        };
        Ok(binary.to_uuid()?.to_string().parse::<CommandId>()?)
    });
    ids.collect()
}

fn ledger(client: &mongodb::Client) -> Collection<Document> {
    client.database(DATABASE).collection(COLLECTION)
}

/// The fence at one moment, and the moment.
async fn snapshot(ledger: &Collection<Document>) -> Result<(Option<Fence>, Timestamp)> {
    let database = ledger.client().database(DATABASE);
    let before = database.run_command(doc! { "ping": 1 }).await?;
    let find = doc! {
        "find": COLLECTION,
        "filter": { "_id": FENCE },
        "readConcern": { "level": "snapshot" },
    };
    let reply = database.run_command(find).await.context("reading the fence")?;
    let cursor = reply.get_document("cursor")?;
    let found = cursor
        .get_array("firstBatch")?
        .first()
        .and_then(Bson::as_document);
    let fence = found.map(|found| {
        Ok::<_, anyhow::Error>(Fence {
            epoch: epoch(found)?,
            holder: found.get_str("holder")?.to_owned(),
            number: found.get_str("number")?.to_owned(),
            seq: found.get_i64("seq")?,
        })
    });
    // Where there is no such collection yet, MongoDB does not say at what moment.
    let at = match cursor.get_timestamp("atClusterTime") {
        Ok(at) => at,
        Err(_) => before
            .get_timestamp("operationTime")
            .context("the time of a reply")?,
    };
    Ok((fence.transpose()?, at))
}

fn is_lost(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, mongodb::error::ErrorKind::Command(refused) if refused.code == HISTORY_LOST)
}

/// The records there are, with their epochs.
pub(crate) async fn records(client: &mongodb::Client) -> Result<BTreeMap<CommandId, u64>> {
    let mut found = ledger(client)
        .find(doc! { "commands": { "$exists": true } })
        .projection(doc! { "epoch": 1, "commands.id": 1 })
        .read_concern(ReadConcern::snapshot())
        .await
        .context("reading the records")?;
    let mut records = BTreeMap::new();
    while let Some(record) = found.try_next().await.context("reading the records")? {
        let epoch = epoch(&record)?;
        records.extend(ids(&record)?.into_iter().map(|id| (id, epoch)));
    }
    Ok(records)
}
