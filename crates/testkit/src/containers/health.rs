use anyhow::{Context, Result, ensure};
use bellwether_protocol::Status;

use super::compose::{Compose, MEMBERS};
use crate::agreement::Agreement;
use crate::http::http_get;
use crate::wait::wait_until;

impl Compose {
    /// Waits until all servers agree on the one with the largest number and have links to each
    /// other and to MongoDB. Also waits until the replica set has a primary that the others follow.
    ///
    /// # Errors
    /// If that does not happen; the error names the missing part.
    pub async fn all_well(&self) -> Result<Agreement> {
        let agreement = wait_until("all servers to be well and to agree", async || {
            let mut views = Vec::new();
            for place in 0..self.ports().len() {
                views.push((place, self.status(place).await?));
            }
            views.iter().try_for_each(|(_, status)| {
                let peers = status.peers.iter().filter(|peer| peer.connected).count();
                ensure!(peers == views.len() - 1, "{} has links to {peers}", status.server);
                ensure!(
                    status.mongodb.available,
                    "{}: {:?}",
                    status.server,
                    status.mongodb
                );
                Ok(())
            })?;
            Agreement::on_the_largest(&views)
        })
        .await?;
        wait_until("the replica set to be well", async || {
            let mut primaries = 0;
            for member in MEMBERS {
                let hello = self.hello(member).await?;
                let says = |role| hello.get_bool(role).unwrap_or(false);
                primaries += usize::from(says("isWritablePrimary"));
                ensure!(
                    says("isWritablePrimary") || says("secondary"),
                    "{member} is neither primary nor secondary"
                );
            }
            ensure!(primaries == 1, "{primaries} primaries");
            Ok(())
        })
        .await?;
        Ok(agreement)
    }

    /// Waits until Docker finds a service healthy, or running, if its health is not looked at.
    ///
    /// # Errors
    /// If it does not become so.
    pub async fn healthy(&self, service: &str) -> Result<()> {
        wait_until("a service to be healthy", async || {
            let state = self.inspect(service).await?["State"].take();
            let health = &state["Health"]["Status"];
            let is_well = health == "healthy" || health.is_null() && state["Running"] == true;
            ensure!(is_well, "{service}: {state}");
            Ok(())
        })
        .await
    }

    /// Returns a server's status, from its published port.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self, server: usize) -> Result<Status> {
        let answer = http_get(self.ports()[server], "/status", &[]).await?;
        serde_json::from_str(&answer.body).with_context(|| format!("/status answers {}", answer.body))
    }
}
