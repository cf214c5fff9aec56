use anyhow::{Context, Result};
use bellwether_testkit::markdown::{line, table};
use bellwether_testkit::{Case, Compose, Effects, TracedReport};

use crate::fault::Row;

/// The cluster, and the outcomes of the clients' commands so far.
pub(crate) struct Stage {
    pub(crate) compose: Compose,
    pub(crate) rows: Vec<Row>,
    reports: Vec<TracedReport>,
    loads: usize,
}

impl bellwether_testkit::Stage for Stage {
    async fn start() -> Result<Self> {
        Ok(Self {
            compose: Compose::start().await?,
            rows: Vec::new(),
            reports: Vec::new(),
            loads: 0,
        })
    }

    async fn play(&mut self, case: Case<Self>) -> Result<()> {
        let played = match self.mend().await {
            Ok(()) => case(self).await,
            Err(error) => Err(error.context("mending what the case before has left")),
        };
        match played {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.compose.ends_of_logs().await)),
        }
    }

    async fn end(self) -> Result<()> {
        if !self.rows.is_empty() {
            let rows: Vec<_> = self.rows.iter().map(Row::cells).collect();
            line("");
            table(&Row::HEADER, &rows);
        }
        Ok(())
    }
}

impl Stage {
    async fn mend(&mut self) -> Result<()> {
        self.compose.mend().await?;
        self.compose.all_well().await.map(drop)
    }

    /// Compares the outcomes of all clients of all faults so far with the present data, read
    /// directly from MongoDB.
    pub(crate) async fn check_all(&self) -> Result<()> {
        let effects = self.effects().await?;
        for report in &self.reports {
            report.check(&effects)?;
        }
        Ok(())
    }

    /// Returns the traces of all clients in the data, read directly from MongoDB.
    pub(crate) async fn effects(&self) -> Result<Effects> {
        let client = self.compose.client().await?;
        Effects::read(&client).await.context("reading past all servers")
    }

    /// Returns a name for a load that no other load has.
    pub(crate) fn next_load(&mut self) -> String {
        self.loads += 1;
        format!("{}/", self.loads)
    }

    /// Keeps the clients' outcomes, for [`check_all`](Self::check_all).
    pub(crate) fn keep(&mut self, report: TracedReport) {
        self.reports.push(report);
    }
}
