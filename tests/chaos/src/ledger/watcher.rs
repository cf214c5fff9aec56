use core::time::Duration;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use bson::{Document, Timestamp, doc};
use futures_util::StreamExt;
use mongodb::Collection;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::event::changed;
use super::{Fence, Ledger, Line, ledger, snapshot};
use crate::history::line;

/// Time limit for the watcher to read all changes up to the end of the run.
const CATCHING_UP: Duration = Duration::from_secs(30);
/// Time without a change after which the watcher ends, if all expected changes have come.
const SILENCE: Duration = Duration::from_secs(1);
/// MongoDB's error code if the oplog no longer has the changes from the requested time on.
const HISTORY_LOST: i32 = 286;

/// Watches the ledger and writes its history to a file.
#[derive(Debug)]
pub struct Watcher {
    client: mongodb::Client,
    target: watch::Sender<Option<Target>>,
    task: JoinHandle<Result<Ledger>>,
}

/// The epoch and the count of the fence that the watcher must reach.
type Target = (u64, i64);

impl Watcher {
    /// Begins to watch. Start it before the first server starts: earlier changes are not in the
    /// history.
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
            seen: HashSet::new(),
        };
        let from = watching.begin().await?;
        let task = tokio::spawn(watching.watch(from, targets));
        let client = client.clone();
        Ok(Self { client, target, task })
    }

    /// Waits until all present changes have been seen, and returns the whole history, which is also
    /// on disk then.
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
    /// The events so far. When the driver (3.9) resumes a stream by itself, it may need a second
    /// try. At the second try it forgets its position in the stream. Then everything since the
    /// stream was opened comes again.
    seen: HashSet<String>,
}

/// From where on to watch.
enum From {
    Time(Timestamp),
    Token(ResumeToken),
}

impl Watching {
    /// Notes the present fence, and returns the place in the stream from which on changes are not
    /// in it.
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
        let token = event.get_document("_id").and_then(|id| id.get_str("_data"));
        let token = token.context("an event without its resume token")?;
        if !self.seen.insert(token.to_owned()) {
            return Ok(());
        }
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

fn is_lost(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, mongodb::error::ErrorKind::Command(refused) if refused.code == HISTORY_LOST)
}
