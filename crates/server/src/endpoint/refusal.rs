//! What a server that does not execute commands answers.

use bellwether_election::Role;
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};

use super::Cluster;

impl Cluster {
    /// Why a command cannot be executed here now; `None` on the coordinator.
    pub(super) fn refusal(&self) -> Option<ErrorFrame> {
        let role = self.election.role().borrow().clone();
        let (code, message) = match role {
            Role::Coordinator { .. } => return None,
            Role::Follower { coordinator } => {
                let message = format!("{} follows {}", self.config.id, coordinator.rank.id);
                (ErrorCode::NotCoordinator, message)
            }
            Role::Draining { .. } | Role::Left => {
                (ErrorCode::Draining, format!("{} is handing over", self.config.id))
            }
            _ => (ErrorCode::NoCoordinator, self.why_no_coordinator()),
        };
        let hint = match code {
            ErrorCode::NoCoordinator => "try the other servers, then again a moment later",
            _ => "send it with the same id to the coordinator, or to the next server of the list",
        };
        let mut refusal = ErrorFrame::new(code, Outcome::NotExecuted, message).with_hint(hint);
        refusal.coordinator = self
            .coordinator_hint()
            .filter(|hint| hint.server != self.config.id.as_str());
        Some(refusal)
    }

    /// The same error, with the trouble that MongoDB has at this moment if time has run out because of it.
    pub(super) fn explained(&self, mut error: ErrorFrame) -> ErrorFrame {
        if error.code == ErrorCode::Deadline
            && let Some(trouble) = self.lasting_trouble()
        {
            error.message = format!("{}: {trouble}", error.message);
        }
        error
    }
}
