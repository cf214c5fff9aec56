//! Reasons for which two servers do not talk to each other.

use bellwether_election::ServerId;

/// A reason for the log of this server, and the part of it that the other side is told.
///
/// A side that has not proven that it has the peer secret may be anybody. It is told what kind of
/// thing is wrong, and no name of a cluster or a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The connection is closed with it.
    pub(super) code: u16,
    /// In full, for the log of this server.
    pub(super) reason: String,
    /// For a side that has proven nothing.
    for_strangers: &'static str,
    /// The other side has proven that it has the secret.
    proven: bool,
}

impl Refusal {
    /// The other side is not who it should be.
    pub(super) const STRANGER: u16 = 4403;
    /// The other side has not shown that it is who it says.
    pub(super) const UNPROVEN: u16 = 4401;

    pub(super) fn stranger(reason: String, for_strangers: &'static str) -> Self {
        Self {
            code: Self::STRANGER,
            reason,
            for_strangers,
            proven: false,
        }
    }

    pub(super) fn unproven(reason: String, for_strangers: &'static str) -> Self {
        Self {
            code: Self::UNPROVEN,
            ..Self::stranger(reason, for_strangers)
        }
    }

    /// A message has not arrived as and when this peer sent it.
    pub(super) fn forged(peer: &ServerId) -> Self {
        Self::unproven(
            format!("a message of {peer} was altered, repeated or lost on the way"),
            "a message was altered, repeated or lost on the way",
        )
    }

    /// The same for a side that has proven that it has the secret. It is told the reason in full.
    pub(super) fn after_proof(self) -> Self {
        Self { proven: true, ..self }
    }

    /// The same, and where the other side is not even the one expected, the log says that instead:
    /// a server that was led to another cluster has another secret, too, and giving both the same
    /// would be no cure.
    pub(super) fn explained_by(self, identified: &Result<(), Refusal>) -> Self {
        match identified {
            Ok(()) => self,
            Err(better) => Self {
                reason: better.reason.clone(),
                ..self
            },
        }
    }

    /// Returns the text that the other side is told.
    pub(super) fn told(&self) -> &str {
        if self.proven {
            &self.reason
        } else {
            self.for_strangers
        }
    }
}
