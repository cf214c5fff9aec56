//! Tasks that keep the parts of a running server consistent.

use core::mem::discriminant;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_election::{Election, Epoch, Role};
use tracing::{error, info, warn};

use crate::database::Database;
use crate::peer::Directory;
use crate::pipeline::Pipeline;
use crate::server_state::ServerState;

/// Makes the pipeline lead exactly while this server is coordinator.
pub(super) async fn keep_pipeline_in_step(server: Arc<ServerState>) {
    let ServerState {
        election, pipeline, ..
    } = &*server;
    let mut role = election.role();
    loop {
        let now = role.borrow_and_update().clone();
        match now {
            Role::Coordinator { epoch } => {
                if let Err(error) = pipeline.lead(epoch.0).await {
                    // A later claim of this server has replaced this epoch. The role with the later
                    // epoch follows.
                    warn!(%error, "cannot begin to lead");
                    election.step_down(epoch);
                }
            }
            Role::Draining { epoch, .. } => {
                pipeline.retire().await;
                election.drained(epoch);
            }
            _ => pipeline.retire().await,
        }
        if role.changed().await.is_err() {
            return pipeline.retire().await;
        }
    }
}

/// Reports to the election whether this server is eligible. A server is not eligible while it sees
/// no primary, or while peers refuse it and none has accepted it.
pub(super) async fn report_eligibility(election: Election, database: Database, directory: Directory) {
    let mut health = database.health();
    let mut admission = directory.admission();
    let mut role = election.role();
    let mut said_shut_out = None;
    loop {
        if matches!(
            *role.borrow_and_update(),
            Role::Coordinator { .. } | Role::Follower { .. }
        ) {
            directory.accepted();
        }
        let available = health.borrow_and_update().available;
        let shut_out = admission.borrow_and_update().shut_out();
        if said_shut_out != shut_out {
            match &shut_out {
                Some(why) => warn!("{why}"),
                None => info!("no longer refused by all: it may stand"),
            }
            said_shut_out.clone_from(&shut_out);
        }
        election.set_eligible(available && shut_out.is_none());
        // The topology changes for many other reasons, which are not relevant here.
        let changed = tokio::select! {
            changed = health.wait_for(|health| health.available != available) => changed.is_ok(),
            changed = admission.wait_for(|admission| admission.shut_out() != shut_out) => changed.is_ok(),
            changed = role.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
        };
        if !changed {
            return error!("the task that reports whether this server is eligible has ended");
        }
    }
}

/// Logs the trouble with MongoDB at each change of its kind.
pub(super) async fn report_trouble(database: Database) {
    let mut health = database.health();
    let mut said = None;
    loop {
        let now = health.borrow_and_update().clone();
        let kind = now.trouble.as_ref().map(discriminant);
        if said != Some(kind) {
            match now.error {
                None => info!(primary = now.primary, "MongoDB has a primary"),
                Some(error) if now.available => warn!(error, "MongoDB cannot commit"),
                Some(error) if now.primary.is_some() => warn!(error, "MongoDB refuses this server"),
                Some(error) => warn!(error, "MongoDB has no reachable primary"),
            }
            said = Some(kind);
        }
        if health.changed().await.is_err() {
            return;
        }
    }
}

pub(super) async fn report_fencing(election: Election, pipeline: Pipeline) {
    let mut fenced = pipeline.fenced();
    while fenced.changed().await.is_ok() {
        let epoch = *fenced.borrow_and_update();
        if let Some(epoch) = epoch {
            warn!(
                epoch,
                "a newer coordinator has been granted an epoch: stepping down"
            );
            election.step_down(Epoch(epoch));
        }
    }
}

pub(super) async fn note_role_changes(server: Arc<ServerState>) {
    let mut role = server.election.role();
    while role.changed().await.is_ok() {
        role.borrow_and_update();
        server.role_changed_at.set(SystemTime::now());
    }
}
