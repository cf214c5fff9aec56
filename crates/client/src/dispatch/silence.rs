//! The silence of the server that has the command: the times at which the client looks after it.

use core::time::Duration;

use crate::Keepalive;

/// Length of the silence at which the client looks after the server, and asks the other servers.
/// Most commands are answered by then, and a coordinator that fell silent has been replaced.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Number of looks after which a connection without a pong is dead: 1, 3 and 7 s after the ping.
const LOOKS_UNTIL_DEAD: u32 = 3;

/// The silence of the server that has the command.
pub(super) struct Silence<K> {
    /// The time at which the client sent the command.
    since: Duration,
    /// Length of the silence at which the client looks next.
    length: Duration,
    /// `None` if the platform sends no pings.
    keepalive: Option<K>,
    /// The time of the newest ping.
    pinged: Option<Duration>,
    /// Number of looks since the newest ping.
    looks: u32,
    /// Number of looks that this connection has in addition. A long command on a slow network
    /// delays the pong, too.
    more_looks: u32,
}

impl<K: Keepalive> Silence<K> {
    /// Begins when the client sends the command. `dead` is the number of connections that the
    /// client has given up as dead: each of them doubles the time for a pong.
    pub(super) fn new(now: Duration, keepalive: Option<K>, dead: u32) -> Self {
        Self {
            since: now,
            length: FIRST_LOOK,
            keepalive,
            pinged: None,
            looks: 0,
            more_looks: dead,
        }
    }

    /// Returns the time of the next look. Each look comes when the silence is twice as long as at
    /// the look before.
    pub(super) fn next_look(&self) -> Duration {
        match self.unanswered_ping() {
            Some(pinged) => {
                let doubled = 2_u32.saturating_pow(self.looks.saturating_add(1));
                pinged.saturating_add(FIRST_LOOK.saturating_mul(doubled - 1))
            }
            None => {
                let heard = self.keepalive.as_ref().map(K::heard);
                let since = heard.map_or(self.since, |heard| heard.max(self.since));
                since.saturating_add(self.length)
            }
        }
    }

    /// Counts a look, and asks for a ping unless the last one has no answer yet.
    pub(super) fn look(&mut self, now: Duration) {
        if self.unanswered_ping().is_some() {
            self.looks = self.looks.saturating_add(1);
            return;
        }
        self.length = self.length.saturating_mul(2);
        self.looks = 0;
        if let Some(keepalive) = &self.keepalive {
            keepalive.ask_for_ping();
            self.pinged = Some(now);
        }
    }

    /// Returns `true` if the platform sends pings.
    pub(super) fn has_pings(&self) -> bool {
        self.keepalive.is_some()
    }

    /// Returns `true` if the server should have answered the ping. The server may be paused, or
    /// only this connection may be dead: a second greeting shows which.
    pub(super) fn lacks_pong(&self) -> bool {
        self.lacks_pong_after(1)
    }

    /// Returns `true` if the connection is dead in any case.
    pub(super) fn is_dead(&self) -> bool {
        self.lacks_pong_after(LOOKS_UNTIL_DEAD)
    }

    fn lacks_pong_after(&self, looks: u32) -> bool {
        self.unanswered_ping().is_some() && self.looks >= looks.saturating_add(self.more_looks)
    }

    /// Returns the time of the newest ping, if nothing has arrived since.
    pub(super) fn unanswered_ping(&self) -> Option<Duration> {
        // On a platform without pings, the compiler removes everything that depends on this.
        let keepalive = self.keepalive.as_ref()?;
        self.pinged.filter(|pinged| keepalive.heard() < *pinged)
    }
}
