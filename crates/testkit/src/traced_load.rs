use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, Executed, Failure, OneShot, Outcome};
use bellwether_protocol::{CommandId, CommandResult, ServerFrame};
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::journal::Journal;
use crate::load::one_shot;

/// The collection of the inserted documents, in the database `app`.
pub const INSERTS: &str = "inserts";
/// The collection of the updated documents, in the database `app`.
pub const UPDATES: &str = "updates";

/// Highest number of keys in one updated document, so that none grows large.
const KEYS_IN_A_DOCUMENT: usize = 200;

/// Number of repeats that are sent before the first answer is awaited.
const REPEATS_AT_ONCE: usize = 32;

/// Several clients that insert, update, and do both in one list, in turn, each command a one-shot
/// of its own.
///
/// Every command leaves a key of its own in the data each time it is executed. For this reason an
/// insert has no `_id`, and an update counts and appends. A list leaves the key twice. Each command
/// is recorded with its phases, see [`next_phase`](Self::next_phase).
#[derive(Debug)]
pub struct TracedLoad {
    name: String,
    stop: Arc<AtomicBool>,
    phase: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<Vec<Sent>>>>,
}

/// A command and its outcome.
#[derive(Debug)]
struct Sent {
    key: String,
    command: String,
    /// Number of times that the key is in the data after one execution.
    effects: usize,
    began_in: usize,
    ended_in: usize,
    told: Result<Executed, Failure>,
}

/// The results of a [`TracedLoad`].
#[derive(Debug)]
pub struct TracedReport {
    name: String,
    sent: Vec<Sent>,
}

/// The errors of the commands that were in progress in one phase or several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Commands that had begun when a phase ended and had not ended.
    pub in_flight: usize,
    /// Of these, the commands with the outcome executed and the reply of an earlier attempt.
    pub replayed: usize,
    /// Outcome executed, and not or not wholly in the data.
    pub lost: usize,
    /// More in the data than one execution leaves.
    pub doubled: usize,
    /// Outcome not executed, and in the data.
    pub denied: usize,
    /// Outcome unknown.
    pub unknown: usize,
    /// Outcome not executed.
    pub refused: usize,
}

impl TracedLoad {
    /// Starts clients that all have this list of servers, in a database without the traces of
    /// another load.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start(servers: &[String], clients: usize) -> Result<Self> {
        Self::start_as("", &vec![servers.to_vec(); clients], &Journal::default())
    }

    /// Starts a client for each list of servers. Each notes its commands in the journal, under its
    /// place.
    ///
    /// The keys of a load begin with its name. So several loads can leave their traces in one
    /// database, one after the other, as long as no name is the beginning of another one.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start_as(name: &str, lists: &[Vec<String>], journal: &Journal) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let phase = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for (place, servers) in lists.iter().enumerate() {
            let client = Sender {
                load: name.to_owned(),
                place,
                one_shot: one_shot(servers)?,
                journal: journal.clone(),
            };
            let run = client.send_until(Arc::clone(&stop), Arc::clone(&phase));
            clients.push(tokio::spawn(run));
        }
        Ok(Self {
            name: name.to_owned(),
            stop,
            phase,
            clients,
        })
    }

    /// Ends a phase and returns its number; the first is 0.
    pub fn next_phase(&self) -> usize {
        self.phase.fetch_add(1, Ordering::SeqCst)
    }

    /// Lets every client finish its command in progress, and gathers the outcomes.
    ///
    /// # Errors
    /// If a client failed in a way that is none of the protocol's.
    pub async fn finish(self) -> Result<TracedReport> {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        for client in self.clients {
            sent.extend(client.await.context("a client panicked")??);
        }
        Ok(TracedReport {
            name: self.name,
            sent,
        })
    }
}

/// One of a load's clients.
struct Sender {
    load: String,
    place: usize,
    one_shot: OneShot<Native>,
    journal: Journal,
}

impl Sender {
    async fn send_until(self, stop: Arc<AtomicBool>, phase: Arc<AtomicUsize>) -> Result<Vec<Sent>> {
        let mut sent = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let (key, command, effects) = self.command(sent.len());
            let text: CommandText = command.parse()?;
            let began_in = phase.load(Ordering::SeqCst);
            let told = self.one_shot.execute(&text, |_| {}).await;
            let ended_in = phase.load(Ordering::SeqCst);
            match &told {
                Ok(executed) => self.journal.executed(self.place, Instant::now(), executed.epoch),
                Err(failure) => self.journal.failed(format!("{failure} {:?}", failure.attempts)),
            }
            sent.push(Sent {
                key,
                command,
                effects,
                began_in,
                ended_in,
                told,
            });
        }
        Ok(sent)
    }

    /// Its command with this number: the key, the command, and how often the key is in the data
    /// after one execution.
    fn command(&self, n: usize) -> (String, String, usize) {
        let Self { load, place, .. } = self;
        let key = format!("{load}{place}-{n:06}");
        let document = format!("{load}{place}-{}", n / KEYS_IN_A_DOCUMENT);
        let insert = format!(r#"{{"insert":"{INSERTS}","documents":[{{"key":"{key}"}}]}}"#);
        let update = format!(
            r#"{{"update":"{UPDATES}","updates":[{{"q":{{"_id":"{document}"}},"u":{{"$inc":{{"n":1}},"$push":{{"keys":"{key}"}}}},"upsert":true}}]}}"#
        );
        match n % 3 {
            0 => (key, insert, 1),
            1 => (key, update, 1),
            _ => (key, format!(r#"{{"transaction":[{insert},{update}]}}"#), 2),
        }
    }
}

impl Sent {
    fn outcome(&self) -> Outcome {
        match &self.told {
            Ok(_) => Outcome::Executed,
            Err(failure) => failure.outcome,
        }
    }

    fn id(&self) -> Option<CommandId> {
        match &self.told {
            Ok(executed) => Some(executed.id),
            Err(failure) => failure.id,
        }
    }

    /// Returns the phases at whose ends the command was in progress.
    fn phases_cut(&self) -> std::ops::Range<usize> {
        self.began_in..self.ended_in
    }
}

impl TracedReport {
    /// Returns the number of sent commands.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Returns the number of acknowledged commands.
    pub fn executed(&self) -> usize {
        self.sent.iter().filter(|sent| sent.told.is_ok()).count()
    }

    /// Compares the data with the commands that were in progress when one of these phases ended.
    pub fn tally(&self, effects: &Effects, phases: &[usize]) -> Tally {
        let cut = self
            .sent
            .iter()
            .filter(|sent| sent.phases_cut().any(|phase| phases.contains(&phase)));
        tally(cut, effects)
    }

    /// Compares the data with all commands.
    pub fn tally_all(&self, effects: &Effects) -> Tally {
        tally(self.sent.iter(), effects)
    }

    /// Fails if an outcome contradicts the data: executed means once, not executed means not at
    /// all, unknown means once or not at all. Also fails unless each client's updates took place in
    /// the order in which it sent them.
    ///
    /// # Errors
    /// If so; the error names the first such command.
    pub fn check(&self, effects: &Effects) -> Result<()> {
        for sent in &self.sent {
            let count = effects.of(&sent.key);
            let right = match sent.outcome() {
                Outcome::Executed => count == sent.effects,
                Outcome::NotExecuted => count == 0,
                Outcome::Unknown => count == 0 || count == sent.effects,
            };
            ensure!(
                right,
                "the client of {} was told {}, and of {} effects {count} are there: {:?}",
                sent.key,
                sent.outcome(),
                sent.effects,
                sent.told
            );
        }
        effects.check_order()?;
        let known: usize = self.sent.iter().map(|sent| effects.of(&sent.key)).sum();
        ensure!(
            known == effects.all_of(&self.name),
            "{} effects in the data, and {known} of commands that were sent",
            effects.all_of(&self.name)
        );
        Ok(())
    }

    /// Fails if a command has not had its effects once, now that every one of them was
    /// [repeated](Self::repeat_all).
    ///
    /// # Errors
    /// If so; the error names the first such command.
    pub fn check_repeated(&self, effects: &Effects) -> Result<()> {
        for sent in self.sent.iter().filter(|sent| sent.id().is_some()) {
            let count = effects.of(&sent.key);
            ensure!(
                count == sent.effects,
                "{} was repeated, and of {} effects {count} are there: {:?}",
                sent.key,
                sent.effects,
                sent.told
            );
        }
        Ok(())
    }

    /// Sends every command again, with its id, to this server, which must be the coordinator. An
    /// executed command must get the same reply, as a replay. A command that was not executed is
    /// executed now, at the latest.
    ///
    /// # Errors
    /// If one is answered otherwise.
    pub async fn repeat_all(&self, server: &str) -> Result<()> {
        let (mut connection, _) = Connection::greeted(server).await?;
        let with_ids: Vec<(CommandId, &Sent)> = self
            .sent
            .iter()
            .filter_map(|sent| Some((sent.id()?, sent)))
            .collect();
        for some in with_ids.chunks(REPEATS_AT_ONCE) {
            let mut waiting: HashMap<CommandId, &Sent> = HashMap::new();
            for (id, sent) in some {
                connection.command(*id, &sent.command).await?;
                waiting.insert(*id, sent);
            }
            while !waiting.is_empty() {
                let again = match connection.receive().await? {
                    ServerFrame::Result(result) => result,
                    other => bail!("a repeat is answered with {other:?}"),
                };
                let sent = waiting.remove(&again.id).context("an answer nobody waits for")?;
                check_repeat(sent, &again)?;
            }
        }
        Ok(())
    }
}

fn check_repeat(sent: &Sent, again: &CommandResult) -> Result<()> {
    let Ok(first) = &sent.told else { return Ok(()) };
    ensure!(
        again.replayed && again.epoch == first.epoch && again.result.as_str() == first.result.as_str(),
        "{} was answered {first:?}, and its repeat {again:?}",
        sent.key
    );
    Ok(())
}

fn tally<'a>(commands: impl Iterator<Item = &'a Sent>, effects: &Effects) -> Tally {
    let mut tally = Tally::default();
    for sent in commands {
        let count = effects.of(&sent.key);
        let outcome = sent.outcome();
        tally.in_flight += 1;
        tally.replayed += usize::from(sent.told.as_ref().is_ok_and(|executed| executed.replayed));
        tally.lost += usize::from(outcome == Outcome::Executed && count < sent.effects);
        tally.doubled += usize::from(count > sent.effects);
        tally.denied += usize::from(outcome == Outcome::NotExecuted && count > 0);
        tally.unknown += usize::from(outcome == Outcome::Unknown);
        tally.refused += usize::from(outcome == Outcome::NotExecuted);
    }
    tally
}

/// The traces of a [`TracedLoad`] in the data.
#[derive(Debug)]
pub struct Effects {
    counts: HashMap<String, usize>,
    /// The keys of each updated document, in the order of their execution.
    updated: Vec<(String, Vec<String>)>,
}

impl Effects {
    /// Reads them, past all servers.
    ///
    /// # Errors
    /// If MongoDB cannot be read, or an updated document contradicts itself.
    pub async fn read(client: &Client) -> Result<Self> {
        let database = client.database("app");
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut inserted = database.collection::<Document>(INSERTS).find(doc! {}).await?;
        while let Some(document) = inserted.try_next().await? {
            *counts.entry(document.get_str("key")?.to_owned()).or_default() += 1;
        }
        let mut updated = Vec::new();
        let mut documents = database.collection::<Document>(UPDATES).find(doc! {}).await?;
        while let Some(document) = documents.try_next().await? {
            let keys: Vec<String> =
                bson::deserialize_from_bson(document.get("keys").cloned().unwrap_or_default())?;
            ensure!(
                usize::try_from(document.get_i32("n")?)? == keys.len(),
                "as many keys as were counted: {document}"
            );
            for key in &keys {
                *counts.entry(key.clone()).or_default() += 1;
            }
            updated.push((document.get_str("_id")?.to_owned(), keys));
        }
        Ok(Self { counts, updated })
    }

    fn of(&self, key: &str) -> usize {
        self.counts.get(key).copied().unwrap_or(0)
    }

    fn all_of(&self, load: &str) -> usize {
        let of_load = self.counts.iter().filter(|(key, _)| key.starts_with(load));
        of_load.map(|(_, count)| count).sum()
    }

    fn check_order(&self) -> Result<()> {
        for (id, keys) in &self.updated {
            ensure!(keys.is_sorted(), "the updates of {id} are out of order: {keys:?}");
        }
        Ok(())
    }
}
