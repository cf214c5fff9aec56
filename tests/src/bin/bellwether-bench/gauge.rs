use std::time::Duration;

use anyhow::{Context, Result};
use bson::doc;
use mongodb::Client;

use crate::processes::cpu_time;

/// The processes whose use of the machine is read.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    pub(crate) servers: Vec<u32>,
    pub(crate) mongods: Vec<u32>,
    pub(crate) client: Client,
}

/// The use of the machine since the processes started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Processor time of all servers together.
    pub(crate) servers: Duration,
    /// Of all members of the replica set together.
    pub(crate) mongods: Duration,
    /// Of this program.
    pub(crate) client: Duration,
    /// Transactions that the primary has committed.
    pub(crate) transactions: i64,
}

impl Gauge {
    pub(crate) async fn read(&self) -> Result<Reading> {
        let status = self
            .client
            .database("admin")
            .run_command(doc! { "serverStatus": 1 })
            .await?;
        let transactions = status.get_document("transactions")?.get_i64("totalCommitted");
        let all = |pids: &[u32]| pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>();
        Ok(Reading {
            servers: all(&self.servers)?,
            mongods: all(&self.mongods)?,
            client: cpu_time(std::process::id())?,
            transactions: transactions.context("MongoDB does not count transactions")?,
        })
    }
}

impl Reading {
    /// Returns the use between the two readings.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            servers: self.servers.saturating_sub(earlier.servers),
            mongods: self.mongods.saturating_sub(earlier.mongods),
            client: self.client.saturating_sub(earlier.client),
            transactions: self.transactions - earlier.transactions,
        }
    }
}
