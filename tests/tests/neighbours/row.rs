//! One row of the table.

use std::pin::Pin;

use anyhow::Result;
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome, ServerFrame, WhatNext};
use bson::{Document, doc};

use crate::caller::Spot;

/// Name in commands for the row's own collection.
pub(crate) const BAD: &str = "BAD";

/// A name of an error that differs between versions of MongoDB.
pub(crate) const ANY: &str = "";

/// A neighbour of the innocents.
pub(crate) struct Row {
    pub(crate) name: String,
    /// Commands for MongoDB itself, in order, before the row begins.
    pub(crate) before: Vec<String>,
    /// Documents in the row's own collection.
    pub(crate) documents: Vec<Document>,
    /// A fail point that is on while the neighbour works.
    pub(crate) injected: Option<Injected>,
    pub(crate) neighbour: Neighbour,
    /// Number of times that the commands are sent.
    pub(crate) rounds: usize,
}

/// The actions of the neighbour.
pub(crate) enum Neighbour {
    /// Sends these over one connection without waiting between them.
    Commands(Vec<(String, Expected)>),
    /// Does this.
    Program(Program),
    /// Does this instead of a row, without innocents.
    Alone(Alone),
}

pub(crate) type Future<'a> = Pin<Box<dyn std::future::Future<Output = Result<()>> + 'a>>;
pub(crate) type Program = fn(Spot) -> Future<'static>;
pub(crate) type Alone = fn() -> Future<'static>;

/// The answer that belongs to a command.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// A reply.
    Executed,
    /// MongoDB's error with this code and name, or [`ANY`] name. Nothing was changed.
    Mongo(i32, &'static str),
    /// This error code of the server's own. Nothing was changed.
    Refused(ErrorCode),
    /// Any final error with this text in it. Nothing was changed.
    Final(&'static str),
    /// A reply, or MongoDB's error with this code: which of them depends on MongoDB's version or on
    /// how full its cache is.
    ExecutedOrMongo(i32),
    /// A reply, an error that the command is too much for MongoDB's cache, or an error that no time
    /// was left to try again.
    ExecutedOrTooMuch,
}

impl Expected {
    /// Returns the difference between an answer and the expectation, if there is one.
    pub(crate) fn complaint(&self, answer: &ServerFrame) -> Option<String> {
        let right = match (self, answer) {
            (Self::Executed | Self::ExecutedOrMongo(_) | Self::ExecutedOrTooMuch, ServerFrame::Result(_)) => {
                true
            }
            (_, ServerFrame::Error(error)) => error.outcome == Outcome::NotExecuted && self.fits(error),
            _ => false,
        };
        (!right).then(|| format!("expected {self:?}, not {}", shown(answer)))
    }

    fn fits(&self, error: &ErrorFrame) -> bool {
        let mongo = error.mongo.as_ref().filter(|_| error.code == ErrorCode::Mongo);
        match self {
            Self::Executed => false,
            Self::Mongo(code, name) => {
                mongo.is_some_and(|mongo| mongo.code == *code && (*name == ANY || mongo.code_name == *name))
                    && !error.message.is_empty()
            }
            Self::ExecutedOrMongo(code) => mongo.is_some_and(|mongo| mongo.code == *code),
            Self::ExecutedOrTooMuch => {
                error.code == ErrorCode::Deadline || mongo.is_some_and(|mongo| mongo.code == 388)
            }
            Self::Refused(code) => error.code == *code,
            Self::Final(text) => {
                let said = serde_json::to_string(error).unwrap_or_default();
                error.code.what_next() == WhatNext::GiveUp && said.contains(text)
            }
        }
    }
}

/// Returns an answer, cut at a length that a developer can read.
pub(crate) fn shown(answer: &ServerFrame) -> String {
    let text = answer.to_json();
    let end = text.char_indices().nth(1500).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

/// An error of MongoDB although nothing is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) data: Document,
    /// Number of times; `None` as long as the row lasts.
    pub(crate) times: Option<i32>,
}

impl Injected {
    /// Commands of these names fail with `code`, in the row's own collection.
    pub(crate) fn statement(commands: &[&str], code: i32) -> Self {
        Self {
            data: doc! { "failCommands": commands, "namespace": format!("app.{BAD}"), "errorCode": code },
            times: None,
        }
    }

    /// Makes the write of the fence and the records fail with `code`, once.
    pub(crate) fn record(code: i32) -> Self {
        Self {
            data: doc! {
                "failCommands": ["update"], "namespace": "app_bellwether.ledger", "errorCode": code,
            },
            times: Some(1),
        }
    }

    /// Makes a commit fail with `code`, once.
    pub(crate) fn commit(code: i32) -> Self {
        Self {
            data: doc! { "failCommands": ["commitTransaction"], "errorCode": code },
            times: Some(1),
        }
    }

    pub(crate) fn times(mut self, times: i32) -> Self {
        self.times = Some(times);
        self
    }

    pub(crate) fn with(mut self, more: Document) -> Self {
        self.data.extend(more);
        self
    }
}

impl Row {
    /// Makes a row that sends these commands.
    pub(crate) fn new<C: Into<String>>(
        name: impl Into<String>,
        commands: impl IntoIterator<Item = (C, Expected)>,
    ) -> Self {
        let commands = commands
            .into_iter()
            .map(|(command, expected)| (command.into(), expected));
        Self::of(name, Neighbour::Commands(commands.collect()))
    }

    /// Makes a row that runs this program.
    pub(crate) fn program(name: impl Into<String>, program: Program) -> Self {
        Self::of(name, Neighbour::Program(program))
    }

    /// Makes a test with a replica set of its own.
    pub(crate) fn alone(name: impl Into<String>, alone: Alone) -> Self {
        Self::of(name, Neighbour::Alone(alone))
    }

    fn of(name: impl Into<String>, neighbour: Neighbour) -> Self {
        Self {
            name: name.into(),
            before: Vec::new(),
            documents: Vec::new(),
            injected: None,
            neighbour,
            rounds: 2,
        }
    }

    pub(crate) fn document(mut self, document: Document) -> Self {
        self.documents.push(document);
        self
    }

    pub(crate) fn documents(mut self, documents: impl IntoIterator<Item = Document>) -> Self {
        self.documents.extend(documents);
        self
    }

    pub(crate) fn before(mut self, command: impl Into<String>) -> Self {
        self.before.push(command.into());
        self
    }

    pub(crate) fn injected(mut self, injected: Injected) -> Self {
        self.injected = Some(injected);
        self
    }

    pub(crate) fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Returns the commands that the row sends.
    pub(crate) fn commands(&self) -> &[(String, Expected)] {
        match &self.neighbour {
            Neighbour::Commands(commands) => commands,
            Neighbour::Program(_) | Neighbour::Alone(_) => &[],
        }
    }
}
