//! A history, sorted by commands: every command that writes with all calls that sent it, and the
//! reads.

use std::collections::BTreeMap;

use bellwether_client::Outcome;

use crate::history::{Entry, Workload};
use crate::workload::{Asked, Told};

/// All commands and reads of a history.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// The commands that write, each once.
    pub(crate) commands: Vec<Command>,
    /// The reads that were answered.
    pub(crate) reads: Vec<Read>,
    /// Entries and answers that make no sense.
    pub(crate) nonsense: Vec<(Workload, String)>,
    /// The workloads there are.
    pub(crate) workloads: Vec<Workload>,
    /// A time after all calls.
    pub(crate) end: u64,
}

/// A command that writes: a token, and all calls that sent it, under one id.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(crate) workload: Workload,
    pub(crate) token: String,
    pub(crate) asked: Asked,
    /// Start of the first call that may have executed the command.
    pub(crate) began: u64,
    /// End of the first call whose answer says that the command was executed.
    pub(crate) answered: Option<u64>,
    /// Executed if any call has the outcome `executed`; not executed if all calls have the outcome
    /// `not executed`.
    pub(crate) outcome: Outcome,
    /// Content of the reply, if there was one.
    pub(crate) told: Option<Told>,
    pub(crate) calls: Vec<Entry>,
}

/// A read that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) workload: Workload,
    pub(crate) key: String,
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) told: Told,
    pub(crate) client: u32,
}

impl Calls {
    pub(crate) fn gather(entries: &[Entry]) -> Self {
        let mut calls = Self::default();
        let mut by_token: BTreeMap<(Workload, String), Command> = BTreeMap::new();
        for entry in entries {
            calls.end = calls.end.max(entry.ended + 1);
            if !calls.workloads.contains(&entry.workload) {
                calls.workloads.push(entry.workload);
            }
            let asked: Asked = match serde_json::from_value(entry.asked.clone()) {
                Ok(asked) => asked,
                Err(error) => {
                    let what = format!("{} is nothing a client asks: {error}", entry.asked);
                    calls.nonsense.push((entry.workload, what));
                    continue;
                }
            };
            let told = calls.told(entry);
            match asked.token.clone() {
                Some(token) => by_token
                    .entry((entry.workload, token.clone()))
                    .or_insert_with(|| Command::new(entry.workload, token, asked))
                    .add(entry, told),
                // A read of unknown outcome has seen nothing, and a read that was not executed has
                // seen nothing either.
                None if entry.outcome == Outcome::Executed => calls.reads.extend(told.map(|told| Read {
                    workload: entry.workload,
                    key: asked.key,
                    began: entry.began,
                    ended: entry.ended,
                    told,
                    client: entry.client,
                })),
                None => {}
            }
        }
        calls.workloads.sort_unstable();
        calls.commands = by_token.into_values().collect();
        calls
    }

    fn told(&mut self, entry: &Entry) -> Option<Told> {
        if entry.told.is_null() {
            return None;
        }
        let problem = match serde_json::from_value(entry.told.clone()) {
            Ok(Told::Nonsense(reply)) => format!("{} was answered {reply}", entry.asked),
            Ok(told) => return Some(told),
            Err(error) => format!("{} was answered {}: {error}", entry.asked, entry.told),
        };
        self.nonsense.push((entry.workload, problem));
        None
    }

    /// Returns the commands of a workload.
    pub(crate) fn commands_of(&self, workload: Workload) -> impl Iterator<Item = &Command> {
        self.commands
            .iter()
            .filter(move |command| command.workload == workload)
    }

    /// Returns the answered reads of a workload.
    pub(crate) fn reads_of(&self, workload: Workload) -> impl Iterator<Item = &Read> {
        self.reads.iter().filter(move |read| read.workload == workload)
    }
}

impl Command {
    fn new(workload: Workload, token: String, asked: Asked) -> Self {
        Self {
            workload,
            token,
            asked,
            began: u64::MAX,
            answered: None,
            outcome: Outcome::NotExecuted,
            told: None,
            calls: Vec::new(),
        }
    }

    fn add(&mut self, entry: &Entry, told: Option<Told>) {
        // A call that ended as not executed has had no effect and will have none: it does not
        // count.
        if entry.outcome != Outcome::NotExecuted {
            self.began = self.began.min(entry.began);
        }
        if entry.outcome == Outcome::Executed {
            self.answered = Some(self.answered.map_or(entry.ended, |ended| ended.min(entry.ended)));
        }
        self.outcome = match (self.outcome, entry.outcome) {
            (Outcome::Executed, _) | (_, Outcome::Executed) => Outcome::Executed,
            (Outcome::Unknown, _) | (_, Outcome::Unknown) => Outcome::Unknown,
            _ => Outcome::NotExecuted,
        };
        if self.told.is_none() {
            self.told = told;
        }
        self.calls.push(entry.clone());
    }

    /// Returns the name of this command, for people.
    pub(crate) fn name(&self) -> String {
        let id = self.calls.iter().find_map(|call| call.id);
        let id = id.map_or_else(|| "no id".into(), |id| id.text());
        format!("{} on {} ({id})", self.token, self.asked.key)
    }
}
