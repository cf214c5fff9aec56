//! The server with the command is silent: looks for a sign of life, and asks the other servers.

use core::pin::Pin;
use core::time::Duration;

use bellwether_protocol::{CoordinatorHint, RoleName};

use super::{Alarm, Dispatch, LONGEST_CONNECT, Verdict};
use crate::step::{Action, Done, Happened};
use crate::{AttemptEnd, Event, Lost, Platform};

/// The pause between two connects that look for a sign of life.
const PROBE_AGAIN: Duration = Duration::from_millis(500);

/// Time after which the client believes servers that name a coordinator which is not on the list.
/// Servers name a dead coordinator until another is elected. An election needs a primary, and
/// MongoDB takes up to 12 s to elect one.
const UNLISTED_FOR_LONG: Duration = Duration::from_secs(15);

impl<'a, P, F, S> Dispatch<'a, P, F, S>
where
    P: Platform,
    F: FnMut(Event<'_>),
    S: Future<Output = Happened<P::Connection>>,
{
    /// Reacts to a long silence of the server with the command. Greets the other servers without
    /// sending them the command, because one of them may be the new coordinator. Also greets the
    /// silent server a second time: if it answers, it is alive and keeps the command.
    pub(super) fn look(&mut self) -> Option<Verdict> {
        let now = self.clock.now();
        let Some(asked) = &mut self.asked else {
            return self.proceed();
        };
        let server = asked.server;
        if asked.silence.has_pings() {
            let left = asked.silence.next_look().saturating_sub(now);
            if !left.is_zero() {
                // Something arrived meanwhile, such as a part of a long reply.
                self.set_alarm(Alarm::Look, left);
                return None;
            }
        }
        asked.silence.look(now);
        if asked.silence.is_dead() {
            self.drop_asked(server, AttemptEnd::Lost(Lost::Silence));
            return self.proceed();
        }
        asked.others_greeted = true;
        let probes = !asked.silence.has_pings() || asked.silence.lacks_pong();
        if probes && self.probe.is_none() {
            asked.probed_since = Some(now);
            self.probe = self.greeting(server, self.probe_limit());
        }
        self.pass.hinted = false;
        self.proceed_with_all()
    }

    /// Returns the time limit for a server with the command to give a sign of life. This limit is
    /// the longest time that a connect and a hello may take. A browser that delays a connect must
    /// not make the server look dead.
    fn probe_limit(&self) -> Duration {
        let connect = self.shot.connect_timeout.saturating_mul(LONGEST_CONNECT);
        connect.saturating_add(self.shot.hello_timeout)
    }

    fn greeting(&self, server: usize, limit: Duration) -> Option<Pin<Box<S>>> {
        let greet = Action::Greet(server, self.hello());
        Some(self.step(Some(server), None, greet, limit))
    }

    /// Handles the end of the second greeting of the server with the command, or of the pause
    /// before another greeting.
    pub(super) fn probed(&mut self, happened: Happened<P::Connection>) -> Option<Verdict> {
        let connection = happened.connection;
        let Some(asked) = &mut self.asked else {
            self.close(connection);
            return None;
        };
        let server = asked.server;
        let end = match happened.end {
            // The server is alive, and the connection on which it has the command is dead. The
            // command continues on the second connection.
            Some(Ok(Done::Greeted(hello))) if asked.silence.lacks_pong() => {
                self.drop_asked(server, AttemptEnd::Lost(Lost::Silence));
                self.begin_attempt(server, false);
                self.progress.connected(server);
                (self.on_event)(Event::Connected { server });
                return self.greeted(server, connection, hello);
            }
            // The server has restarted, and the connection to its old process is dead without a
            // sign.
            Some(Ok(Done::Greeted(hello)))
                if hello.role == RoleName::Coordinator && hello.epoch > asked.hello.epoch =>
            {
                let epoch = hello.epoch.unwrap_or_default();
                AttemptEnd::Lost(Lost::Superseded { epoch })
            }
            // No server listens at this moment, or another program does. That is no sign of life,
            // but it does not prove that the server is dead.
            Some(Err(AttemptEnd::Unreachable(_) | AttemptEnd::BadEndpoint(_) | AttemptEnd::NotProven(_))) => {
                self.probe = Some(self.step(Some(server), None, Action::Wait, PROBE_AGAIN));
                return None;
            }
            // The server greets, refuses the hello, or has no room for a second connection. In each
            // case it is alive.
            Some(_) => {
                asked.probed_since = None;
                self.close(connection);
                return None;
            }
            // The pings decide.
            None if asked.silence.has_pings() => {
                self.close(connection);
                return None;
            }
            None => {
                let since = asked.probed_since.unwrap_or_default();
                let left = since
                    .saturating_add(self.probe_limit())
                    .saturating_sub(self.clock.now());
                if !left.is_zero() {
                    self.probe = self.greeting(server, left);
                    return None;
                }
                AttemptEnd::Lost(Lost::Silence)
            }
        };
        self.close(connection);
        // This closes the connection. The server would not read a close frame.
        self.steps.retain(|(of, _)| *of != Some(server));
        self.ended(server, None, Err(end))
    }

    /// Returns the end of the attempt at that server if its time is over. A server with the command
    /// is silent if it has left a ping or a greeting unanswered for the time limit of a hello.
    /// Otherwise it was working.
    pub(super) fn out_of_time(&self, server: usize) -> AttemptEnd {
        let since = self.asked.as_ref().and_then(|asked| {
            if asked.silence.has_pings() {
                asked.silence.unanswered_ping()
            } else {
                asked.probed_since
            }
        });
        let is_silent = since.is_some_and(|since| {
            let unanswered = self.clock.now().saturating_sub(since);
            unanswered >= self.shot.hello_timeout
        });
        match self.progress.out_of_time(server) {
            AttemptEnd::Lost(Lost::Silence) if !is_silent => AttemptEnd::Lost(Lost::StillWorking),
            end => end,
        }
    }

    /// Notes the coordinator that a server names, if that coordinator is not on the list.
    pub(super) fn note_coordinator(&mut self, end: &AttemptEnd) {
        let is_unlisted = |hint: &&CoordinatorHint| self.position_of(hint).is_none();
        let unlisted = end.coordinator().filter(is_unlisted).cloned();
        if unlisted.is_some() {
            self.pass.unlisted += 1;
            self.progress.names_unlisted(unlisted);
        }
    }

    /// Returns the position on the list of the coordinator that a server names. The list may have
    /// it under another address than the one that the servers know. The client then recognizes it
    /// by its id, once it has introduced itself.
    pub(super) fn position_of(&self, hint: &CoordinatorHint) -> Option<usize> {
        let listed = |url: &str| self.shot.servers.position(url);
        let by_address = hint.url.as_deref().and_then(listed);
        by_address.or_else(|| self.progress.met_at(&hint.server))
    }

    /// Returns `true` if all servers of the list have named coordinators that are not on it, in
    /// every pass for [`UNLISTED_FOR_LONG`]. Call it at the end of each pass.
    pub(super) fn is_unlisted_for_long(&mut self) -> bool {
        if self.pass.unlisted == 0 {
            self.progress.names_unlisted(None);
        }
        if self.pass.unlisted < self.order.len() {
            self.unlisted_since = None;
            return false;
        }
        let now = self.clock.now();
        let since = *self.unlisted_since.get_or_insert(now);
        now.saturating_sub(since) >= UNLISTED_FOR_LONG
    }
}
