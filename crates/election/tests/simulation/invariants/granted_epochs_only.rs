use std::collections::BTreeMap;

use bellwether_election::{Epoch, Newest};

use super::{Fact, Invariant, Scene};
use crate::clock::{DRIFT_PPM, Micros, micros};

/// No server acts for long on an epoch that the arbiter has not granted: it asks, and forgets the
/// epoch after the answer. While the arbiter is unreachable, the server goes on to use the epoch.
/// After that, and after an epoch was refuted, it pauses before it asks again, unless it has
/// learned a larger epoch.
#[derive(Default)]
pub(super) struct GrantedEpochsOnly {
    granted: Epoch,
    /// Since when each server has believed such an epoch, or has last had a reason to go on with
    /// it.
    since: BTreeMap<usize, Micros>,
    questions: BTreeMap<usize, Questions>,
}

/// The questions of a server so far.
#[derive(Default)]
struct Questions {
    /// The largest epoch that it believed when it asked, unless that one was refuted.
    epoch: Epoch,
    /// Number of refuted epochs.
    refuted: u64,
    /// It asks no more about the same epoch before this.
    again_from: Micros,
}

impl GrantedEpochsOnly {
    fn take(&mut self, scene: &Scene<'_>, fact: &Fact) -> Result<(), String> {
        let pause = micros(scene.config.claim_retry) * 1_000_000 / (1_000_000 + DRIFT_PPM);
        match fact {
            Fact::Granted { epoch, .. } => self.granted = self.granted.max(*epoch),
            Fact::Started { server } => {
                self.since.remove(server);
                self.questions.remove(server);
            }
            Fact::Asked { server } => {
                let seen = seen(scene, *server);
                let questions = self.questions.entry(*server).or_default();
                if seen <= questions.epoch && scene.at < questions.again_from {
                    return Err(format!("s{server} asks again before the pause is over"));
                }
                questions.epoch = questions.epoch.max(seen);
            }
            Fact::NewestAnswered { server, newest } => {
                let questions = self.questions.entry(*server).or_default();
                let refuted = refuted(scene, *server);
                if *newest == Newest::Unreachable {
                    self.since.entry(*server).and_modify(|since| *since = scene.at);
                }
                if let Newest::Epoch(newest) = newest {
                    questions.epoch = questions.epoch.min(*newest);
                }
                let settled = *newest != Newest::Unreachable && refuted == questions.refuted;
                questions.again_from = if settled { 0 } else { scene.at + pause };
                questions.refuted = refuted;
            }
            _ => {}
        }
        Ok(())
    }
}

fn seen(scene: &Scene<'_>, server: usize) -> Epoch {
    let elector = scene.servers[server].elector.as_ref();
    elector.map_or(Epoch::ZERO, |elector| elector.seen_epoch())
}

fn refuted(scene: &Scene<'_>, server: usize) -> u64 {
    let elector = scene.servers[server].elector.as_ref();
    elector.map_or(0, |elector| elector.counters().refuted)
}

/// Returns the longest time for which a server may use an epoch without a new reason: a pause, two
/// questions and a late wake-up. The second question is about an epoch that was named during the
/// first question.
fn limit(scene: &Scene<'_>) -> Micros {
    let pause = micros(scene.config.claim_retry) * 1_000_000 / (1_000_000 - DRIFT_PPM);
    pause + 2 * scene.longest_answer + scene.latest_wake
}

impl Invariant for GrantedEpochsOnly {
    fn name(&self) -> &'static str {
        "granted_epochs_only"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            self.take(scene, fact)?;
        }
        for (index, server) in scene.servers.iter().enumerate() {
            let seen = seen(scene, index);
            // A paused server can do nothing.
            if seen <= self.granted || !server.is_awake(scene.at) {
                self.since.remove(&index);
                continue;
            }
            let since = *self.since.entry(index).or_insert(scene.at);
            if scene.at > since + limit(scene) {
                let ms = (scene.at - since) / 1_000;
                return Err(format!(
                    "s{index} has believed epoch {seen} for {ms} ms; the newest that was granted is {}",
                    self.granted
                ));
            }
        }
        Ok(())
    }
}
