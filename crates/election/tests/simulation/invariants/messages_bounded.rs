use super::{Fact, Invariant, Scene};
use crate::clock::{MS, Micros, micros};

/// No server sends messages without end: in one step it sends at most a few messages to each other
/// server. All together send at most [`PER_HEARTBEAT`] to each other server within a heartbeat. If
/// false messages name a server as their sender, and the server contradicts them, the others ask
/// both senders again and again. They stop when the false messages no longer count.
#[derive(Default)]
pub(super) struct MessagesBounded {
    window: Micros,
    sent: usize,
    /// Number of additional messages that a paused server may send, in answer to all messages that
    /// it gets when it wakes.
    credit: usize,
    lied_until: Micros,
}

/// A heartbeat and its answer make 2 for each follower. An election makes more for as long as it
/// lasts, and packets may be duplicated. A loop of messages that cause each other makes hundreds,
/// at a round trip of a millisecond.
const PER_HEARTBEAT: usize = 20;

/// An answer, and an answer to that.
const PER_HELD_UP: usize = 2;

/// A heartbeat, a challenge, a withdrawal and a vote.
const PER_STEP: usize = 4;

impl Invariant for MessagesBounded {
    fn name(&self) -> &'static str {
        "messages_bounded"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        let others = scene.servers.len().max(2) - 1;
        let heartbeat = micros(scene.config.heartbeat).max(10 * MS);
        let window = scene.at / heartbeat;
        if window != self.window {
            (self.window, self.sent) = (window, 0);
        }
        let sent = facts
            .iter()
            .filter(|fact| matches!(fact, Fact::Sent { .. }))
            .count();
        let held_up = facts.iter().filter(|fact| matches!(fact, Fact::HeldUp)).count();
        self.credit += held_up * PER_HELD_UP;
        for fact in facts {
            if let Fact::Lied { until } = fact {
                self.lied_until = self.lied_until.max(*until + 2 * micros(scene.config.timeout));
            }
        }
        self.sent += sent;
        if sent > PER_STEP * others {
            return Err(format!("{sent} messages in one step to {others} others"));
        }
        let most = PER_HEARTBEAT * others * scene.servers.len();
        let excess = self.sent.saturating_sub(most);
        (self.sent, self.credit) = (self.sent.min(most), self.credit.saturating_sub(excess));
        if excess > 0 && self.credit == 0 && scene.at > self.lied_until {
            return Err(format!("more than {most} messages within one heartbeat"));
        }
        Ok(())
    }
}
