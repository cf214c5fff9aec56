use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bson::{Document, doc};
use mongodb::Client;
use mongodb::options::{ClientOptions, Credential, ReadConcern, ServerAddress};
use tempfile::TempDir;

use super::compose::{Compose, MEMBERS};
use super::docker::docker;
use crate::wait::wait_until;

impl Compose {
    /// Returns the member of the replica set that is the primary.
    ///
    /// # Errors
    /// If none is for a long time.
    pub async fn primary(&self) -> Result<String> {
        wait_until("a primary of the replica set", async || {
            for member in MEMBERS {
                let hello = self.hello(member).await;
                if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                    return Ok(member.to_owned());
                }
            }
            bail!("there is none")
        })
        .await
    }

    /// Returns a driver's client for the primary, without the servers, with the credentials that
    /// the servers have.
    ///
    /// The database's network has no way out, but the machine itself is in it.
    ///
    /// # Errors
    /// If there is no primary.
    pub async fn client(&self) -> Result<Client> {
        let mut options = self.direct(&self.primary().await?).await?;
        options.credential = Some(
            self.credential
                .get_or_try_init(|| self.read_credential())
                .await?
                .clone(),
        );
        Ok(Client::with_options(options)?)
    }

    /// Returns a driver's client for the primary that does not authenticate.
    ///
    /// # Errors
    /// If there is no primary.
    pub async fn stranger(&self) -> Result<Client> {
        Ok(Client::with_options(self.direct(&self.primary().await?).await?)?)
    }

    pub(super) async fn hello(&self, member: &str) -> Result<Document> {
        let client = Client::with_options(self.direct(member).await?)?;
        Ok(client.database("admin").run_command(doc! { "hello": 1 }).await?)
    }

    /// Copies a file or a directory out of a service's container, into this directory.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn copy_out(&self, service: &str, path: &str, to: &Path) -> Result<()> {
        let from = format!("{}:{path}", self.container(service).await?);
        let args = ["cp".as_ref(), from.as_ref(), to.as_os_str()];
        docker(args).await.map(drop)
    }

    /// Reads the credentials from the servers' file.
    async fn read_credential(&self) -> Result<Credential> {
        let seen = self.inspect("s1").await?;
        let environment = seen["Config"]["Env"].as_array().into_iter().flatten();
        let path = environment
            .filter_map(|setting| setting.as_str()?.strip_prefix("BELLWETHER_MONGODB_URI_FILE="))
            .next()
            .context("s1 has no BELLWETHER_MONGODB_URI_FILE")?;
        let dir = TempDir::with_prefix("bellwether-uri-")?;
        let copy = dir.path().join("uri");
        self.copy_out("s1", path, &copy).await?;
        let uri = std::fs::read_to_string(&copy)?;
        let options = ClientOptions::parse(uri.trim()).await?;
        options.credential.context("the servers' URI names no user")
    }

    async fn direct(&self, member: &str) -> Result<ClientOptions> {
        let host = self.address(member, "database").await?;
        let address = ServerAddress::Tcp {
            host,
            port: Some(27017),
        };
        Ok(ClientOptions::builder()
            .hosts(vec![address])
            .direct_connection(true)
            .read_concern(ReadConcern::majority())
            .connect_timeout(Duration::from_secs(1))
            .server_selection_timeout(Duration::from_secs(2))
            .build())
    }
}
