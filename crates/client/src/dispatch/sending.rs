//! Only one server at a time has the command: this module sends it to a server, and takes it back.

use core::time::Duration;

use bellwether_protocol::{
    ClientFrame, Command, ErrorCode, Hello, HelloOk, Outcome, OutcomeQuery, RoleName, WhatNext,
};

use super::{Alarm, Asked, Dispatch, Request, Silence, Verdict};
use crate::step::{Action, Happened, WAY_BACK, deadline_ms};
use crate::{AttemptEnd, Connection, Event, Lost, Platform};

impl<'a, P, F, S> Dispatch<'a, P, F, S>
where
    P: Platform,
    F: FnMut(Event<'_>),
    S: Future<Output = Happened<P::Connection>>,
{
    pub(super) fn greeted(
        &mut self,
        server: usize,
        connection: Option<P::Connection>,
        hello: Box<HelloOk>,
    ) -> Option<Verdict> {
        self.progress.greeted(server, &hello.server);
        (self.on_event)(Event::Greeted {
            server,
            hello: &hello,
        });
        let expected = self.shot.cluster.as_ref();
        if expected.is_some_and(|cluster| *cluster != hello.cluster) {
            let found = hello.cluster;
            return self.ended(server, connection, Err(AttemptEnd::WrongCluster { found }));
        }
        if hello.role != RoleName::Coordinator {
            let end = AttemptEnd::NotCoordinator {
                role: hello.role,
                coordinator: hello.coordinator,
            };
            return self.ended(server, connection, Err(end));
        }
        if self.clock.is_over() {
            return None;
        }
        if let Some(asked) = &self.asked {
            match hello.epoch {
                Some(epoch) if hello.epoch > asked.hello.epoch => self.give_up_asked(epoch),
                // Of two coordinators, this server is the one that has been replaced.
                _ => return self.ended(server, connection, Err(AttemptEnd::Overtaken)),
            }
        }
        self.send_command(server, connection, hello)
    }

    /// Sends the command on this connection to the coordinator that said this hello.
    pub(super) fn send_command(
        &mut self,
        server: usize,
        connection: Option<P::Connection>,
        hello: Box<HelloOk>,
    ) -> Option<Verdict> {
        // The id uses the clock of the server that receives the command, because this server checks
        // its time.
        let random = || self.shot.platform.random();
        let id = self
            .progress
            .id_or_mint(Duration::from_millis(hello.server_time_ms), random);
        self.progress
            .allows(Duration::from_millis(hello.limits.max_deadline_ms));
        let limit = self.clock.remaining();
        let deadline_ms = Some(deadline_ms(limit));
        let message = match self.request {
            Request::Execute(command) => ClientFrame::Command(Command {
                id,
                deadline_ms,
                command: command.json().clone(),
            }),
            Request::Outcome(_) => ClientFrame::Outcome(OutcomeQuery { id, deadline_ms }),
        }
        .to_json();
        if u64::try_from(message.len()).is_ok_and(|bytes| bytes > hello.limits.max_message_bytes) {
            let end = AttemptEnd::TooLarge {
                bytes: message.len(),
                limit: hello.limits.max_message_bytes,
            };
            return self.ended(server, connection, Err(end));
        }
        let sent = matches!(self.request, Request::Execute(_));
        self.progress.asked(server, sent);
        if sent {
            // From now on the command may arrive, even if `send` or the connection fails.
            (self.on_event)(Event::Sent { server, id });
        }
        let keepalive = connection.as_ref().and_then(Connection::keepalive);
        let silence = Silence::new(self.clock.now(), keepalive, self.dead);
        let first_look = silence.next_look().saturating_sub(self.clock.now());
        self.asked = Some(Asked {
            server,
            hello,
            silence,
            others_greeted: false,
            probed_since: None,
            rest: core::mem::take(&mut self.waiting),
        });
        self.begin(Some(server), connection, Action::Ask(message, Some(id)), limit);
        self.set_alarm(Alarm::Look, first_look);
        None
    }

    /// Gives up the server with the command, because another server is coordinator of this later
    /// epoch. From the moment of the grant, the old server can commit nothing any more. Either the
    /// new coordinator finds the command's id now, or it never will. The client may therefore ask
    /// it at once.
    fn give_up_asked(&mut self, epoch: u64) {
        if let Some(server) = self.asked.as_ref().map(|asked| asked.server) {
            self.drop_asked(server, AttemptEnd::Lost(Lost::Superseded { epoch }));
        }
    }

    /// Ends the attempt of the server with the command, whose connection is of no more use.
    pub(super) fn drop_asked(&mut self, server: usize, end: AttemptEnd) {
        let asked = self.take_back(server);
        if asked.is_some_and(|asked| asked.silence.lacks_pong()) {
            self.dead = self.dead.saturating_add(1);
        }
        // This closes the connection. The server would not read a close frame.
        self.steps.retain(|(of, _)| *of != Some(server));
        self.pass.account_for(&end);
        self.end_attempt(server, end);
    }

    /// Takes the command back from that server, if the server has it. The pass then continues where
    /// it stopped.
    pub(super) fn take_back(&mut self, server: usize) -> Option<Asked<P>> {
        let mut asked = self.asked.take_if(|asked| asked.server == server)?;
        self.alarm = None;
        self.probe = None;
        self.waiting = core::mem::take(&mut asked.rest);
        self.waiting.retain(|server| !self.progress.is_open(*server));
        Some(asked)
    }

    /// Returns `true` if another server, or the same server in another attempt, may do better.
    pub(super) fn goes_on_after(&mut self, end: &AttemptEnd) -> bool {
        if end.needed_longer() {
            // Servers give one attempt less time than some callers have. Otherwise the remaining
            // time is only the time for the way back.
            return self.clock.remaining() > WAY_BACK;
        }
        end.what_next() == WhatNext::TryNextServer || self.forgets_id(end)
    }

    /// Returns `true` if the command can continue under another id, because the server refused the
    /// time in this id.
    fn forgets_id(&mut self, end: &AttemptEnd) -> bool {
        // With another outcome, the attempt with this id may have had its effect. Under another id
        // the effect would happen twice.
        let had_no_effect = matches!(
            end,
            AttemptEnd::Refused(frame) if frame.code == ErrorCode::IdExpired && frame.outcome == Outcome::NotExecuted
        );
        had_no_effect && self.progress.forget_id()
    }

    /// Returns the index, among the waiting servers, of the server that another server names as
    /// coordinator. Only the first such hint of a pass counts, so servers that name each other
    /// cannot keep a client busy.
    pub(super) fn hinted_by(&self, end: &AttemptEnd) -> Option<usize> {
        if self.pass.hinted {
            return None;
        }
        let hinted = self.position_of(end.coordinator()?)?;
        self.waiting.iter().position(|server| *server == hinted)
    }

    pub(super) fn hello(&self) -> String {
        let hello = Hello {
            #[cfg(feature = "tokens")]
            token: self.shot.token.clone(),
            ..Hello::new(&*self.shot.client, self.shot.cluster.clone())
        };
        ClientFrame::Hello(hello).to_json()
    }
}
