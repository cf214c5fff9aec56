//! The state of a server that its endpoint, its tasks and its owner share.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_election::{Election, PeerView, Role, ServerId};
use bellwether_protocol::{
    ConnectionCounts, CoordinatorHint, DatabaseStatus, ErrorCode, ErrorFrame, Outcome, PeerStatus, RoleName,
    Status,
};

use crate::access::Authenticator;
use crate::config::Config;
use crate::database::Database;
use crate::peer::Directory;
use crate::pipeline::Pipeline;
use crate::tls::Tls;

/// A server: its configuration and its parts, and the answers that follow from their state.
pub(crate) struct ServerState {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) directory: Directory,
    pub(crate) election: Election,
    pub(crate) pipeline: Pipeline,
    /// TLS for clients, if the server speaks it.
    pub(crate) tls: Option<Tls>,
    pub(crate) role_changed_at: RoleChangedAt,
    /// Absent if the server asks no client for its identity.
    pub(crate) access: Option<Arc<Authenticator>>,
}

impl ServerState {
    /// Returns the coordinator that this server knows, which may be this server itself.
    pub(crate) fn coordinator(&self) -> Option<ServerId> {
        match &*self.election.role().borrow() {
            Role::Follower { coordinator } => Some(coordinator.rank.id.clone()),
            Role::Coordinator { .. } => Some(self.config.id.clone()),
            Role::Draining { successor, .. } => successor.clone(),
            _ => None,
        }
    }

    pub(crate) fn why_no_coordinator(&self) -> String {
        let health = self.database.health().borrow().clone();
        match health.error {
            Some(error) if health.primary.is_none() => {
                format!("no coordinator, since MongoDB has no reachable primary: {error}")
            }
            Some(error) => format!("no coordinator, since it cannot work with MongoDB: {error}"),
            None => match self.directory.admission().borrow().shut_out() {
                Some(why) => format!("no coordinator is known: {why}"),
                None => "no coordinator: an election is under way".to_owned(),
            },
        }
    }

    /// Returns the trouble with MongoDB that lasts until an operator changes something.
    pub(crate) fn lasting_trouble(&self) -> Option<String> {
        self.database
            .health()
            .borrow()
            .lasting_trouble()
            .map(str::to_owned)
    }

    pub(crate) fn role_name(&self) -> RoleName {
        match &*self.election.role().borrow() {
            Role::Coordinator { .. } => RoleName::Coordinator,
            Role::Follower { .. } => RoleName::Follower,
            Role::Draining { .. } | Role::Left => RoleName::Draining,
            _ => RoleName::Electing,
        }
    }

    pub(crate) fn coordinator_hint(&self) -> Option<CoordinatorHint> {
        let server = self.coordinator()?;
        Some(CoordinatorHint {
            url: self.directory.url(&server),
            server: server.to_string(),
        })
    }

    pub(crate) fn epoch(&self) -> Option<u64> {
        Some(self.election.view().epoch.0).filter(|epoch| *epoch > 0)
    }

    /// Returns the answer to `/status`.
    pub(crate) fn status(&self, connections: ConnectionCounts) -> Status {
        let view = self.election.view();
        let health = self.database.health().borrow().clone();
        let admission = self.directory.admission();
        let peer = |peer: PeerView| PeerStatus {
            url: self.directory.url(&peer.id),
            number: peer.member.map(|member| member.rank.number.to_string()),
            connected: peer.connected,
            error: admission.borrow().refusal(&peer.id).map(str::to_owned),
            server: peer.id.to_string(),
        };
        Status {
            cluster: self.config.cluster.clone(),
            server: self.config.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            number: view.member.rank.number.to_string(),
            role: self.role_name(),
            since_ms: self.role_changed_at.ms(),
            epoch: self.epoch(),
            coordinator: self.coordinator_hint(),
            peers: view.peers.into_iter().map(peer).collect(),
            mongodb: DatabaseStatus {
                available: health.available,
                primary: health.primary,
                error: health.error,
            },
            commands: self.pipeline.counts(),
            connections,
            tls: self.tls.as_ref().map(|tls| tls.certificate().status()),
            access_version: self.access.as_ref().map(|access| access.version()),
        }
    }

    /// Returns the answer to a command that cannot be executed here now. Returns `None` on the
    /// coordinator.
    pub(crate) fn refusal(&self) -> Option<ErrorFrame> {
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

    /// Returns the same error. If time has run out because of a lasting trouble with MongoDB, the
    /// message then names the trouble.
    pub(crate) fn explained(&self, mut error: ErrorFrame) -> ErrorFrame {
        if error.code == ErrorCode::Deadline
            && let Some(trouble) = self.lasting_trouble()
        {
            error.message = format!("{}: {trouble}", error.message);
        }
        error
    }
}

/// The time at which the role last changed, in milliseconds since the Unix epoch.
pub(crate) struct RoleChangedAt(AtomicU64);

impl From<SystemTime> for RoleChangedAt {
    fn from(time: SystemTime) -> Self {
        Self(AtomicU64::new(unix_ms(time)))
    }
}

impl RoleChangedAt {
    pub(crate) fn set(&self, time: SystemTime) {
        self.0.store(unix_ms(time), Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
