use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bellwether_testkit::{Agreement, Compose, Journal, TracedLoad};
use tokio::time::sleep;

use crate::stage::Stage;

const CLIENTS: usize = 6;

/// Number of commands of each client that show normal operation, before and after.
const ALL_WELL: usize = 10;

/// Shortest duration of a fault, so that its effects can unfold.
pub(crate) const LASTS: Duration = Duration::from_secs(5);

/// States if commands are executed again while the fault lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovers {
    /// Servers or MongoDB get around it.
    ByItself,
    /// Commands are executed again only after the fault is healed.
    OnceMended,
}

/// A line of the table: the effects of a fault.
#[derive(Debug)]
pub(crate) struct Row {
    what: &'static str,
    executed: usize,
    /// The longest time without an executed command that began before the fault was healed.
    gap: Duration,
    /// The longest one after it.
    gap_mended: Duration,
    lost: usize,
    doubled: usize,
    unknown: usize,
    /// Outcome not executed, and not executed.
    refused: usize,
}

/// The observed effects of a fault.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) before: Agreement,
    /// The agreement after the fault was healed.
    pub(crate) after: Agreement,
    pub(crate) unknown: usize,
    pub(crate) refused: usize,
    /// Reasons why commands were not executed or have an unknown outcome.
    pub(crate) failures: Vec<String>,
}

impl Row {
    pub(crate) const HEADER: [&'static str; 8] = [
        "fault",
        "commands executed",
        "longest gap (ms)",
        "longest gap once mended (ms)",
        "lost",
        "doubled",
        "unknown",
        "refused",
    ];

    pub(crate) fn cells(&self) -> Vec<String> {
        vec![
            self.what.to_owned(),
            self.executed.to_string(),
            self.gap.as_millis().to_string(),
            self.gap_mended.as_millis().to_string(),
            self.lost.to_string(),
            self.doubled.to_string(),
            self.unknown.to_string(),
            self.refused.to_string(),
        ]
    }
}

impl Stage {
    /// Has clients outside send commands without pause, inflicts the fault and heals it. Then
    /// compares the clients' outcomes with the data.
    ///
    /// `strike` is given the cluster and the place of the coordinator.
    pub(crate) async fn fault(
        &mut self,
        what: &'static str,
        recovers: Recovers,
        strike: impl AsyncFnOnce(&mut Compose, usize) -> Result<()>,
    ) -> Result<Seen> {
        let urls = self.compose.urls(self.compose.ports().len());
        self.fault_for_clients_of(urls, what, recovers, strike).await
    }

    /// Does the same as [`fault`](Self::fault), with this list of servers for the clients.
    pub(crate) async fn fault_for_clients_of(
        &mut self,
        urls: Vec<String>,
        what: &'static str,
        recovers: Recovers,
        strike: impl AsyncFnOnce(&mut Compose, usize) -> Result<()>,
    ) -> Result<Seen> {
        let before = self.compose.all_well().await?;
        let journal = Journal::default();
        let begun = Instant::now();
        let load = TracedLoad::start_as(&self.next_load(), &lists(urls), &journal)?;
        journal.all_executed(CLIENTS, ALL_WELL, begun, 0).await?;

        let struck = Instant::now();
        strike(&mut self.compose, before.coordinator).await?;
        let ready = Instant::now();
        sleep(LASTS).await;
        if recovers == Recovers::ByItself {
            let executed = journal.all_executed(CLIENTS, ALL_WELL, ready, 0).await;
            executed.context("while the fault lasts")?;
        }

        let mended = Instant::now();
        self.compose.mend().await?;
        let after = self.compose.all_well().await?;
        let well = Instant::now();
        journal.all_executed(CLIENTS, ALL_WELL, well, 0).await?;
        let report = load.finish().await?;

        let effects = self.effects().await?;
        let tally = report.tally_all(&effects);
        let row = Row {
            what,
            executed: report.executed(),
            gap: journal.longest_pause_begun_before(mended, struck),
            gap_mended: journal.longest_pause_begun_after(mended),
            lost: tally.lost,
            doubled: tally.doubled,
            unknown: tally.unknown,
            refused: tally.refused,
        };
        eprintln!("{}", row.cells().join(" | "));
        self.rows.push(row);
        let checked = report.check(&effects);
        self.keep(report);
        checked?;
        Ok(Seen {
            before,
            after,
            unknown: tally.unknown,
            refused: tally.refused,
            failures: journal.failures(),
        })
    }
}

/// Returns a list for each client, each with another server first.
fn lists(urls: Vec<String>) -> Vec<Vec<String>> {
    let from = |first: usize| {
        let mut list = urls.clone();
        list.rotate_left(first % urls.len());
        list
    };
    (0..CLIENTS).map(from).collect()
}
