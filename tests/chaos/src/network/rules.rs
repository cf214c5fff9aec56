//! Decides the fate of each packet. The code is pure, so tests need no network.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddrV4;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::packet::{Segment, ends};

/// One direction between two hosts: sender and receiver, by the last bytes of their addresses.
pub type Link = (u8, u8);

/// A rule that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(u64);

/// The effect of a rule on packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// None arrives.
    Cut,
    /// Each takes longer by a time that is drawn between these two; so they overtake one another.
    Delay {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// Some do not arrive: this share of them, from 0 to 1.
    Loss(f64),
    /// Some results of commands do not arrive, and no later packet of their connections.
    LoseResults {
        /// The port that servers send results from.
        port: u16,
        /// Share of the results, from 0 to 1.
        share: f64,
        /// `true` if both ends get a reset of the connection, and `false` if they get nothing.
        reset: bool,
    },
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Passed,
    Delayed(Duration),
    Lost,
    /// It is lost, and both its ends find the connection reset.
    Reset,
}

/// All rules that are in force. Those for the same link add up.
#[derive(Debug)]
pub(super) struct Rules {
    random: StdRng,
    next: u64,
    rules: BTreeMap<RuleId, (Effect, Vec<Link>)>,
    /// The same by link, since each packet is looked up by its link.
    by_link: BTreeMap<Link, Vec<Effect>>,
    /// Connections over which no packet passes any more, from the side of the server.
    dead: HashSet<(SocketAddrV4, SocketAddrV4)>,
}

impl Rules {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            next: 0,
            rules: BTreeMap::new(),
            by_link: BTreeMap::new(),
            dead: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, effect: Effect, links: Vec<Link>) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.insert(id, (effect, links));
        self.sort_by_link();
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.rules.remove(&id);
        self.sort_by_link();
    }

    fn sort_by_link(&mut self) {
        self.by_link.clear();
        for (effect, links) in self.rules.values() {
            for link in links {
                self.by_link.entry(*link).or_default().push(*effect);
            }
        }
    }

    /// Returns the fate of a packet that is sent now.
    pub(super) fn fate(&mut self, packet: &[u8]) -> Fate {
        if self.by_link.is_empty() && self.dead.is_empty() {
            return Fate::Passed;
        }
        let Some(link) = ends(packet) else {
            return Fate::Lost;
        };
        if !self.dead.is_empty() && self.is_of_dead(packet) {
            return Fate::Lost;
        }
        let Some(effects) = self.by_link.get(&link) else {
            return Fate::Passed;
        };
        let mut delay = Duration::ZERO;
        for effect in effects {
            match *effect {
                Effect::Cut => return Fate::Lost,
                Effect::Delay { least, most } => delay += self.random.random_range(least..=most),
                Effect::Loss(share) => {
                    if self.random.random_bool(share) {
                        return Fate::Lost;
                    }
                }
                Effect::LoseResults { port, share, reset } => {
                    let Some(segment) = Segment::of(packet).filter(|segment| carries_result(segment, port))
                    else {
                        continue;
                    };
                    if self.random.random_bool(share) {
                        self.dead.insert((segment.from, segment.to));
                        return if reset { Fate::Reset } else { Fate::Lost };
                    }
                }
            }
        }
        if delay.is_zero() {
            Fate::Passed
        } else {
            Fate::Delayed(delay)
        }
    }

    /// Returns `true` if a delayed packet still arrives: not over a link that was cut meanwhile.
    pub(super) fn arrives(&self, packet: &[u8]) -> bool {
        let effects = ends(packet).and_then(|link| self.by_link.get(&link));
        effects.is_none_or(|effects| !effects.contains(&Effect::Cut))
    }

    fn is_of_dead(&mut self, packet: &[u8]) -> bool {
        let Some(segment) = Segment::of(packet) else {
            return false;
        };
        if segment.opens() {
            // A client's port is used again for another connection.
            self.dead.remove(&(segment.to, segment.from));
            return false;
        }
        self.dead.contains(&(segment.from, segment.to)) || self.dead.contains(&(segment.to, segment.from))
    }
}

/// Returns `true` if the segment holds a result of a command. A server's frames are not masked, so
/// the beginning of each frame is readable.
fn carries_result(segment: &Segment<'_>, port: u16) -> bool {
    const RESULT: &[u8] = br#"{"type":"result""#;
    segment.from.port() == port && segment.payload.windows(RESULT.len()).any(|bytes| bytes == RESULT)
}

#[cfg(test)]
mod tests {
    use super::super::packet::tests::{DATA, OPENING, segment};
    use super::*;

    const SERVER: &str = "10.77.0.11:7001";
    const CLIENT: &str = "10.77.0.31:40000";
    const THERE: Link = (31, 11);
    const BACK: Link = (11, 31);

    fn there() -> Vec<u8> {
        segment(CLIENT, SERVER, DATA, b"a command")
    }

    fn back() -> Vec<u8> {
        segment(SERVER, CLIENT, DATA, b"something else")
    }

    fn result() -> Vec<u8> {
        segment(
            SERVER,
            CLIENT,
            DATA,
            b"\x81\x7e\x01\x00{\"type\":\"result\",\"id\":\"...\"}",
        )
    }

    #[test]
    fn a_cut_is_of_one_direction_until_it_is_removed() {
        let mut rules = Rules::new(1);
        let cut = rules.add(Effect::Cut, vec![BACK]);
        assert_eq!(
            (rules.fate(&there()), rules.fate(&back())),
            (Fate::Passed, Fate::Lost)
        );
        rules.remove(cut);
        assert_eq!(rules.fate(&back()), Fate::Passed);
    }

    #[test]
    fn what_one_rule_no_longer_cuts_another_may() {
        let mut rules = Rules::new(1);
        let first = rules.add(Effect::Cut, vec![BACK]);
        let second = rules.add(Effect::Cut, vec![THERE, BACK]);
        rules.remove(first);
        assert_eq!(rules.fate(&back()), Fate::Lost);
        rules.remove(second);
        assert_eq!(rules.fate(&back()), Fate::Passed);
    }

    #[test]
    fn delays_are_drawn_anew_for_each_packet_and_add_up() {
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(50));
        let mut rules = Rules::new(1);
        rules.add(Effect::Delay { least, most }, vec![THERE]);
        let delays: HashSet<Fate> = (0..20).map(|_| rules.fate(&there())).collect();
        assert!(delays.len() > 10, "{delays:?}");
        rules.add(Effect::Delay { least: most, most }, vec![THERE]);
        let Fate::Delayed(both) = rules.fate(&there()) else {
            panic!("not delayed");
        };
        assert!(both >= least + most && both <= most + most, "{both:?}");
        assert_eq!(rules.fate(&back()), Fate::Passed);
    }

    #[test]
    fn a_delayed_packet_does_not_arrive_over_a_link_that_was_cut() {
        let mut rules = Rules::new(1);
        assert!(rules.arrives(&there()));
        rules.add(Effect::Cut, vec![THERE]);
        assert!(!rules.arrives(&there()));
        assert!(rules.arrives(&back()));
    }

    #[test]
    fn loss_takes_its_share() {
        let mut rules = Rules::new(1);
        rules.add(Effect::Loss(0.25), vec![THERE]);
        let lost = (0..4000).filter(|_| rules.fate(&there()) == Fate::Lost).count();
        assert!((800..1200).contains(&lost), "{lost} of 4000");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let fates = |seed| {
            let mut rules = Rules::new(seed);
            rules.add(Effect::Loss(0.5), vec![THERE]);
            (0..50).map(|_| rules.fate(&there())).collect::<Vec<_>>()
        };
        assert_eq!(fates(7), fates(7));
        assert_ne!(fates(7), fates(8));
    }

    #[test]
    fn after_a_lost_result_its_connection_is_dead_and_no_other() {
        let mut rules = Rules::new(1);
        let effect = Effect::LoseResults {
            port: 7001,
            share: 1.0,
            reset: false,
        };
        let rule = rules.add(effect, vec![BACK]);
        assert_eq!(
            (rules.fate(&there()), rules.fate(&back())),
            (Fate::Passed, Fate::Passed)
        );
        assert_eq!(rules.fate(&result()), Fate::Lost);
        assert_eq!(
            (rules.fate(&there()), rules.fate(&back())),
            (Fate::Lost, Fate::Lost)
        );
        let another = segment(SERVER, "10.77.0.31:40001", DATA, b"something else");
        assert_eq!(rules.fate(&another), Fate::Passed);
        // Not even the server's next try to send it arrives when the rule is gone.
        rules.remove(rule);
        assert_eq!(rules.fate(&result()), Fate::Lost);
        // But the client may use its port for another connection.
        assert_eq!(rules.fate(&segment(CLIENT, SERVER, OPENING, b"")), Fate::Passed);
        assert_eq!(rules.fate(&result()), Fate::Passed);
    }

    #[test]
    fn a_result_is_one_only_from_the_servers_port() {
        let mut rules = Rules::new(1);
        let effect = Effect::LoseResults {
            port: 7002,
            share: 1.0,
            reset: true,
        };
        rules.add(effect, vec![BACK]);
        assert_eq!(rules.fate(&result()), Fate::Passed);
        let effect = Effect::LoseResults {
            port: 7001,
            share: 1.0,
            reset: true,
        };
        rules.add(effect, vec![BACK]);
        assert_eq!(rules.fate(&result()), Fate::Reset);
    }
}
