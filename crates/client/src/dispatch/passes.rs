//! The passes over the list, one after the other: the beginning and the end of each, and the pause
//! after it.

use core::time::Duration;

use super::{Alarm, Dispatch, Verdict};
use crate::step::Happened;
use crate::{AttemptEnd, Event, Platform, Stop};

/// The first pause between passes. This pause is short, because an election takes some tens or
/// hundreds of milliseconds.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The shortest pause: half of the first, because its random part may be zero.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause. The client finds a cluster that has recovered at most this much later.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest time for which a further pass begins. A command sent later would most likely only
/// turn `not_executed` into `unknown`.
const SHORTEST_PASS: Duration = Duration::from_millis(100);

/// The results of the attempts of one pass.
pub(super) struct Pass {
    pub(super) hinted: bool,
    pub(super) any_ended: bool,
    pub(super) all_lasting: bool,
    /// The number of servers that named a coordinator which is not on the list.
    pub(super) unlisted: usize,
}

impl Pass {
    pub(super) fn new() -> Self {
        Self {
            hinted: false,
            any_ended: false,
            all_lasting: true,
            unlisted: 0,
        }
    }

    pub(super) fn account_for(&mut self, end: &AttemptEnd) {
        self.any_ended = true;
        self.all_lasting &= end.is_lasting();
    }
}

impl<'a, P, F, S> Dispatch<'a, P, F, S>
where
    P: Platform,
    F: FnMut(Event<'_>),
    S: Future<Output = Happened<P::Connection>>,
{
    /// Begins a pass over the list, in order, without the servers at which a slow attempt is still
    /// in progress. If the client has kept the connection to an overloaded server, that server gets
    /// the command again at once.
    pub(super) fn begin_pass(&mut self, kept: Option<P::Connection>) -> Option<Verdict> {
        let pass = self.progress.next_pass();
        (self.on_event)(Event::Pass { pass });
        if self.clock.is_over() {
            return Some(Err(Stop::Deadline));
        }
        self.pass = Pass::new();
        if let Some((server, hello)) = self.kept.take()
            && kept.is_some()
        {
            self.begin_attempt(server, false);
            self.progress.greeted(server, &hello.server);
            self.queue_all();
            return self.send_command(server, kept, hello);
        }
        self.proceed_with_all()
    }

    pub(super) fn proceed_with_all(&mut self) -> Option<Verdict> {
        self.queue_all();
        self.proceed()
    }

    /// Gives each server a turn at which no attempt is in progress.
    fn queue_all(&mut self) {
        let free = |server: &usize| !self.progress.is_open(*server);
        self.waiting = self.order.iter().copied().filter(free).collect();
    }

    pub(super) fn end_pass(&mut self, some_under_way: bool) -> Option<Verdict> {
        if self.pass.all_lasting {
            return Some(Err(Stop::NoUse));
        }
        if self.is_unlisted_for_long() {
            return Some(Err(Stop::NotListed));
        }
        self.rest(None, None, some_under_way)
    }

    /// Ends the pass at the coordinator that has no room for the command at this moment, because no
    /// other server executes commands. The next pass begins with this server, on this connection.
    /// The server keeps a place for a short time only, and a new connection could come too late.
    pub(super) fn wait_for_room(
        &mut self,
        server: usize,
        connection: Option<P::Connection>,
        asked_for: Option<Duration>,
    ) -> Option<Verdict> {
        self.waiting.clear();
        self.unlisted_since = None;
        if let Some(at) = self.order.iter().position(|other| *other == server) {
            self.order[..=at].rotate_right(1);
        }
        self.rest(connection, asked_for, self.progress.first_open(None).is_some())
    }

    /// Pauses before the next pass. The time that an overloaded server asks for has no random part,
    /// because the server gives each command a different time. The time is an estimate, and the
    /// coordinator may change. Therefore half of the remaining time is kept.
    fn rest(
        &mut self,
        connection: Option<P::Connection>,
        asked_for: Option<Duration>,
        some_under_way: bool,
    ) -> Option<Verdict> {
        let remaining = self.clock.remaining();
        if remaining < SHORTEST_PASS {
            self.close(connection);
            if !some_under_way {
                return Some(Err(Stop::Deadline));
            }
            self.set_alarm(Alarm::Pass, remaining);
            return None;
        }
        let pause = asked_for.unwrap_or_else(|| {
            let pause = jittered(self.pause, self.shot.platform.random());
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            pause
        });
        let pause = pause.max(SHORTEST_PAUSE).min(remaining / 2);
        (self.on_event)(Event::Pausing { pause });
        self.set_alarm_keeping(connection, Alarm::Pass, pause);
        None
    }
}

/// Returns half of the pause and a random part of the other half, so that clients do not return at
/// the same time.
fn jittered(pause: Duration, random: [u8; 10]) -> Duration {
    pause / 2 + pause / 2 * u32::from(random[0]) / 255
}
