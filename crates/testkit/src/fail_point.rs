use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use crate::wait::PATIENCE;

/// One of MongoDB's fail points, switched on at the member that is primary now.
///
/// It stays on until [`off`](Self::off); the end of the member's process ends it as well.
#[derive(Debug)]
pub struct FailPoint {
    admin: Database,
    name: &'static str,
    entered_before: i64,
}

impl FailPoint {
    /// Switches it on until it is switched off.
    ///
    /// # Errors
    /// If there is no primary, or it does not know this fail point.
    pub async fn on(client: &Client, name: &'static str, data: Document) -> Result<Self> {
        Self::with_mode(client, name, "alwaysOn", data).await
    }

    /// Switches it on for the next `times` occasions.
    ///
    /// # Errors
    /// As for [`FailPoint::on`].
    pub async fn times(client: &Client, name: &'static str, times: i32, data: Document) -> Result<Self> {
        Self::with_mode(client, name, doc! { "times": times }, data).await
    }

    /// Lets the first `skipped` occasions pass, and is on from the next until it is switched off.
    ///
    /// # Errors
    /// As for [`FailPoint::on`].
    pub async fn after(client: &Client, name: &'static str, skipped: i32, data: Document) -> Result<Self> {
        Self::with_mode(client, name, doc! { "skip": skipped }, data).await
    }

    async fn with_mode(
        client: &Client,
        name: &'static str,
        mode: impl Into<Bson>,
        data: Document,
    ) -> Result<Self> {
        let admin = client.database("admin");
        let command = doc! { "configureFailPoint": name, "mode": mode.into(), "data": data };
        let before = admin
            .run_command(command)
            .await
            .with_context(|| format!("switching on the fail point {name}"))?;
        let entered_before = match before.get("count") {
            Some(Bson::Int32(count)) => i64::from(*count),
            Some(Bson::Int64(count)) => *count,
            other => anyhow::bail!("MongoDB counts {other:?} entries of the fail point {name}"),
        };
        Ok(Self {
            admin,
            name,
            entered_before,
        })
    }

    /// Waits until a command has reached it.
    ///
    /// # Errors
    /// If none does within [`PATIENCE`].
    pub async fn entered(&self) -> Result<()> {
        self.entered_by(1).await
    }

    /// Waits until this number of commands have reached it.
    ///
    /// # Errors
    /// If they do not within [`PATIENCE`].
    pub async fn entered_by(&self, commands: i64) -> Result<()> {
        let wait = doc! {
            "waitForFailPoint": self.name,
            "timesEntered": self.entered_before + commands,
            "maxTimeMS": i64::try_from(PATIENCE.as_millis())?,
        };
        self.admin
            .run_command(wait)
            .await
            .with_context(|| format!("waiting for a command to reach the fail point {}", self.name))?;
        Ok(())
    }

    /// Switches it off. Commands that it holds go on.
    ///
    /// # Errors
    /// If there is no primary.
    pub async fn off(self) -> Result<()> {
        let off = doc! { "configureFailPoint": self.name, "mode": "off" };
        self.admin
            .run_command(off)
            .await
            .with_context(|| format!("switching off the fail point {}", self.name))?;
        Ok(())
    }
}
