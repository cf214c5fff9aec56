//! What the log says of those who are turned away.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bellwether_election::ServerId;
use tokio::time::Instant;
use tracing::warn;

/// A server that is turned away calls again every second. One line in this time is enough.
const QUIET: Duration = Duration::from_secs(60);
/// Different reasons of one peer in that time. Who calls can make up as many as it likes.
const REASONS: usize = 8;
/// A reason repeats what the other side has said, and that may be long.
const MAX_CHARACTERS: usize = 300;

/// Says each reason once a minute for each peer, and once for all who are none, however often they call.
#[derive(Default)]
pub(super) struct Complaints(Mutex<BTreeMap<Option<ServerId>, Said>>);

struct Said {
    since: Instant,
    reasons: Vec<String>,
    unsaid: u64,
}

impl Complaints {
    /// To the log, unless it was said already. `peer` must be one that the configuration names.
    pub(super) fn warn(&self, peer: Option<&ServerId>, from: SocketAddr, reason: &str) {
        let reason = printable(reason);
        match self.admit(peer, &reason) {
            Some(0) => warn!(%from, "{reason}"),
            Some(unsaid) => warn!(%from, unsaid, "{reason}"),
            None => {}
        }
    }

    /// How many were kept quiet since the last that was said, if this one is to be said.
    fn admit(&self, peer: Option<&ServerId>, reason: &str) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = all.entry(peer.cloned()).or_insert_with(|| Said {
            since: Instant::now(),
            reasons: Vec::new(),
            unsaid: 0,
        });
        if said.since.elapsed() >= QUIET {
            said.since = Instant::now();
            said.reasons.clear();
        }
        if said.reasons.len() >= REASONS || said.reasons.iter().any(|earlier| earlier == reason) {
            said.unsaid += 1;
            return None;
        }
        said.reasons.push(reason.to_owned());
        Some(core::mem::take(&mut said.unsaid))
    }
}

/// What others have said, fit for one line of a log.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reason_is_said_once_a_minute_for_each_peer() {
        let complaints = Complaints::default();
        let (s1, s2): (ServerId, ServerId) = ("s1".parse().unwrap(), "s2".parse().unwrap());
        assert_eq!(complaints.admit(Some(&s1), "a"), Some(0));
        assert_eq!(complaints.admit(Some(&s1), "a"), None);
        assert_eq!(complaints.admit(Some(&s2), "a"), Some(0));
        assert_eq!(complaints.admit(None, "a"), Some(0));
        assert_eq!(complaints.admit(Some(&s1), "b"), Some(1));
        tokio::time::advance(QUIET).await;
        assert_eq!(complaints.admit(Some(&s1), "a"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_reasons_do_not_fill_the_log() {
        let complaints = Complaints::default();
        let said = (0..1_000)
            .filter(|n: &usize| complaints.admit(None, &n.to_string()).is_some())
            .count();
        assert_eq!(said, REASONS);
        tokio::time::advance(QUIET).await;
        assert_eq!(complaints.admit(None, "again"), Some(1_000 - REASONS as u64));
    }

    #[test]
    fn what_others_say_stays_on_its_line() {
        assert_eq!(printable("a\nINFO \u{1b}[31mb\r"), "aINFO [31mb");
        assert_eq!(printable(&"x".repeat(1_000)).len(), MAX_CHARACTERS);
    }
}
