use bellwether_election::{Config, Role};

use super::Violation;
use crate::clock::{DRIFT_PPM, Micros, micros};
use crate::server::id;
use crate::world::World;

const NAME: &str = "converges";

/// The longest that anything takes which was under way when the last fault ended, the arbiter's answers included.
pub(crate) fn bound(config: &Config, longest_claim: Micros) -> Micros {
    let retry = micros(config.claim_retry) * 3 / 2;
    let by_the_clock = micros(config.startup_grace)
        // Whoever is passed over, or had a claim fail, is out of the running for so long; and whoever waits for an
        // announcement that does not come waits as long before that.
        + 2 * micros(config.claim_timeout)
        // The rest after a failed claim, and after the search that follows.
        + 2 * retry
        // A search; doubt; a question without an answer; the next challenge.
        + 4 * micros(config.timeout)
        + micros(config.heartbeat);
    let slowest = by_the_clock * 1_000_000 / (1_000_000 - DRIFT_PPM);
    slowest + longest_claim
}

impl World {
    /// The running, fit server with the largest rank.
    pub(crate) fn best(&self) -> Option<usize> {
        let running = self.servers.iter().enumerate().filter_map(|(i, server)| {
            let elector = server.elector.as_ref()?;
            server.fit.then(|| (elector.member().rank.clone(), i))
        });
        running.max().map(|(_, i)| i)
    }

    /// Exactly one coordinator, the largest rank, everywhere.
    pub(crate) fn check_converged(&self) -> Result<(), Violation> {
        let violated = |detail: String| Err(Violation::new(NAME, self.now(), detail));
        let Some(best) = self.best() else {
            return violated("nobody can stand".into());
        };
        let Some(Role::Coordinator { epoch }) = self.role(best) else {
            let role = self.role(best);
            return violated(format!("s{best} should be coordinator and is {role:?}"));
        };
        for server in (0..self.servers.len()).filter(|server| *server != best) {
            match self.role(server) {
                None => {}
                Some(Role::Follower { coordinator })
                    if coordinator.rank.id == id(best) && coordinator.epoch == epoch => {}
                role => {
                    return violated(format!(
                        "s{server} should follow s{best} in epoch {epoch} and is {role:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Nothing changes any more while nothing happens, and nobody says more than heartbeats need.
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
