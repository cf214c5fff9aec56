use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bellwether_client::native::Native;
use bellwether_client::{
    AttemptEnd, CommandId, CommandText, Event, Executed, Failure, OneShot, Outcome, ServerList,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::asked::{Asked, Told, What};
use super::keys::Keys;
use super::{command, draw, told};
use crate::history::{Entry, Tried, TriedError, Workload, Writer};

/// Age of the ids that clients make themselves. A server's clock may be an hour slow; with this
/// age, no server rejects the ids as ids from the future.
const AGE_OF_IDS: Duration = Duration::from_secs(2 * 60 * 60);

/// A client: it sends one command after the other, and writes down each answer.
#[derive(Debug)]
pub struct Client {
    shared: Shared,
    one_shot: OneShot<Native>,
    keys: Arc<Keys>,
    role: Role,
    rng: SmallRng,
    tokens: u64,
    /// The newest value of each register that this client has seen or written.
    seen: HashMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) number: u32,
    pub(super) workload: Workload,
    pub(super) started: Instant,
    pub(super) history: Writer,
    /// Time from one call to the next, on average.
    pub(super) pace: Duration,
    pub(super) stopped: watch::Receiver<bool>,
    /// Says by its end that the client has ended.
    pub(super) _alive: mpsc::Sender<()>,
}

/// The part of a client in a pair, if it has one.
#[derive(Debug)]
pub(super) enum Role {
    Alone,
    /// It sends its commands at the same time as the other one.
    Leads(mpsc::Sender<(CommandId, Asked)>),
    /// It sends the other one's commands.
    Repeats(mpsc::Receiver<(CommandId, Asked)>),
}

impl Client {
    pub(super) fn new(shared: Shared, servers: ServerList, keys: Arc<Keys>, role: Role, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let deadline = Duration::from_millis(rng.random_range(3_000..8_000));
        let one_shot = OneShot::new(Native::new(), servers).deadline(deadline);
        // The two of a pair begin with different servers, and the coordinator is one of them now
        // and then.
        let one_shot = if matches!(role, Role::Alone) {
            one_shot.shuffled()
        } else {
            one_shot
        };
        Self {
            shared,
            one_shot,
            keys,
            role,
            rng,
            tokens: 0,
            seen: HashMap::new(),
        }
    }

    /// Sends commands until the load is stopped. It needs a tokio runtime of any kind, and can be
    /// dropped at any time: the call in progress is then written down as unknown.
    ///
    /// # Errors
    /// If its operation makes no valid command: a fault of the workload.
    pub async fn run(mut self) -> Result<()> {
        while let Some((id, asked)) = self.next().await {
            self.settle(id, &asked).await?;
        }
        Ok(())
    }

    /// Returns the next operation, with its id if that is given; nothing after the stop.
    async fn next(&mut self) -> Option<(Option<CommandId>, Asked)> {
        if let Role::Repeats(commands) = &mut self.role {
            let mut stopped = self.shared.stopped.clone();
            return tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => None,
                received = commands.recv() => received.map(|(id, asked)| (Some(id), asked)),
            };
        }
        if self.pause().await {
            return None;
        }
        let key = self.keys.draw(&mut self.rng);
        self.tokens += 1;
        let token = format!("{}-{}", self.shared.number, self.tokens);
        let seen = self.seen.get(&key).map(String::as_str);
        let asked = draw(self.shared.workload, &mut self.rng, key, token, seen);
        let Role::Leads(other) = &self.role else {
            return Some((None, asked));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = CommandId::mint(now.saturating_sub(AGE_OF_IDS), rand::random());
        // If the other one is behind, it misses this one.
        let _ = other.try_send((id, asked.clone()));
        Some((Some(id), asked))
    }

    /// Waits until it is time for the next call; returns `true` if it is time to stop instead.
    async fn pause(&mut self) -> bool {
        let pause = self.shared.pace.mul_f64(self.rng.random_range(0.5..1.5));
        let stopped = self.shared.stopped.wait_for(|stopped| *stopped);
        timeout(pause, stopped).await.is_ok()
    }

    /// Calls, and may call again with the same id, as most clients do. It usually calls again while
    /// the outcome is unknown, and sometimes if the command was not executed.
    async fn settle(&mut self, mut id: Option<CommandId>, asked: &Asked) -> Result<()> {
        loop {
            let entry = self.call(id, asked).await?;
            let again = match entry.outcome {
                Outcome::Executed => false,
                Outcome::Unknown => self.rng.random_bool(0.9),
                Outcome::NotExecuted => self.rng.random_bool(0.3),
            };
            id = entry.id;
            // A read that is sent again is another read.
            if !again || asked.token.is_none() || id.is_none() || self.pause().await {
                return Ok(());
            }
        }
    }

    async fn call(&mut self, id: Option<CommandId>, asked: &Asked) -> Result<Entry> {
        let text: CommandText = command(self.shared.workload, asked).parse()?;
        let one_shot = match id {
            Some(id) => self.one_shot.clone().ask_again(id),
            None => self.one_shot.clone(),
        };
        let mut open = OpenCall::new(&self.shared, id, asked)?;
        let answer = one_shot.execute(&text, |event| open.watch(&event)).await;
        let entry = match answer {
            Ok(executed) => {
                let told = told(self.shared.workload, asked, executed.result.as_str());
                self.remember(asked, &told);
                // Most clients stay with the server that answered, some try any server.
                if matches!(self.role, Role::Alone) && !self.shared.number.is_multiple_of(3) {
                    self.one_shot = self.one_shot.clone().first(executed.url.clone());
                }
                open.executed(&executed, &told)?
            }
            Err(failure) => open.failed(&failure),
        };
        Ok(entry)
    }

    /// Keeps the value of a register for the next compare-and-set.
    fn remember(&mut self, asked: &Asked, told: &Told) {
        let value = match (&asked.what, told) {
            (What::CompareAndSet { expected }, Told::Value(Some(was))) if was == expected => &asked.token,
            (What::Write, _) => &asked.token,
            (_, Told::Value(value)) => value,
            _ => return,
        };
        // The registers of former days are not needed any more.
        if self.seen.len() > 16 {
            self.seen.clear();
        }
        if let Some(value) = value {
            self.seen.insert(asked.key.clone(), value.clone());
        }
    }
}

/// A call that has begun. It is written down when it ends, also by the end of its client.
struct OpenCall {
    history: Writer,
    started: Instant,
    entry: Entry,
    /// The ids of the servers, by their places on the list.
    greeted: HashMap<usize, String>,
    written: bool,
}

impl OpenCall {
    fn new(shared: &Shared, id: Option<CommandId>, asked: &Asked) -> Result<Self> {
        let began = micros(shared.started);
        let entry = Entry {
            id,
            asked: serde_json::to_value(asked)?,
            failure: Some("the client ended before it was told".into()),
            ..Entry::new(shared.number, shared.workload, (began, began), Outcome::Unknown)
        };
        Ok(Self {
            history: shared.history.clone(),
            started: shared.started,
            entry,
            greeted: HashMap::new(),
            written: false,
        })
    }

    fn watch(&mut self, event: &Event<'_>) {
        match event {
            Event::Greeted { server, hello } => {
                self.greeted.insert(*server, hello.server.clone());
            }
            Event::Sent { server, id } => {
                self.entry.id = Some(*id);
                self.entry.tries.push(Tried {
                    server: self.greeted.get(server).cloned().unwrap_or_default(),
                    outcome: Outcome::Unknown,
                    error: None,
                });
            }
            // Only one server has the command at a time.
            Event::Ended { tried, .. } if tried.sent => {
                if let Some(last) = self.entry.tries.last_mut() {
                    last.outcome = tried.outcome();
                    last.error = match &tried.end {
                        AttemptEnd::Refused(frame) => Some(TriedError {
                            code: frame.code,
                            mongo: frame.mongo.as_ref().map(|error| error.code),
                        }),
                        _ => None,
                    };
                }
            }
            _ => {}
        }
    }

    fn executed(mut self, executed: &Executed, told: &Told) -> Result<Entry> {
        self.entry.id = Some(executed.id);
        self.entry.outcome = Outcome::Executed;
        self.entry.told = serde_json::to_value(told)?;
        if self.entry.asked.get("token").is_some() {
            self.entry.reply = Some(executed.result.as_str().to_owned());
        }
        self.entry.epoch = Some(executed.epoch);
        self.entry.replayed = executed.replayed;
        self.entry.server = Some(executed.url.as_str().to_owned());
        self.entry.failure = None;
        Ok(self.write())
    }

    fn failed(mut self, failure: &Failure) -> Entry {
        self.entry.id = failure.id.or(self.entry.id);
        self.entry.outcome = failure.outcome;
        let telling = failure.decisive_attempt();
        self.entry.server = telling.map(|tried| tried.url.as_str().to_owned());
        let why = telling.map(|tried| format!(" ({tried})")).unwrap_or_default();
        self.entry.failure = Some(format!("{}: {}{why}", failure.code(), failure.summary()));
        self.write()
    }

    fn write(&mut self) -> Entry {
        self.entry.ended = micros(self.started);
        self.history.write(&self.entry);
        self.written = true;
        self.entry.clone()
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.written {
            self.write();
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
