use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, OneShot, ServerList};
use bellwether_testkit::Journal;
use tokio::task::JoinSet;

use crate::workload::{Operations, Workload};

/// Clients that pass one insert after another along their lists, each command a one-shot of its
/// own.
pub(crate) struct OneShots {
    stop: Arc<AtomicBool>,
    // Dropped with everything else if the measurement is broken off.
    running: JoinSet<Result<()>>,
}

impl OneShots {
    /// Starts a client for each list; they write the outcomes of their commands down in the
    /// journal.
    pub(crate) fn start(lists: impl IntoIterator<Item = ServerList>, journal: &Journal) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for (client, list) in lists.into_iter().enumerate() {
            running.spawn(inserts(client, list, journal.clone(), Arc::clone(&stop)));
        }
        Self { stop, running }
    }

    /// Lets every client finish its command in progress.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.running.join_next().await {
            ended.context("a client panicked")??;
        }
        Ok(())
    }
}

async fn inserts(client: usize, list: ServerList, journal: Journal, stop: Arc<AtomicBool>) -> Result<()> {
    let one_shot = OneShot::new(Native::new(), list);
    let mut operations = Operations::of(Workload::Inserts);
    while !stop.load(Ordering::SeqCst) {
        let command: CommandText = operations.next().command().parse()?;
        match one_shot.execute(&command, |_| {}).await {
            Ok(executed) => journal.executed(client, Instant::now(), executed.epoch),
            Err(failure) => journal.failed(format!("{failure} {:?}", failure.attempts)),
        }
    }
    Ok(())
}
