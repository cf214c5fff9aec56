//! Room for the replies of one connection, reserved before the replies exist.

use std::sync::Arc;

use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};
use tokio::time::Instant;

use super::reply_budget::{ReplyBudget, Reservation, SMALL};

/// Expected size of the first reply to a read on a connection, in bytes.
const FIRST_REPLY: usize = 64 * 1024;

pub(super) struct Replies {
    reply_budget: Arc<ReplyBudget>,
    group: u64,
    /// Bytes that the replies to reads in progress are expected to take.
    expected: usize,
    /// The size of the last reply to a read, in bytes. The next one is expected to have the same
    /// size.
    last: Option<usize>,
}

/// The bytes that were reserved for a read's reply before its size was known.
pub(super) struct Expected {
    /// Bytes of the connection's own share.
    bytes: usize,
    held: Reservation,
}

impl Replies {
    pub(super) fn new(reply_budget: &Arc<ReplyBudget>, group: u64) -> Self {
        Self {
            reply_budget: Arc::clone(reply_budget),
            group,
            expected: 0,
            last: None,
        }
    }

    /// Returns the expected size of all replies to reads in progress, in bytes.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    /// Reserves room for the reply to a read. `unsent` is the number of bytes that already wait for
    /// the client.
    ///
    /// # Errors
    /// An error frame for the client if there is no room, so that the read is not executed.
    pub(super) fn expect(&mut self, unsent: usize) -> Result<Expected, ErrorFrame> {
        // The size of the first reply is not known, and the read must not be refused for room that
        // its reply may not need.
        let hold = self.last.unwrap_or(SMALL);
        let Some(held) = self.reply_budget.hold(hold, unsent + self.expected, self.group) else {
            // The next read may have a short reply, and must not be refused because of the last
            // reply, too.
            self.last = None;
            return Err(self.no_room(hold, Outcome::NotExecuted));
        };
        let bytes = self.last.unwrap_or(FIRST_REPLY);
        self.expected += bytes;
        Ok(Expected { bytes, held })
    }

    /// Replaces the expected size by the real size, `size` bytes. Returns `None` if there is no
    /// room for them.
    pub(super) fn settle(&mut self, expected: Expected, size: usize, unsent: usize) -> Option<Reservation> {
        self.expected -= expected.bytes;
        expected.held.instead(size, unsent + self.expected)
    }

    /// Remembers the size of a read's reply.
    pub(super) fn learn(&mut self, size: usize) {
        self.last = Some(size.max(SMALL));
    }

    /// Reserves room for an answer that was not expected. Returns `None` if there is none.
    pub(super) fn hold(&self, size: usize, unsent: usize) -> Option<Reservation> {
        self.reply_budget.hold(size, unsent + self.expected, self.group)
    }

    /// Returns the answer that replaces a reply of `size` bytes without room. The client can repeat
    /// a read. The reply to a write is stored unless it is long.
    pub(super) fn no_room(&self, size: usize, outcome: Outcome) -> ErrorFrame {
        let message = "too many replies wait to be taken by their clients";
        let hint = match outcome {
            Outcome::Executed => {
                "the command is executed; send it again with the same id for its reply, which is kept unless it is long"
            }
            _ => "send it again with the same id",
        };
        let mut frame = ErrorFrame::new(ErrorCode::Overloaded, outcome, message).with_hint(hint);
        let pace = &self.reply_budget.pace;
        let retry_after = pace.retry_after(size, self.group, Instant::now());
        frame.retry_after_ms = u64::try_from(retry_after.as_millis()).ok();
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_reply_is_expected_to_be_like_the_last() {
        let reply_budget = ReplyBudget::new(1_000_000);
        let mut replies = Replies::new(&reply_budget, 1);
        let first = replies.expect(0).unwrap();
        assert_eq!(replies.expected(), FIRST_REPLY);
        replies.learn(300_000);
        let held = replies.settle(first, 300_000, 0).unwrap();
        assert_eq!((replies.expected(), held.bytes), (0, 300_000));
        let second = replies.expect(held.bytes).unwrap();
        assert_eq!(replies.expected(), 300_000);
        // The client has taken the first one meanwhile.
        drop(held);
        replies.learn(10);
        assert!(replies.settle(second, 10, 0).is_some());
        let _third = replies.expect(0).unwrap();
        assert_eq!(replies.expected(), SMALL);
    }

    #[test]
    fn a_long_reply_refuses_one_read_and_not_those_after_it() {
        let reply_budget = ReplyBudget::new(1_000_000);
        let mut replies = Replies::new(&reply_budget, 1);
        replies.learn(900_000);
        let _others = reply_budget.hold(999_000, 0, 2).unwrap();
        let refusal = replies.expect(0).err().unwrap();
        assert_eq!(
            (refusal.code, refusal.outcome),
            (ErrorCode::Overloaded, Outcome::NotExecuted)
        );
        assert_eq!(replies.expected(), 0);
        assert!(replies.expect(0).is_ok());
        replies.learn(900_000);
        let later = replies.expect(0).err().unwrap();
        assert!(later.retry_after_ms > refusal.retry_after_ms, "{later:?}");
    }
}
