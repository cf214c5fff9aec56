//! Faults that are injected into a world, and the reports of its transport about them.

use bellwether_election::{Body, Coordinator, Elector, Epoch, Link, Message, Rank, Timestamp};
use rand::Rng;

use crate::arbiter::Reach;
use crate::clock::{MS, Micros};
use crate::event::What;
use crate::invariants::{Fact, Violation};
use crate::network::{Faults, Hints};
use crate::server::id;
use crate::world::World;

impl World {
    pub(crate) fn start_all(&mut self) -> Result<(), Violation> {
        (0..self.servers.len()).try_for_each(|server| self.start(server))
    }

    pub(crate) fn pause_ms(&mut self, server: usize, ms: u64) {
        self.note(|| format!("pause s{server} for {ms} ms"));
        self.servers[server].paused_until = self.now() + ms * MS;
    }

    /// Cuts one way.
    pub(crate) fn cut_one_way(&mut self, from: usize, to: usize) {
        if from != to {
            self.note(|| format!("cut s{from} -> s{to}"));
            self.network.cut(from, to);
            self.links_between(from, to);
        }
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Cuts everything from the servers on one side to those on the other, and back unless
    /// `one_way`.
    pub(crate) fn partition(&mut self, on_this_side: &[bool], one_way: bool) {
        for (a, this) in on_this_side.iter().enumerate() {
            for (b, that) in on_this_side.iter().enumerate() {
                if *this && !that {
                    self.cut_one_way(a, b);
                    if !one_way {
                        self.cut_one_way(b, a);
                    }
                }
            }
        }
    }

    pub(crate) fn mend(&mut self) {
        self.note(|| "the network is whole again".into());
        self.network.mend();
        (0..self.servers.len()).for_each(|server| self.links_of(server));
    }

    pub(crate) fn set_eligible(&mut self, server: usize, eligible: bool) -> Result<(), Violation> {
        self.note(|| format!("s{server} eligible: {eligible}"));
        self.servers[server].eligible = eligible;
        self.call(server, |elector, now| elector.set_eligible(now, eligible))
    }

    pub(crate) fn resign(&mut self, server: usize) -> Result<(), Violation> {
        self.note(|| format!("s{server} is to resign"));
        let mut resigned = false;
        self.call(server, |elector, now| resigned = elector.resign(now).is_ok())?;
        self.servers[server].resigned |= resigned;
        Ok(())
    }

    pub(crate) fn leave(&mut self, server: usize) -> Result<(), Violation> {
        self.note(|| format!("s{server} is to leave"));
        self.servers[server].leaving = true;
        self.call(server, Elector::leave)
    }

    /// Lets the transport report a state of a link that may be false, and correct the report later.
    pub(crate) fn lie(&mut self, of: usize, about: usize, link: Link) -> Result<(), Violation> {
        let corrected = self.rng.random_range(MS..1_000 * MS);
        if let Some(truth) = self.truth(about, of) {
            self.hint(of, about, truth, corrected);
        }
        self.tell_link(of, about, link)
    }

    /// Sends messages in the name of `liar`, with an epoch that was never granted, again and again
    /// for a while. The server itself goes on as before.
    pub(crate) fn name_epoch(&mut self, liar: usize, epoch: Epoch, times: u64) {
        let Some(sender) = self.servers[liar]
            .elector
            .as_ref()
            .map(|elector| elector.member().clone())
        else {
            return;
        };
        self.note(|| format!("s{liar} names epoch {epoch} to all, {times} times"));
        let mut delay = 0;
        for _ in 0..times {
            for server in (0..self.servers.len()).filter(|server| *server != liar) {
                let body = self.lie_about(&sender.rank, epoch);
                let sender = sender.clone();
                let from = liar;
                let message = Message { sender, body };
                self.push(delay, server, What::Deliver { from, message });
            }
            delay += self.rng.random_range(10 * MS..300 * MS);
        }
        let until = self.now() + delay;
        self.facts.push(Fact::Lied { until });
    }

    fn lie_about(&mut self, liar: &Rank, epoch: Epoch) -> Body {
        let sent_at = Timestamp(0);
        let mut rank = liar.clone();
        match self.rng.random_range(0..4) {
            0 | 1 => Body::Coordinator { epoch, sent_at },
            2 => Body::Known {
                coordinator: None,
                epoch,
            },
            _ => {
                let about = self.rng.random_range(0..self.servers.len());
                if let Some(elector) = &self.servers[about].elector {
                    rank = elector.member().rank.clone();
                }
                let coordinator = Some(Coordinator { rank, epoch });
                Body::Known { coordinator, epoch }
            }
        }
    }

    pub(crate) fn tell_link(&mut self, server: usize, peer: usize, link: Link) -> Result<(), Violation> {
        self.note(|| format!("s{server} is told that its link to s{peer} is {link:?}"));
        self.call(server, |elector, now| elector.handle_link(now, &id(peer), link))
    }

    /// Takes a server out of the cluster for good. It ends; each other server learns of the removal
    /// in its own time.
    pub(crate) fn remove(&mut self, server: usize) -> Result<(), Violation> {
        self.note(|| format!("s{server} is taken out of the cluster"));
        self.cluster.remove(&server);
        self.crash(server)?;
        self.announce_membership(server, false);
        Ok(())
    }

    /// Adds a server to the cluster and starts it.
    pub(crate) fn add(&mut self, server: usize) -> Result<(), Violation> {
        self.note(|| format!("s{server} is added to the cluster"));
        self.cluster.insert(server);
        self.announce_membership(server, true);
        self.start(server)
    }

    fn announce_membership(&mut self, peer: usize, belongs: bool) {
        for server in 0..self.servers.len() {
            if server != peer && self.servers[server].runs() {
                let delay = self.rng.random_range(1..300 * MS);
                self.push(delay, server, What::Membership { peer, belongs });
            }
        }
    }

    pub(crate) fn tell_membership(
        &mut self,
        server: usize,
        peer: usize,
        belongs: bool,
    ) -> Result<(), Violation> {
        let peers = &mut self.servers[server].peers;
        if belongs {
            peers.insert(peer);
            self.call(server, |elector, now| elector.add_peer(now, id(peer)))
        } else {
            peers.remove(&peer);
            self.call(server, |elector, now| elector.remove_peer(now, &id(peer)))
        }
    }

    /// Returns `true` if every running server knows the members of the cluster.
    pub(crate) fn all_know_the_cluster(&self) -> bool {
        let knows = |index: usize| {
            let others = self.cluster.iter().copied().filter(|other| *other != index);
            self.servers[index].peers.iter().copied().eq(others)
        };
        (0..self.servers.len()).all(|index| !self.servers[index].runs() || knows(index))
    }

    /// Heals everything: all servers run, are eligible and connected, no message is lost, and the
    /// arbiter answers quickly. Clocks go on as they did.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        let paused = self.servers.iter().map(|server| server.paused_until).max();
        self.run_until(paused.unwrap_or(0).max(self.now()))?;
        self.note(|| "heal".into());
        self.network.set_faults(Faults::none());
        self.arbiter.set_reach(Reach::good());
        self.latest_wake = MS / 5;
        for server in 0..self.servers.len() {
            self.servers[server].cut_off = false;
            self.servers[server].stuck = false;
            if self.servers[server].leaving {
                self.crash(server)?;
            }
            if !self.cluster.contains(&server) {
                continue;
            }
            if !self.servers[server].runs() {
                self.start(server)?;
            }
            self.set_eligible(server, true)?;
        }
        self.mend();
        Ok(())
    }

    /// Reports the links of a server to all others, and their links to it.
    pub(crate) fn links_of(&mut self, server: usize) {
        for other in 0..self.servers.len() {
            self.links_between(server, other);
        }
    }

    fn links_between(&mut self, a: usize, b: usize) {
        if a == b || self.network.hints() == Hints::None {
            return;
        }
        for (of, about) in [(a, b), (b, a)] {
            let Some(link) = self.truth(about, of) else {
                continue;
            };
            // A refusal is seen at once. A connection that only went quiet is missed much later, or
            // never.
            let delay = match link {
                Link::Down if self.rng.random_bool(0.5) => continue,
                Link::Down => self.rng.random_range(MS..5_000 * MS),
                _ => self.rng.random_range(100..2 * MS),
            };
            self.hint(of, about, link, delay);
        }
    }

    /// Returns the true state of the link to another server, as a running server's transport would
    /// report it.
    fn truth(&self, about: usize, of: usize) -> Option<Link> {
        if !self.servers[of].runs() {
            return None;
        }
        Some(
            match (self.network.connects(of, about), self.servers[about].runs()) {
                (true, true) => Link::Up,
                (true, false) => Link::Refused,
                (false, _) => Link::Down,
            },
        )
    }

    fn hint(&mut self, of: usize, about: usize, link: Link, delay: Micros) {
        let hint = self.network.next_hint(of, about);
        let peer = about;
        self.push(delay, of, What::Link { peer, link, hint });
    }
}
