//! The progress of a dispatch, kept outside of its future. The progress remains when a caller stops
//! waiting.

use core::time::Duration;

use bellwether_protocol::{CommandId, CoordinatorHint, Outcome};

use crate::failure::Given;
use crate::{Attempt, AttemptEnd, Failure, Lost, ServerUrl, Stop};

pub(crate) struct Progress {
    started: Duration,
    id: Option<CommandId>,
    /// Set if the client made the id and may replace it, once, if a server refuses its time.
    may_mint_again: bool,
    only_reads: bool,
    outcome: Outcome,
    pass: u32,
    /// The newest attempt at each server, in the order in which they ended.
    latest: Vec<Attempt>,
    /// The newest attempt that is still unsettled, in spite of later events.
    unsettled: Option<Box<Attempt>>,
    /// The attempts in progress, in the order in which they began; at most one at each server.
    open: Vec<Open>,
    /// The ids of all servers that have introduced themselves, each with its position on the list.
    met: Vec<(String, usize)>,
    /// The coordinator that the servers named last, unless it has introduced itself on the list.
    unlisted: Option<CoordinatorHint>,
    /// The longest deadline that the last asked server allows.
    longest_deadline: Option<Duration>,
}

/// An attempt in progress.
struct Open {
    position: usize,
    started: Duration,
    /// The attempt as it is recorded if its time ends now.
    attempt: Attempt,
}

impl Progress {
    /// Creates the progress of a dispatch. With an id, it asks about an earlier dispatch, whose
    /// outcome is not known yet.
    pub(crate) fn new(id: Option<CommandId>, only_reads: bool, now: Duration) -> Self {
        Self {
            started: now,
            id,
            may_mint_again: id.is_none(),
            only_reads,
            outcome: if id.is_some() && !only_reads {
                Outcome::Unknown
            } else {
                Outcome::NotExecuted
            },
            pass: 0,
            latest: Vec::new(),
            unsettled: None,
            open: Vec::new(),
            met: Vec::new(),
            unlisted: None,
            longest_deadline: None,
        }
    }

    pub(crate) fn next_pass(&mut self) -> u32 {
        self.pass += 1;
        self.pass
    }

    pub(crate) fn pass(&self) -> u32 {
        self.pass
    }

    pub(crate) fn begin(&mut self, position: usize, url: ServerUrl, hinted: bool, now: Duration) {
        self.open.push(Open {
            position,
            started: now,
            attempt: Attempt {
                url,
                server: None,
                pass: self.pass,
                hinted,
                sent: false,
                only_reads: self.only_reads,
                took: Duration::ZERO,
                end: AttemptEnd::ConnectTimeout,
            },
        });
    }

    pub(crate) fn connected(&mut self, position: usize) {
        if let Some(open) = self.open_at(position) {
            open.attempt.end = AttemptEnd::HelloTimeout;
        }
    }

    pub(crate) fn greeted(&mut self, position: usize, server: &str) {
        if let Some(open) = self.open_at(position) {
            open.attempt.server = Some(server.to_owned());
        }
        if self.met_at(server) != Some(position) {
            self.met.push((server.to_owned(), position));
        }
    }

    /// Records that the client asks the server. `sent` is `true` if it sends the command.
    pub(crate) fn asked(&mut self, position: usize, sent: bool) {
        if let Some(open) = self.open_at(position) {
            open.attempt.sent = sent;
            open.attempt.end = AttemptEnd::Lost(Lost::Silence);
        }
    }

    /// Returns the end of the attempt at that server if its time is over.
    pub(crate) fn out_of_time(&self, position: usize) -> AttemptEnd {
        let open = self.open.iter().find(|open| open.position == position);
        open.map_or(AttemptEnd::ConnectTimeout, |open| open.attempt.end.clone())
    }

    fn open_at(&mut self, position: usize) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.position == position)
    }

    /// Returns the id that all attempts share. Makes it when the client first sends the command to
    /// a server.
    pub(crate) fn id_or_mint(
        &mut self,
        server_time: Duration,
        random: impl FnOnce() -> [u8; 10],
    ) -> CommandId {
        *self
            .id
            .get_or_insert_with(|| CommandId::mint(server_time, random()))
    }

    /// Forgets an id whose time a server refused, if that is safe. The client must have made the
    /// id, and no attempt with it had an effect or can have one. Returns `true` the first time. The
    /// client then makes another id for the next server that receives the command.
    pub(crate) fn forget_id(&mut self) -> bool {
        let forgets = self.may_mint_again && self.outcome == Outcome::NotExecuted;
        if forgets {
            self.id = None;
            self.may_mint_again = false;
        }
        forgets
    }

    /// Returns the position on the list at which a server with this id last introduced itself.
    pub(crate) fn met_at(&self, server: &str) -> Option<usize> {
        let met = self.met.iter().rfind(|(met, _)| met == server);
        met.map(|(_, position)| *position)
    }

    pub(crate) fn names_unlisted(&mut self, coordinator: Option<CoordinatorHint>) {
        self.unlisted = coordinator;
    }

    pub(crate) fn allows(&mut self, longest_deadline: Duration) {
        self.longest_deadline = Some(longest_deadline);
    }

    pub(crate) fn is_open(&self, position: usize) -> bool {
        self.open.iter().any(|open| open.position == position)
    }

    /// Returns the beginning of the youngest attempt in progress, except the attempt at that
    /// server.
    pub(crate) fn youngest(&self, except: Option<usize>) -> Option<Duration> {
        let open = self.open.iter().filter(|open| Some(open.position) != except);
        open.map(|open| open.started).max()
    }

    /// Returns the server of the first attempt in progress, except that server.
    pub(crate) fn first_open(&self, except: Option<usize>) -> Option<usize> {
        let mut open = self.open.iter().map(|open| open.position);
        open.find(|position| Some(*position) != except)
    }

    /// Ends the attempt in progress at that server.
    pub(crate) fn end(&mut self, position: usize, end: AttemptEnd, now: Duration) -> Option<&Attempt> {
        let index = self.open.iter().position(|open| open.position == position)?;
        let open = self.open.remove(index);
        let mut ended = open.attempt;
        ended.took = now.saturating_sub(open.started);
        ended.end = end;
        self.account_for(&ended);
        self.latest.retain(|earlier| earlier.url != ended.url);
        self.latest.push(ended);
        self.latest.last()
    }

    /// Applies the rule of the three outcomes: `unknown` stays until an answer settles it.
    fn account_for(&mut self, ended: &Attempt) {
        match ended.outcome() {
            Outcome::Executed => self.settle(Outcome::Executed),
            // An executed command stays executed, in spite of the results of later attempts.
            _ if self.outcome == Outcome::Executed => {}
            Outcome::Unknown => {
                self.outcome = Outcome::Unknown;
                self.unsettled = Some(Box::new(ended.clone()));
            }
            Outcome::NotExecuted if ended.settles_earlier_attempts() => self.settle(Outcome::NotExecuted),
            Outcome::NotExecuted => {}
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.unsettled = None;
    }

    pub(crate) fn into_failure(self, stop: Stop, now: Duration, given: Given) -> Failure {
        let unlisted = self.unlisted.clone();
        let unlisted = unlisted.filter(|coordinator| self.met_at(&coordinator.server).is_none());
        Failure {
            only_reads: self.only_reads,
            unlisted,
            longest_deadline: self.longest_deadline,
            given,
            id: self.id,
            outcome: self.outcome,
            stop,
            passes: self.pass,
            took: now.saturating_sub(self.started),
            attempts: self.latest,
            unsettled: self.unsettled,
        }
    }

    pub(crate) fn into_attempts(self) -> Vec<Attempt> {
        self.latest
    }
}
