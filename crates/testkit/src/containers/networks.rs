use anyhow::{Context, Result};
use serde_json::Value;

use super::compose::Compose;
use super::docker::docker;

/// A container's membership in a network, and its name there.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    network: String,
    aliases: Vec<String>,
}

impl Compose {
    /// Takes a service out of these of the project's networks, such as `peers`.
    ///
    /// # Errors
    /// If it is not in them.
    pub async fn cut(&self, service: &str, networks: &[&str]) -> Result<()> {
        let container = self.container(service).await?;
        for network in networks {
            docker(["network", "disconnect", &self.network(network).await?, &container]).await?;
        }
        Ok(())
    }

    /// Returns the address of a service in one of the project's networks.
    ///
    /// # Errors
    /// If it is not in it.
    pub async fn address(&self, service: &str, network: &str) -> Result<String> {
        let network = self.network(network).await?;
        let seen = self.inspect(service).await?;
        let address = seen["NetworkSettings"]["Networks"][&network]["IPAddress"].as_str();
        let address = address.filter(|address| !address.is_empty());
        let address = address.with_context(|| format!("{service} has no address in {network}"))?;
        Ok(address.to_owned())
    }

    /// Puts every service that keeps running back into its networks, under its names there, and
    /// starts it.
    ///
    /// # Errors
    /// If Docker refuses.
    pub async fn mend(&self) -> Result<()> {
        for service in self.lasting_services() {
            let seen = self.inspect(&service).await?;
            let container = seen["Id"].as_str().context("a container has an id")?;
            let attached = attachments(&seen);
            for lost in self.attachments.get(&service).into_iter().flatten() {
                if attached
                    .iter()
                    .any(|attachment| attachment.network == lost.network)
                {
                    continue;
                }
                let mut connect = vec!["network", "connect"];
                // Docker forgets a container's name in a network that it leaves.
                connect.extend(lost.aliases.iter().flat_map(|alias| ["--alias", alias]));
                connect.extend([lost.network.as_str(), container]);
                docker(connect).await?;
            }
            let is = |state: &str| seen["State"][state] == true;
            if is("Paused") {
                docker(["unpause", container]).await?;
            } else if !is("Running") {
                docker(["start", container]).await?;
            }
        }
        Ok(())
    }

    /// Remembers the network memberships of all containers, for [`mend`](Self::mend).
    pub(super) async fn note_attachments(&mut self) -> Result<()> {
        for service in self.lasting_services() {
            let attachments = attachments(&self.inspect(&service).await?);
            self.attachments.insert(service, attachments);
        }
        Ok(())
    }
}

fn attachments(seen: &Value) -> Vec<Attachment> {
    let networks = seen["NetworkSettings"]["Networks"].as_object();
    let attachments = networks.into_iter().flatten().map(|(network, settings)| {
        let aliases = settings["Aliases"].as_array().into_iter().flatten();
        let aliases = aliases.filter_map(Value::as_str);
        // Docker itself adds the begin of the container's id.
        let aliases = aliases.filter(|alias| !seen["Id"].as_str().is_some_and(|id| id.starts_with(alias)));
        Attachment {
            network: network.clone(),
            aliases: aliases.map(str::to_owned).collect(),
        }
    });
    attachments.collect()
}
