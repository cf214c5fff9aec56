use anyhow::{Context, Result, bail};
use bellwether_protocol::{RoleName, Status};

/// The coordinator and the epoch that all queried servers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The coordinator's place among the servers.
    pub coordinator: usize,
    /// Its epoch.
    pub epoch: u64,
}

impl Agreement {
    /// Returns the coordinator of these servers, each given with its place and its status. One of
    /// them must be coordinator in an epoch, and all others must follow it.
    ///
    /// # Errors
    /// If they do not agree; the error repeats the status of each.
    pub(crate) fn among(views: &[(usize, Status)]) -> Result<Self> {
        let (place, coordinator) = views
            .iter()
            .find(|(_, status)| status.role == RoleName::Coordinator)
            .with_context(|| said(views))?;
        let agreed = views.iter().all(|(other, status)| {
            let role = if other == place {
                RoleName::Coordinator
            } else {
                RoleName::Follower
            };
            let named = status.coordinator.as_ref().map(|hint| &hint.server);
            status.role == role && named == Some(&coordinator.server) && status.epoch == coordinator.epoch
        });
        match coordinator.epoch {
            Some(epoch) if agreed => Ok(Self {
                coordinator: *place,
                epoch,
            }),
            _ => bail!(said(views)),
        }
    }

    /// Does the same as [`Agreement::among`], but the coordinator must be the server with the
    /// largest number and, between equal ones, the largest id. Until then, a server that has just
    /// started may follow for a moment and then take over.
    ///
    /// # Errors
    /// If they do not agree, or on another one.
    pub(crate) fn on_the_largest(views: &[(usize, Status)]) -> Result<Self> {
        let agreement = Self::among(views)?;
        let mut ranks = Vec::new();
        for (place, status) in views {
            let number: u64 = status.number.parse()?;
            ranks.push((number, &status.server, *place));
        }
        let (_, id, largest) = ranks.into_iter().max().context("no servers")?;
        if agreement.coordinator != largest {
            bail!("{id} has the largest number: {}", said(views));
        }
        Ok(agreement)
    }
}

fn said(views: &[(usize, Status)]) -> String {
    let views = views.iter().map(|(_, status)| {
        let coordinator = status.coordinator.as_ref().map_or("nobody", |hint| &hint.server);
        format!(
            "{} ({}) follows {coordinator} in {:?}",
            status.server,
            status.role.as_str(),
            status.epoch
        )
    });
    views.collect::<Vec<_>>().join(", ")
}
