//! Health and status, for people and for whatever restarts or routes to servers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bellwether_election::{PeerView, Role};
use bellwether_protocol::{ConnectionCounts, CoordinatorHint, DatabaseStatus, PeerStatus, RoleName, Status};
use serde_json::json;

use super::{Cluster, Context};

/// The process is alive.
pub(super) async fn livez() -> Json<serde_json::Value> {
    Json(json!({ "live": true }))
}

/// Whether commands sent here are executed, or answered with who executes them.
pub(super) async fn readyz(State(context): State<Context>) -> Response {
    let reason = match &*context.cluster.election.role().borrow() {
        Role::Coordinator { .. } => context.cluster.lasting_trouble().or_else(|| {
            context.cluster.pipeline.stalled_for().map(|stalled| {
            let batch = context.cluster.pipeline.batch_takes().unwrap_or_default();
            format!(
                "nothing has been executed for {} s although commands wait: the batch in hand has taken {} ms",
                stalled.as_secs(),
                batch.as_millis()
            )
        })
        }),
        Role::Follower { .. } => context.cluster.lasting_trouble(),
        Role::Draining { .. } | Role::Left => Some("the server is leaving".to_owned()),
        _ => Some(context.cluster.why_no_coordinator()),
    };
    match reason {
        None => Json(json!({ "ready": true })).into_response(),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "reason": reason })),
        )
            .into_response(),
    }
}

pub(super) async fn status(State(context): State<Context>) -> Json<Status> {
    Json(context.cluster.status(context.places.counts()))
}

impl Cluster {
    pub(super) fn why_no_coordinator(&self) -> String {
        let health = self.database.health().borrow().clone();
        match health.error {
            Some(error) if health.primary.is_none() => {
                format!("no coordinator, since MongoDB has no reachable primary: {error}")
            }
            Some(error) => format!("no coordinator, since it cannot work with MongoDB: {error}"),
            None => match self.directory.reception().borrow().shut_out() {
                Some(why) => format!("no coordinator is known: {why}"),
                None => "no coordinator: an election is under way".to_owned(),
            },
        }
    }

    /// The trouble with MongoDB that stays until somebody changes something.
    pub(super) fn lasting_trouble(&self) -> Option<String> {
        self.database
            .health()
            .borrow()
            .lasting_trouble()
            .map(str::to_owned)
    }

    pub(super) fn role_name(&self) -> RoleName {
        match &*self.election.role().borrow() {
            Role::Coordinator { .. } => RoleName::Coordinator,
            Role::Follower { .. } => RoleName::Follower,
            Role::Draining { .. } | Role::Left => RoleName::Draining,
            _ => RoleName::Electing,
        }
    }

    pub(super) fn coordinator_hint(&self) -> Option<CoordinatorHint> {
        let server = self.coordinator()?;
        Some(CoordinatorHint {
            url: self.directory.url(&server),
            server: server.to_string(),
        })
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        Some(self.election.view().epoch.0).filter(|epoch| *epoch > 0)
    }

    fn status(&self, connections: ConnectionCounts) -> Status {
        let view = self.election.view();
        let health = self.database.health().borrow().clone();
        let reception = self.directory.reception();
        let peer = |peer: PeerView| PeerStatus {
            url: self.directory.url(&peer.id),
            number: peer.member.map(|member| member.rank.number.to_string()),
            connected: peer.connected,
            error: reception.borrow().refusal(&peer.id).map(str::to_owned),
            server: peer.id.to_string(),
        };
        Status {
            cluster: self.config.cluster.clone(),
            server: self.config.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            number: view.member.rank.number.to_string(),
            role: self.role_name(),
            since_ms: self.since.ms(),
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
        }
    }
}
