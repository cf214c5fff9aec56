use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::wait::wait_until;

/// The clients' record of their commands: the time of each execution, and the reasons of failures.
#[derive(Clone, Debug, Default)]
pub struct Journal {
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
    /// Notes that a command of this client was executed.
    pub fn executed(&self, client: usize, at: Instant, epoch: u64) {
        self.entries().executed.push(Executed { client, at, epoch });
    }

    /// Notes that a command was not executed, or that its outcome is unknown.
    pub fn failed(&self, why: String) {
        self.entries().failed.push(why);
    }

    /// Returns a journal with the entries of both.
    pub fn and(&self, other: &Self) -> Self {
        let both = Self::default();
        for journal in [self, other] {
            let entries = journal.entries();
            both.entries().executed.extend_from_slice(&entries.executed);
            both.entries().failed.extend_from_slice(&entries.failed);
        }
        both
    }

    /// Returns the reasons why commands were not executed, as far as they are known by now.
    pub fn failures(&self) -> Vec<String> {
        self.entries().failed.clone()
    }

    /// Waits until each of these clients has had this number of commands executed since then, in
    /// this epoch or a later one.
    ///
    /// # Errors
    /// If they have not for a long time; the error states the counts.
    pub async fn all_executed(
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

    /// Returns the time from `since` to the first command executed in this epoch or a later one.
    pub fn first_in(&self, epoch: u64, since: Instant) -> Option<Duration> {
        let entries = self.entries();
        let in_epoch = entries.executed.iter().filter(|executed| executed.epoch >= epoch);
        let first = in_epoch.map(|executed| executed.at).min()?;
        Some(first.saturating_duration_since(since))
    }

    /// Returns the longest time without an executed command. It counts from the last command before
    /// `since` (from `since` itself if there is none) to the last of all.
    pub fn longest_pause(&self, since: Instant) -> Duration {
        longest(self.pauses(since).map(|(_, pause)| pause))
    }

    /// Returns the same as [`longest_pause`](Self::longest_pause), of the pauses that began before
    /// `until`, even if they ended later.
    pub fn longest_pause_begun_before(&self, until: Instant, since: Instant) -> Duration {
        let pauses = self.pauses(since).filter(|(begun, _)| *begun < until);
        longest(pauses.map(|(_, pause)| pause))
    }

    /// Returns the same as [`longest_pause`](Self::longest_pause), of the pauses between commands
    /// that were executed after `since`.
    pub fn longest_pause_begun_after(&self, since: Instant) -> Duration {
        let pauses = self.pauses(since).filter(|(begun, _)| *begun >= since);
        longest(pauses.map(|(_, pause)| pause))
    }

    /// Returns each time without an executed command, with its beginning, from the last command
    /// before `since`.
    fn pauses(&self, since: Instant) -> impl Iterator<Item = (Instant, Duration)> {
        let mut at: Vec<Instant> = self
            .entries()
            .executed
            .iter()
            .map(|executed| executed.at)
            .collect();
        at.sort_unstable();
        let later = at.partition_point(|at| *at < since);
        let mut last = if later == 0 { since } else { at[later - 1] };
        at.into_iter().skip(later).map(move |at| {
            let begun = std::mem::replace(&mut last, at);
            (begun, at - begun)
        })
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // The list is still valid after a client has panicked.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn longest(pauses: impl Iterator<Item = Duration>) -> Duration {
    pauses.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_for_what_it_began_in() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let journal = Journal::default();
        // The fault is at 150, and it is healed at 350. The pause from 100 to 400 belongs to the
        // fault, the pause from 400 to 450 to the healing.
        for ms in [0, 100, 400, 450, 460] {
            journal.executed(0, at(ms), 1);
        }
        let (struck, mended) = (at(150), at(350));
        assert_eq!(journal.longest_pause(struck), Duration::from_millis(300));
        let during = journal.longest_pause_begun_before(mended, struck);
        assert_eq!(during, Duration::from_millis(300));
        let after = journal.longest_pause_begun_after(mended);
        assert_eq!(after, Duration::from_millis(50));
    }
}
