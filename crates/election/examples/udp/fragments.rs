//! Messages that do not fit into one datagram: cut into fragments and put together again.
//!
//! Every network carries a fragment whole, so a fragment is shorter than most messages can become.
//! An answer with a full roster can have 1,600 bytes. IP would cut such a datagram up itself, which
//! many networks do not let through. Above 64 KiB nothing can be sent at all.
//!
//! A fragment has a header and its part of the text. The header has the number of its message (4
//! bytes), its place (2 bytes) and the number of fragments (2 bytes), all big-endian.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const HEADER: usize = 8;
/// IPv6 carries 1,280 bytes on every path, of which the headers of IP and UDP take 48.
pub(crate) const LONGEST_DATAGRAM: usize = 1_232;
const PART: usize = LONGEST_DATAGRAM - HEADER;
/// The longest message. An honest peer sends much shorter ones: they have at most eight servers, of
/// 200 bytes each.
pub(crate) const LONGEST_MESSAGE: usize = 256 * 1024;

/// Highest number of messages of one peer that are put together at a time. More would only help a
/// peer that wastes memory.
const UNFINISHED: usize = 4;
/// A fragment that has not come within this time is lost, and its message too.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// Cuts a message into datagrams. Returns `None` if it is longer than [`LONGEST_MESSAGE`].
pub(crate) fn cut(number: u32, message: &[u8]) -> Option<impl Iterator<Item = Vec<u8>> + '_> {
    if message.is_empty() || message.len() > LONGEST_MESSAGE {
        return None;
    }
    let parts = message.chunks(PART);
    let count = u16::try_from(parts.len()).ok()?;
    let datagram = move |(place, part): (u16, &[u8])| {
        let header = [
            &number.to_be_bytes()[..],
            &place.to_be_bytes(),
            &count.to_be_bytes(),
        ];
        [&header.concat(), part].concat()
    };
    Some((0..count).zip(parts).map(datagram))
}

/// The fragments of one peer that are not complete yet, at most 1 MiB.
#[derive(Default)]
pub(crate) struct Assembly {
    /// The oldest first.
    unfinished: VecDeque<Unfinished>,
}

struct Unfinished {
    number: u32,
    began: Instant,
    parts: Vec<Option<Vec<u8>>>,
}

impl Assembly {
    /// Takes a datagram. Gives the message that it completes, if it completes one.
    pub(crate) fn take(&mut self, datagram: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (header, part) = datagram.split_first_chunk::<HEADER>()?;
        let [n0, n1, n2, n3, p0, p1, c0, c1] = *header;
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let place = usize::from(u16::from_be_bytes([p0, p1]));
        let count = usize::from(u16::from_be_bytes([c0, c1]));
        let last = place + 1 == count;
        if place >= count || count > LONGEST_MESSAGE.div_ceil(PART) || part.is_empty() {
            return None;
        }
        // Every part but the last is full.
        if part.len() > PART || (!last && part.len() < PART) {
            return None;
        }
        if count == 1 {
            return Some(part.to_vec());
        }
        self.unfinished
            .retain(|message| now.saturating_duration_since(message.began) < TIME_LIMIT);
        let known = self
            .unfinished
            .iter()
            .position(|message| message.number == number);
        let at = known.unwrap_or_else(|| {
            if self.unfinished.len() == UNFINISHED {
                self.unfinished.pop_front();
            }
            self.unfinished.push_back(Unfinished {
                number,
                began: now,
                parts: vec![None; count],
            });
            self.unfinished.len() - 1
        });
        let message = self.unfinished.get_mut(at)?;
        // Of another message with the same number if there is no such place, or another count.
        if message.parts.len() != count {
            return None;
        }
        *message.parts.get_mut(place)? = Some(part.to_vec());
        if message.parts.iter().any(Option::is_none) {
            return None;
        }
        let complete = self.unfinished.remove(at)?;
        Some(complete.parts.into_iter().flatten().flatten().collect())
    }
}
