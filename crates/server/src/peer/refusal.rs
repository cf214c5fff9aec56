//! The reasons for which a server refuses a peer.

use bellwether_election::ServerId;

/// A reason for the log of this server, and the part of it that the other side learns.
///
/// A side that has not proven that it has the peer secret may be any program. Such a side learns
/// the kind of the problem, and no name of a cluster or a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The code of the close frame.
    pub(super) code: u16,
    /// The full reason, for the log of this server.
    pub(super) reason: String,
    /// The reason for a side that has proven nothing.
    for_strangers: &'static str,
    /// Set if the other side has proven that it has the secret.
    proven: bool,
}

impl Refusal {
    /// The close code if the other side is not the expected server.
    pub(super) const STRANGER: u16 = 4403;
    /// The close code if the other side has not proven its identity.
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

    /// Returns the refusal for a message that has not arrived as and when this peer sent it.
    pub(super) fn forged(peer: &ServerId) -> Self {
        Self::unproven(
            format!("a message of {peer} was altered, repeated or lost on the way"),
            "a message was altered, repeated or lost on the way",
        )
    }

    /// Returns the same refusal for a side that has proven that it has the secret. That side learns
    /// the full reason.
    pub(super) fn after_proof(self) -> Self {
        Self { proven: true, ..self }
    }

    /// Returns the same refusal. If the other side is not even the expected server, the log gives
    /// that reason instead. A server that reached another cluster has another secret, too, and
    /// giving both the same secret would be wrong.
    pub(super) fn explained_by(self, identified: &Result<(), Refusal>) -> Self {
        match identified {
            Ok(()) => self,
            Err(better) => Self {
                reason: better.reason.clone(),
                ..self
            },
        }
    }

    /// Returns the text for the other side.
    pub(super) fn told(&self) -> &str {
        if self.proven {
            &self.reason
        } else {
            self.for_strangers
        }
    }
}
