//! What is known so far, kept outside of the conversation, so that it survives a caller who stops waiting.

use core::time::Duration;

use bellwether_protocol::{CommandId, Outcome};

use crate::{Failure, ServerUrl, Stop, Try, TryEnd};

pub(crate) struct Progress {
    started: Duration,
    id: Option<CommandId>,
    outcome: Outcome,
    pass: u32,
    /// The newest try at each server, in the order in which they ended.
    latest: Vec<Try>,
    /// The newest try that is still unsettled, whatever happened after it.
    unsettled: Option<Box<Try>>,
    current: Option<Current>,
}

/// The try under way.
struct Current {
    position: usize,
    url: ServerUrl,
    server: Option<String>,
    hinted: bool,
    sent: bool,
    started: Duration,
}

impl Progress {
    /// With an id, an earlier attempt is being asked about, so its outcome is what nobody knows yet.
    pub(crate) fn new(id: Option<CommandId>, now: Duration) -> Self {
        Self {
            started: now,
            id,
            outcome: if id.is_some() {
                Outcome::Unknown
            } else {
                Outcome::NotExecuted
            },
            pass: 0,
            latest: Vec::new(),
            unsettled: None,
            current: None,
        }
    }

    pub(crate) fn next_pass(&mut self) -> u32 {
        self.pass += 1;
        self.pass
    }

    pub(crate) fn begin(&mut self, position: usize, url: ServerUrl, hinted: bool, now: Duration) {
        self.current = Some(Current {
            position,
            url,
            server: None,
            hinted,
            sent: false,
            started: now,
        });
    }

    pub(crate) fn greeted(&mut self, server: &str) {
        if let Some(current) = &mut self.current {
            current.server = Some(server.to_owned());
        }
    }

    /// The id all tries share, made at the first greeting.
    pub(crate) fn id_or_mint(
        &mut self,
        server_time: Duration,
        random: impl FnOnce() -> [u8; 10],
    ) -> CommandId {
        *self
            .id
            .get_or_insert_with(|| CommandId::mint(server_time, random()))
    }

    pub(crate) fn sent(&mut self) {
        if let Some(current) = &mut self.current {
            current.sent = true;
        }
    }

    /// Ends the try under way, if there is one, and returns it with its position on the list.
    pub(crate) fn end(&mut self, end: TryEnd, now: Duration) -> Option<(usize, &Try)> {
        let current = self.current.take()?;
        let ended = Try {
            url: current.url,
            server: current.server,
            pass: self.pass,
            hinted: current.hinted,
            sent: current.sent,
            took: now.saturating_sub(current.started),
            end,
        };
        self.account_for(&ended);
        self.latest.retain(|earlier| earlier.url != ended.url);
        self.latest.push(ended);
        self.latest.last().map(|ended| (current.position, ended))
    }

    /// The rule of the three outcomes: `unknown` stays until an answer settles it.
    fn account_for(&mut self, ended: &Try) {
        match ended.outcome() {
            Outcome::Executed => self.settle(Outcome::Executed),
            // What has happened stays so, whatever later tries meet.
            _ if self.outcome == Outcome::Executed => {}
            Outcome::Unknown => {
                self.outcome = Outcome::Unknown;
                self.unsettled = Some(Box::new(ended.clone()));
            }
            Outcome::NotExecuted if ended.settles_earlier_tries() => self.settle(Outcome::NotExecuted),
            Outcome::NotExecuted => {}
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.unsettled = None;
    }

    pub(crate) fn into_failure(self, stop: Stop, now: Duration) -> Failure {
        Failure {
            id: self.id,
            outcome: self.outcome,
            stop,
            passes: self.pass,
            took: now.saturating_sub(self.started),
            tries: self.latest,
            unsettled: self.unsettled,
        }
    }

    pub(crate) fn into_tries(self) -> Vec<Try> {
        self.latest
    }
}
