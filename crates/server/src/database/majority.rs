//! Detects that the primary's writes do not reach a majority.
//!
//! A primary stays primary with votes, and an arbiter member has a vote. A primary commits with
//! data, and an arbiter member has none. If a set of a primary, a secondary and an arbiter member
//! has lost the secondary, it looks healthy but commits nothing. The primary itself shows that.
//! Each of its replies to `hello` has the position of its last write, and the position of the last
//! write of a majority. This also works with hidden members and with members that lag behind.

use core::time::Duration;

use bson::{Document, Timestamp};
use tokio::time::Instant;

/// Time for which a write may be on its way to the majority before that counts as trouble.
const LATE: Duration = Duration::from_secs(5);

/// The progress of one primary's writes.
#[derive(Debug, Default)]
pub(super) struct Majority {
    /// The last write that a majority had while it was behind the primary, and the time since which
    /// it has had no newer write.
    behind: Option<(Timestamp, Instant)>,
}

impl Majority {
    /// Records a primary's reply to `hello`. A reply of any other member changes nothing.
    pub(super) fn observe(&mut self, hello: &Document, now: Instant) {
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return;
        }
        let Some((written, committed)) = places(hello) else {
            return;
        };
        self.behind = match self.behind {
            _ if committed >= written => None,
            Some((before, since)) if before == committed => Some((before, since)),
            _ => Some((committed, now)),
        };
    }

    /// Forgets the progress, because there is another primary, or none.
    pub(super) fn forget(&mut self) {
        self.behind = None;
    }

    /// Returns `true` if writes have waited for a majority for five seconds, and none of them has
    /// reached it.
    pub(super) fn is_missing(&self, now: Instant) -> bool {
        self.behind.is_some_and(|(_, since)| now >= since + LATE)
    }
}

/// Returns the position of the primary's last write, and the position of the last write of a
/// majority.
fn places(hello: &Document) -> Option<(Timestamp, Timestamp)> {
    let last = hello.get_document("lastWrite").ok()?;
    let place = |name| last.get_document(name).ok()?.get_timestamp("ts").ok();
    Some((place("opTime")?, place("majorityOpTime")?))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn hello(written: u32, committed: u32) -> Document {
        let place = |time| doc! { "ts": Timestamp { time, increment: 1 }, "t": 1_i64 };
        doc! {
            "isWritablePrimary": true,
            "lastWrite": { "opTime": place(written), "majorityOpTime": place(committed) },
        }
    }

    #[test]
    fn writes_that_reach_no_majority_are_noticed() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut majority = Majority::default();
        majority.observe(&hello(10, 10), at(0));
        majority.observe(&hello(11, 10), at(1));
        majority.observe(&hello(14, 10), at(5));
        assert!(!majority.is_missing(at(5)));
        assert!(majority.is_missing(at(6)));
        // A secondary has caught up.
        majority.observe(&hello(14, 14), at(7));
        assert!(!majority.is_missing(at(60)));
    }

    #[test]
    fn a_majority_that_follows_at_a_distance_is_there() {
        let begun = Instant::now();
        let mut majority = Majority::default();
        for second in 0..60_u32 {
            let now = begun + Duration::from_secs(second.into());
            majority.observe(&hello(second + 10, second + 1), now);
            assert!(!majority.is_missing(now));
        }
    }

    #[test]
    fn other_members_and_other_primaries_say_nothing_about_it() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(60);
        let mut majority = Majority::default();
        let mut secondary = hello(11, 10);
        secondary.insert("isWritablePrimary", false);
        majority.observe(&secondary, begun);
        majority.observe(&doc! { "isWritablePrimary": true }, begun);
        assert!(!majority.is_missing(later));
        majority.observe(&hello(11, 10), begun);
        majority.forget();
        assert!(!majority.is_missing(later));
    }
}
