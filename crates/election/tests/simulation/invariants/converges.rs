use std::time::Duration;

use bellwether_election::{Config, Preemption, Rank, Role};

use super::Violation;
use crate::clock::{DRIFT_PPM, MS, Micros, micros};
use crate::server::id;
use crate::world::World;

const NAME: &str = "converges";

/// Time for the work in progress when a handover begins, as `World::work` has it.
const WORK: Micros = 200 * MS;

/// Returns the longest time until everything has ended that was in progress when the last fault
/// ended, the arbiter's answers included.
pub(crate) fn bound(config: &Config, longest_claim: Micros) -> Micros {
    let time_limit = match config.preemption {
        Preemption::After(time_limit) => time_limit,
        _ => Duration::ZERO,
    };
    let by_the_clock = micros(config.startup_grace)
        // A server may wait this long for an announcement that does not come. A server that is
        // passed over for that reason, or whose claim failed, then waits as long again.
        + 2 * micros(config.claim_timeout)
        // A server that was preempted again and again backs off up to sixteen times as long, plus
        // up to half of that at random.
        + micros(config.claim_retry) * 16 * 3 / 2
        + micros(time_limit)
        // A search; a suspicion; a question without an answer; a promise that runs out; a vote; the
        // next challenge.
        + 8 * micros(config.timeout)
        + micros(config.probe)
        + micros(config.heartbeat);
    let slowest = by_the_clock * 1_000_000 / (1_000_000 - DRIFT_PPM);
    slowest + 2 * longest_claim + WORK
}

impl World {
    /// Returns the running, eligible server with the largest rank that may become coordinator.
    pub(crate) fn best(&self) -> Option<usize> {
        let ranked = (0..self.servers.len()).filter_map(|server| Some((self.candidate(server)?, server)));
        ranked.max().map(|(_, server)| server)
    }

    /// Returns the rank of a server that could be coordinator.
    fn candidate(&self, server: usize) -> Option<Rank> {
        let member = self.servers[server].elector.as_ref()?.member();
        member.can_campaign().then(|| member.rank.clone())
    }

    /// Checks that there is exactly one coordinator, everywhere, and the one that the policy
    /// requires. With classic preemption no server has a larger rank. The exception is a server
    /// that has resigned and leaves its successor alone.
    pub(crate) fn check_converged(&self) -> Result<(), Violation> {
        let violated = |detail: String| Err(Violation::new(NAME, self.now(), detail));
        let all = 0..self.servers.len();
        let leaders: Vec<usize> = all
            .clone()
            .filter(|server| matches!(self.role(*server), Some(Role::Coordinator { .. })))
            .collect();
        let (&[leader], Some(best)) = (leaders.as_slice(), self.best()) else {
            let roles: Vec<Option<Role>> = all.map(|server| self.role(server)).collect();
            return violated(format!("not one coordinator but {}: {roles:?}", leaders.len()));
        };
        let Some(Role::Coordinator { epoch }) = self.role(leader) else {
            return violated(format!("s{leader} is no coordinator"));
        };
        let better = all.clone().find(|server| {
            !self.servers[*server].resigned && self.candidate(*server) > self.candidate(leader)
        });
        let preempts = self.setup.config.preemption != Preemption::Never;
        if let Some(better) = better.filter(|_| preempts) {
            return violated(format!(
                "s{leader} leads, and s{better} has a larger rank (s{best} the largest)"
            ));
        }
        for server in all.filter(|server| *server != leader) {
            match self.role(server) {
                None => {}
                Some(Role::Follower { coordinator })
                    if coordinator.rank.id == id(leader) && coordinator.epoch == epoch => {}
                role => {
                    return violated(format!(
                        "s{server} should follow s{leader} in epoch {epoch} and is {role:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks that roles do not change while nothing happens, and that no server sends more than
    /// heartbeats need.
    pub(crate) fn check_stays(&mut self, ms: u64) -> Result<(), Violation> {
        let (role_change, messages, grants) = (
            self.last_role_change,
            self.election_messages,
            self.arbiter.grants(),
        );
        self.run_for_ms(ms)?;
        if self.last_role_change != role_change || self.arbiter.grants() != grants {
            return Err(Violation::new(
                "stays",
                self.now(),
                "a role changed for no reason",
            ));
        }
        let chatter = self.election_messages - messages;
        if chatter > 0 {
            let detail = format!("{chatter} messages besides heartbeats");
            return Err(Violation::new("stays", self.now(), detail));
        }
        self.check_converged()
    }
}
