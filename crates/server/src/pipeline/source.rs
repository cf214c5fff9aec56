//! The senders of commands.

use core::sync::atomic::{AtomicU64, Ordering};

/// The sender of a command: one client's connection. Sources share the places of the queue and of
/// the reads fairly. So do groups of sources, such as the connections from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId {
    number: u64,
    group: u64,
}

impl SourceId {
    /// A source that stands for several sources at once.
    pub(super) const SEVERAL: Self = Self { number: 0, group: 0 };

    /// Returns a source that is equal to no other in this process.
    #[expect(
        clippy::new_without_default,
        reason = "no two are equal, so none is the default"
    )]
    pub fn new() -> Self {
        let number = Self::next();
        // This is no hash of an address: those are 63 bits long.
        let group = number | 1 << 63;
        Self { number, group }
    }

    /// Returns a source of a group; the source is equal to no other in this process. Any number but
    /// 0 names a group. The highest bit of the number does not count.
    pub fn in_group(group: u64) -> Self {
        Self {
            number: Self::next(),
            group: group & (u64::MAX >> 1),
        }
    }

    pub(super) fn group(self) -> u64 {
        self.group
    }

    /// Returns `true` if this source was made before the other one.
    pub(super) fn is_older_than(self, other: Self) -> bool {
        self.number < other.number
    }

    fn next() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}
