//! Health and status, for people, orchestrators and load balancers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bellwether_election::Role;
use bellwether_protocol::Status;
use serde_json::json;

use super::Context;

/// Answers that the process is alive.
pub(super) async fn livez() -> Json<serde_json::Value> {
    Json(json!({ "live": true }))
}

/// Answers whether a command sent to this server is executed, or answered with the name of the
/// coordinator.
pub(super) async fn readyz(State(context): State<Context>) -> Response {
    let reason = match &*context.server.election.role().borrow() {
        Role::Coordinator { .. } => context.server.lasting_trouble().or_else(|| {
            context.server.pipeline.stalled_for().map(|stalled| {
            let batch = context.server.pipeline.batch_takes().unwrap_or_default();
            format!(
                "nothing has been executed for {} s although commands wait: the current batch has taken {} ms",
                stalled.as_secs(),
                batch.as_millis()
            )
        })
        }),
        Role::Follower { .. } => context.server.lasting_trouble(),
        Role::Draining { .. } | Role::Left => Some("the server is leaving".to_owned()),
        _ => Some(context.server.why_no_coordinator()),
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
    Json(context.server.status(context.connection_limit.counts()))
}
