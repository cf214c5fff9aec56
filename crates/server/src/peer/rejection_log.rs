//! Log lines about rejected connections to the peer port.

use core::net::SocketAddr;

use bellwether_election::ServerId;
use tracing::warn;

use crate::log_throttle::LogThrottle;

/// Length limit of a logged reason, in characters. A reason repeats text of the other side, which
/// may be long.
const MAX_CHARACTERS: usize = 300;

/// Logs each reason once a minute for each peer, and once a minute for all strangers together. A
/// rejected server dials again every second.
#[derive(Default)]
pub(super) struct RejectionLog(LogThrottle<Option<ServerId>>);

impl RejectionLog {
    /// Writes a line, unless it was written already. `peer` must be a peer in the configuration.
    pub(super) fn warn(&self, peer: Option<&ServerId>, from: SocketAddr, reason: &str) {
        let reason = printable(reason);
        match self.0.admit_text(peer.cloned(), &reason) {
            Some(0) => warn!(%from, "{reason}"),
            Some(suppressed) => warn!(%from, suppressed, "{reason}"),
            None => {}
        }
    }
}

/// Returns the text of another program in a form that fits one line of a log.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_others_stays_on_its_line() {
        assert_eq!(printable("a\nINFO \u{1b}[31mb\r"), "aINFO [31mb");
        assert_eq!(printable(&"x".repeat(1_000)).len(), MAX_CHARACTERS);
    }
}
