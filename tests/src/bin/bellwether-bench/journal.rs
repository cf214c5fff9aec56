use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellwether_tests::wait_until;

/// What clients write down of their commands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    executed: Vec<Executed>,
    failed: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Executed {
    client: usize,
    at: Instant,
    epoch: u64,
}

impl Journal {
    pub(crate) fn executed(&self, client: usize, at: Instant, epoch: u64) {
        self.entries().executed.push(Executed { client, at, epoch });
    }

    pub(crate) fn failed(&self, why: String) {
        self.entries().failed.push(why);
    }

    /// What is in either of the two.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let both = Self::default();
        for journal in [self, other] {
            let entries = journal.entries();
            both.entries().executed.extend_from_slice(&entries.executed);
            both.entries().failed.extend_from_slice(&entries.failed);
        }
        both
    }

    /// Why commands were not executed, as far as that is known by now.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.entries().failed.clone()
    }

    /// Waits until each of these clients has had so many commands executed since then, in this epoch or a later one.
    pub(crate) async fn all_executed(
        &self,
        clients: usize,
        commands: usize,
        since: Instant,
        epoch: u64,
    ) -> Result<()> {
        wait_until("the clients' commands to be executed", async || {
            let counts = (0..clients).map(|client| {
                let executed = &self.entries().executed;
                let theirs = executed.iter().filter(|executed| executed.client == client);
                theirs
                    .filter(|executed| executed.at >= since && executed.epoch >= epoch)
                    .count()
            });
            let least = counts.min().unwrap_or(commands);
            let failed = self.failures();
            ensure!(
                least >= commands,
                "one has had {least} of {commands}; {} failed, the last with {:?}",
                failed.len(),
                failed.last()
            );
            Ok(())
        })
        .await
    }

    /// How long after `since` the first command was executed in this epoch or a later one.
    pub(crate) fn first_in(&self, epoch: u64, since: Instant) -> Option<Duration> {
        let entries = self.entries();
        let in_epoch = entries.executed.iter().filter(|executed| executed.epoch >= epoch);
        let first = in_epoch.map(|executed| executed.at).min()?;
        Some(first.saturating_duration_since(since))
    }

    /// The longest time without an executed command, from the last one before `since` (from `since` itself if there is
    /// none) to the last of all.
    pub(crate) fn longest_pause(&self, since: Instant) -> Duration {
        let mut at: Vec<Instant> = self
            .entries()
            .executed
            .iter()
            .map(|executed| executed.at)
            .collect();
        at.sort_unstable();
        let later = at.partition_point(|at| *at < since);
        let mut last = if later == 0 { since } else { at[later - 1] };
        let mut longest = Duration::ZERO;
        for at in &at[later..] {
            longest = longest.max(*at - last);
            last = *at;
        }
        longest
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // What a client that panicked has left is a list all the same.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
