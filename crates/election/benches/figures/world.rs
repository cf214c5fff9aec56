//! A data centre in virtual time: real electors, links that take half a millisecond and lose
//! nothing.
//!
//! It makes one fault at a time and counts the messages; the simulation makes all faults at once.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_election::{
    Body, Config, Elector, Epoch, Instant, Link, Member, Message, Number, Output, Role, ServerId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const DELAY_US: u64 = 500;
/// A link is up to so much slower than another, always the same.
const LINK_JITTER_US: u64 = 100;
/// Time until a process that has left the election ends.
const EXIT_US: u64 = 5_000;
const ANSWER_OF_ARBITER_US: u64 = 50;

/// The sent messages, by kind, and by `true` if the receiver was alive.
#[derive(Clone, Default)]
pub(crate) struct Said {
    pub(crate) messages: BTreeMap<(&'static str, bool), u64>,
}

impl Said {
    fn count(&self, heartbeats: bool, heard: bool) -> u64 {
        let is_heartbeat = |kind: &str| matches!(kind, "Heartbeat" | "HeartbeatAck");
        let counts = |(kind, to_living): &(&'static str, bool)| {
            is_heartbeat(kind) == heartbeats && *to_living == heard
        };
        let counted = self.messages.iter().filter(|(key, _)| counts(key));
        counted.map(|(_, count)| count).sum()
    }

    /// Counts heartbeats and their answers, to any server.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.count(true, true) + self.count(true, false)
    }

    /// Counts all other messages between servers that are alive.
    pub(crate) fn among_survivors(&self) -> u64 {
        self.count(false, true)
    }

    /// Counts all other messages to servers that are not alive.
    pub(crate) fn to_the_failed(&self) -> u64 {
        self.count(false, false)
    }
}

#[derive(Clone)]
pub(crate) struct World {
    rng: SmallRng,
    now_us: u64,
    /// The events and their servers, by the microsecond.
    queue: BTreeMap<u64, Vec<(usize, What)>>,
    ids: Vec<ServerId>,
    servers: Vec<Option<Server>>,
    pub(crate) said: Said,
    /// Returns the size of a message, if it is needed.
    pub(crate) weigh: Option<fn(&Message) -> u64>,
    /// The weight of all messages.
    pub(crate) bytes: u64,
    /// Time at which a server last became coordinator.
    pub(crate) coordinator_at_us: u64,
}

#[derive(Clone)]
struct Server {
    elector: Elector<SmallRng>,
    wake_at_us: Option<u64>,
}

#[derive(Clone)]
enum What {
    Wake,
    Deliver { from: usize, message: Message },
    Link { peer: usize, link: Link },
    Granted(Epoch),
    Exit,
}

impl World {
    /// Makes this number of servers, started together and left alone until all has been quiet for a
    /// while. The last one is coordinator, and the others come in the order of their indices.
    pub(crate) fn settled(seed: u64, servers: usize, config: &Config) -> Self {
        let ids: Vec<ServerId> = (0..servers).map(|index| id(index).expect("a valid id")).collect();
        let mut world = Self {
            rng: SmallRng::seed_from_u64(seed),
            now_us: 0,
            queue: BTreeMap::new(),
            servers: Vec::new(),
            ids,
            said: Said::default(),
            weigh: None,
            bytes: 0,
            coordinator_at_us: 0,
        };
        for index in 0..servers {
            let ids = world.ids.clone();
            let rng = SmallRng::from_rng(&mut world.rng);
            let number = Number((index as u64 + 1) << 32 | u64::from(world.rng.random::<u32>()));
            let me = Member::new(ids[index].clone(), number);
            let mut elector =
                Elector::new(config.clone(), me, ids, rng, world.now()).expect("a configuration that works");
            // Sent before there is a link to any peer.
            while elector.poll_output().is_some() {}
            world.servers.push(Some(Server {
                elector,
                wake_at_us: None,
            }));
        }
        for server in 0..servers {
            for peer in (0..servers).filter(|peer| *peer != server) {
                let link = What::Link { peer, link: Link::Up };
                world.push(peer as u64 % 100, server, link);
            }
        }
        // Long enough that no server counts as alive only because it sent a message at the start.
        // The phase of the heartbeats is this seed's own.
        let phase = world.rng.random_range(0..100_000);
        world.run(Duration::from_secs(2));
        world.scatter_heartbeats();
        world.run(Duration::from_secs(2) + Duration::from_micros(phase));
        assert!(
            world.is_settled(),
            "{servers} servers do not agree after seed {seed}"
        );
        assert_eq!(world.coordinator(), Some(servers - 1));
        world.said = Said::default();
        world
    }

    /// Spreads the heartbeats. All followers of a new coordinator send their first heartbeat at
    /// once. In time they drift apart. A follower whose connection was renewed sends a heartbeat
    /// then, which separates them right away.
    fn scatter_heartbeats(&mut self) {
        let coordinator = self.servers.len() - 1;
        for follower in 0..coordinator {
            let peer = coordinator;
            let after = self.rng.random_range(0..100_000);
            self.push(after, follower, What::Link { peer, link: Link::Up });
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::since_origin(self.elapsed())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.now_us)
    }

    pub(crate) fn elector(&self, server: usize) -> Option<&Elector<SmallRng>> {
        self.servers[server].as_ref().map(|server| &server.elector)
    }

    /// Ends the process. Peers with a connection to it find further ones refused within `spread`.
    pub(crate) fn crash(&mut self, server: usize, spread: Duration) {
        self.silence(server);
        let spread_us = u64::try_from(spread.as_micros()).expect("a short time");
        for peer in 0..self.servers.len() {
            let after = self.delay(server, peer) + self.rng.random_range(0..=spread_us);
            self.refuse(after, peer, server);
        }
    }

    /// Ends the process; `first` is refused a connection long before any other.
    pub(crate) fn crash_seen_first_by(&mut self, first: usize, server: usize) {
        self.silence(server);
        for peer in 0..self.servers.len() {
            let after = if peer == first { DELAY_US } else { 200 * DELAY_US };
            self.refuse(after, peer, server);
        }
    }

    fn refuse(&mut self, after_us: u64, peer: usize, server: usize) {
        let link = Link::Refused;
        self.push(after_us, peer, What::Link { peer: server, link });
    }

    /// Stops the server without any notice to the others.
    pub(crate) fn silence(&mut self, server: usize) {
        self.servers[server] = None;
    }

    pub(crate) fn leave(&mut self, server: usize) {
        let now = self.now();
        if let Some(this) = &mut self.servers[server] {
            this.elector.leave(now);
        }
        self.settle(server);
    }

    /// Returns the coordinator, if there is exactly one.
    pub(crate) fn coordinator(&self) -> Option<usize> {
        let leads = |server: &&usize| {
            self.elector(**server)
                .is_some_and(|elector| elector.role().own_epoch().is_some())
        };
        let indices: Vec<usize> = (0..self.servers.len()).collect();
        let mut coordinators = indices.iter().filter(leads);
        let coordinator = coordinators.next().copied();
        coordinator.filter(|_| coordinators.next().is_none())
    }

    /// Returns `true` if there is a coordinator and all others follow it.
    pub(crate) fn is_settled(&self) -> bool {
        let Some(coordinator) = self.coordinator() else {
            return false;
        };
        let follows = |server: &Server| match server.elector.role() {
            Role::Follower {
                coordinator: followed,
            } => followed.rank.id == self.ids[coordinator],
            role => role.own_epoch().is_some(),
        };
        self.servers.iter().flatten().all(follows)
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until_us = self.now_us + u64::try_from(time.as_micros()).expect("a short time");
        while let Some(entry) = self.queue.first_entry()
            && *entry.key() <= until_us
        {
            self.now_us = *entry.key();
            for (server, what) in entry.remove() {
                self.happen(server, what);
            }
        }
        self.now_us = until_us;
    }

    fn happen(&mut self, index: usize, what: What) {
        let now = self.now();
        let Some(server) = &mut self.servers[index] else {
            return;
        };
        let elector = &mut server.elector;
        match what {
            What::Wake => {
                if server.wake_at_us == Some(self.now_us) {
                    server.wake_at_us = None;
                }
                if elector.poll_timeout().is_some_and(|at| at <= now) {
                    elector.handle_timeout(now);
                }
            }
            What::Deliver { from, message } => {
                let from = &self.ids[from];
                elector.handle_message(now, from, message);
            }
            What::Link { peer, link } => elector.handle_link(now, &self.ids[peer], link),
            What::Granted(epoch) => elector.handle_claim(now, Some(epoch)),
            What::Exit => return self.crash(index, Duration::from_millis(1)),
        }
        self.settle(index);
    }

    /// Carries out the elector's outputs, and schedules its next timer.
    fn settle(&mut self, index: usize) {
        let now = self.now();
        while let Some(server) = &mut self.servers[index]
            && let Some(output) = server.elector.poll_output()
        {
            match output {
                Output::Send { to, message } => self.send(index, &to, message),
                // The grant of a local arbiter.
                Output::Claim(claim) => {
                    self.push(ANSWER_OF_ARBITER_US, index, What::Granted(claim.above.next()));
                }
                Output::Role(Role::Draining { epoch, .. }) => server.elector.drained(now, epoch),
                Output::Role(Role::Coordinator { .. }) => self.coordinator_at_us = self.now_us,
                Output::Role(Role::Left) => self.push(EXIT_US, index, What::Exit),
                _ => {}
            }
        }
        let Some(server) = &mut self.servers[index] else {
            return;
        };
        let Some(at) = server.elector.poll_timeout() else {
            return;
        };
        // Whole microseconds, and not before.
        let at_us = u64::try_from(at.elapsed_since_origin().as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        if server.wake_at_us.is_none_or(|wake| at_us < wake) {
            server.wake_at_us = Some(at_us);
            self.push(at_us.saturating_sub(self.now_us), index, What::Wake);
        }
    }

    fn send(&mut self, from: usize, to: &ServerId, message: Message) {
        let Ok(to) = self.ids.binary_search(to) else {
            return;
        };
        let heard = self.servers[to].is_some();
        *self
            .said
            .messages
            .entry((kind(&message.body), heard))
            .or_default() += 1;
        if let Some(weigh) = self.weigh {
            self.bytes += weigh(&message);
        }
        if heard {
            self.push(self.delay(from, to), to, What::Deliver { from, message });
        }
    }

    /// Returns the delay of a link: always the same, so that messages on it stay in order.
    fn delay(&self, from: usize, to: usize) -> u64 {
        let mixed = (from * 31 + to + 7).wrapping_mul(0x9e37_79b9) >> 8;
        DELAY_US + mixed as u64 % LINK_JITTER_US
    }

    fn push(&mut self, after_us: u64, to: usize, what: What) {
        let at_us = self.now_us + after_us;
        self.queue.entry(at_us).or_default().push((to, what));
    }
}

fn id(server: usize) -> Result<ServerId, bellwether_election::InvalidServerId> {
    format!("server-{server:04}").parse()
}

fn kind(body: &Body) -> &'static str {
    match body {
        Body::Query => "Query",
        Body::Known { .. } => "Known",
        Body::Election => "Election",
        Body::Answer => "Answer",
        Body::Decline => "Decline",
        Body::RequestVote { .. } => "RequestVote",
        Body::Vote { .. } => "Vote",
        Body::Coordinator { .. } => "Coordinator",
        Body::Heartbeat { .. } => "Heartbeat",
        Body::HeartbeatAck { .. } => "HeartbeatAck",
        Body::Handover { .. } => "Handover",
        _ => "other",
    }
}
