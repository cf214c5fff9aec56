use mongodb::ServerType;
use mongodb::event::EventHandler;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use tokio::sync::watch;

use super::members::Members;

/// What the driver's monitors know of the replica set at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether a primary is known and answers.
    pub available: bool,
    /// The primary's address.
    pub primary: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
}

impl Health {
    pub(super) fn at_start() -> Self {
        Self {
            available: false,
            primary: None,
            error: Some("no member of the replica set has answered yet".to_owned()),
        }
    }

    fn of(topology: &TopologyDescription) -> Self {
        let servers = topology.servers();
        let primary = servers
            .iter()
            .find(|(_, server)| server.server_type() == ServerType::RsPrimary)
            .map(|(address, _)| address.to_string());
        let error = match &primary {
            Some(_) => None,
            None => Some(topology.compatibility_error().cloned().unwrap_or_else(|| {
                let mut errors: Vec<String> = servers
                    .iter()
                    .filter_map(|(address, server)| Some(format!("{address}: {}", server.error()?.kind)))
                    .collect();
                errors.sort_unstable();
                if errors.is_empty() {
                    "the replica set has no primary at the moment".to_owned()
                } else {
                    errors.join("; ")
                }
            })),
        };
        Self {
            available: primary.is_some(),
            primary,
            error,
        }
    }
}

/// Turns the driver's monitoring events into the newest [`Health`] and [`Members`].
pub(super) fn watch_topology(
    health: watch::Sender<Health>,
    members: watch::Sender<Members>,
) -> EventHandler<SdamEvent> {
    EventHandler::callback(move |event| {
        if let SdamEvent::TopologyDescriptionChanged(event) = event {
            let topology = &event.new_description;
            members.send_if_modified(|current| replace(current, current.next(topology)));
            health.send_if_modified(|current| replace(current, Health::of(topology)));
        }
    })
}

/// Returns whether that changed anything.
fn replace<T: PartialEq>(current: &mut T, new: T) -> bool {
    let changed = *current != new;
    *current = new;
    changed
}
