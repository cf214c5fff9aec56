//! The commands of the clients and the answers, as written to disk: one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bellwether_client::{CommandId, Outcome};
use bellwether_protocol::ErrorCode;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of commands that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Reads, writes and compare-and-sets of one document each.
    Register,
    /// Appends to lists, and reads of them.
    Append,
    /// Inserts of unique ids, and reads of all.
    Set,
    /// Transfers between accounts as atomic lists, and reads of all accounts.
    Bank,
    /// The same command with the same id from two clients at once.
    Duplicates,
    /// `$inc`, and reads.
    Counter,
    /// Commands at fault, long reads and replies that are not UTF-8, in turns with those of the
    /// other clients; only if it is named.
    BadNeighbours,
}

impl Workload {
    /// Returns the workloads of a run that names none. Bad neighbours are not among them: they use
    /// time of MongoDB that faults and checkers need.
    pub fn usual() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|workload| *workload != Self::BadNeighbours).collect()
    }
}

/// One command of one client: a call and its outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The client, unique in the run.
    pub client: u32,
    /// Workload of the client.
    pub workload: Workload,
    /// The command's id, if it got one.
    pub id: Option<CommandId>,
    /// The operation, in the workload's own terms.
    pub asked: Value,
    /// Start of the call, in microseconds of the run's monotonic clock.
    pub began: u64,
    /// Time of the answer, in the same unit.
    pub ended: u64,
    /// Outcome of the command, as the client knows it.
    pub outcome: Outcome,
    /// Content of the answer in the workload's own terms, if the command was executed.
    pub told: Value,
    /// The reply to a command that writes, as received, if there was one.
    #[serde(default)]
    pub reply: Option<String>,
    /// The epoch of the execution.
    pub epoch: Option<u64>,
    /// `true` if the answer was the stored reply of an earlier attempt.
    pub replayed: bool,
    /// The server that answered.
    pub server: Option<String>,
    /// Reason why the command was not executed or its outcome is unknown, for people.
    pub failure: Option<String>,
    /// The servers that were sent the command, in order.
    #[serde(default)]
    pub tries: Vec<Tried>,
}

impl Entry {
    /// Returns a call from `times.0` to `times.1`, in microseconds, of which no more is known.
    pub fn new(client: u32, workload: Workload, times: (u64, u64), outcome: Outcome) -> Self {
        let (began, ended) = times;
        Self {
            client,
            workload,
            id: None,
            asked: Value::Null,
            began,
            ended,
            outcome,
            told: Value::Null,
            reply: None,
            epoch: None,
            replayed: false,
            server: None,
            failure: None,
            tries: Vec::new(),
        }
    }
}

/// A server that was sent a command, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The server's id.
    pub server: String,
    /// Outcome of the command in this attempt, as far as the client knows.
    pub outcome: Outcome,
    /// The error that the server answered with, if it did.
    #[serde(default)]
    pub error: Option<TriedError>,
}

/// An error that a server answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedError {
    /// Its code in the protocol.
    pub code: ErrorCode,
    /// MongoDB's code, if MongoDB refused the command.
    #[serde(default)]
    pub mongo: Option<i32>,
}

/// Number of calls that have ended so far, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Executed.
    pub executed: u64,
    /// Not executed.
    pub not_executed: u64,
    /// Unknown.
    pub unknown: u64,
}

/// The file that gets the clients' calls and answers. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Writer(Arc<Mutex<Written>>);

#[derive(Debug)]
struct Written {
    file: BufWriter<File>,
    told: Told,
    /// The first error of the disk, if there was one.
    failed: Option<std::io::Error>,
}

impl Writer {
    /// Makes the file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(Written {
            file: BufWriter::new(file),
            told: Told::default(),
            failed: None,
        }))))
    }

    /// Writes an entry. [`finish`](Self::finish) reports an error of the disk.
    pub fn write(&self, entry: &Entry) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entry.outcome {
            Outcome::Executed => written.told.executed += 1,
            Outcome::NotExecuted => written.told.not_executed += 1,
            Outcome::Unknown => written.told.unknown += 1,
        }
        if let Err(error) = line(&mut written.file, entry) {
            written.failed.get_or_insert(error);
        }
    }

    /// Returns the number of entries until now, by outcome.
    pub fn told(&self) -> Told {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).told
    }

    /// Brings everything to the file.
    ///
    /// # Errors
    /// If an entry could not be written: the history is then not complete.
    pub fn finish(&self) -> Result<Told> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = written.failed.take() {
            return Err(error).context("writing the history");
        }
        written.file.flush().context("writing the history")?;
        Ok(written.told)
    }
}

/// Writes one JSON object as a line.
pub(crate) fn line(file: &mut impl Write, object: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, object)?;
    file.write_all(b"\n")
}

/// Reads a file of one JSON object a line.
pub(crate) fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut objects = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let object = serde_json::from_str(&line?)
            .with_context(|| format!("line {} of {} cannot be read", number + 1, path.display()))?;
        objects.push(object);
    }
    Ok(objects)
}

/// Reads a history from disk.
///
/// # Errors
/// If the file cannot be read, with the line.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    lines(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_torn_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let writer = Writer::create(&path).unwrap();
        let entry = Entry {
            id: Some("01a202eb-d594-7f1c-81ad-fe9a6f53dd9f".parse().unwrap()),
            asked: json!({"do": "append"}),
            failure: Some("cut".into()),
            tries: vec![Tried {
                server: "s1".into(),
                outcome: Outcome::Unknown,
                error: Some(TriedError {
                    code: ErrorCode::Mongo,
                    mongo: Some(11_000),
                }),
            }],
            ..Entry::new(3, Workload::Append, (1, 2), Outcome::Unknown)
        };
        writer.write(&entry);
        writer.clone().write(&entry);
        assert_eq!(writer.finish().unwrap().unknown, 2);
        let again = read(&path).unwrap();
        assert_eq!(again.len(), 2);
        assert_eq!(format!("{:?}", again[1]), format!("{entry:?}"));

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("line 2"), "{error}");
    }
}
