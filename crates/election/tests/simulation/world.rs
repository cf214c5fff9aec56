use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use bellwether_election::{
    Body, Config, Elector, Epoch, Instant, Link, Member, Message, Number, Output, Role, ServerId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Which faults messages suffer.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    loss: f64,
    double: f64,
    max_delay_us: u64,
    claim_failure: f64,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            loss: 0.0,
            double: 0.0,
            max_delay_us: 1_000,
            claim_failure: 0.0,
        }
    }

    pub(crate) fn all() -> Self {
        Self {
            loss: 0.05,
            double: 0.05,
            max_delay_us: 80_000,
            claim_failure: 0.1,
        }
    }
}

/// A set of servers, the links between them, an arbiter that outlives them, and one clock.
pub(crate) struct World {
    seed: u64,
    rng: SmallRng,
    now_us: u64,
    sequence: u64,
    queue: BinaryHeap<Reverse<Event>>,
    servers: Vec<Server>,
    faults: Faults,
    /// One-way: messages from the first to the second are lost.
    cut: BTreeSet<(usize, usize)>,
    granted: Epoch,
    grants: u64,
    holders: BTreeMap<Epoch, (usize, u64)>,
    election_messages: u64,
    trace: bool,
}

struct Server {
    elector: Option<Elector<SmallRng>>,
    /// Grows with every start, so that what belongs to an earlier process is not given to a later one.
    process: u64,
    paused_until_us: u64,
    number: Option<u64>,
    role: Role,
    last_epoch: Epoch,
    /// The deadline for which a wake-up is already on its way.
    wake_at: Option<Instant>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_us: u64,
    sequence: u64,
    to: usize,
    process: u64,
    what: What,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Wake,
    Deliver { from: usize, message: Message },
    Link { peer: usize, link: Link },
    Granted(Option<Epoch>),
    Drained(Epoch),
}

// Events are ordered by time and sequence, which is unique.
impl PartialOrd for What {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for What {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

fn id(server: usize) -> ServerId {
    format!("s{server}").parse().unwrap()
}

fn index(id: &ServerId) -> usize {
    id.as_str()[1..].parse().unwrap()
}

impl World {
    pub(crate) fn new(seed: u64, servers: usize, faults: Faults) -> Self {
        let server = || Server {
            elector: None,
            process: 0,
            paused_until_us: 0,
            number: None,
            role: Role::Left,
            last_epoch: Epoch::ZERO,
            wake_at: None,
        };
        Self {
            seed,
            rng: SmallRng::seed_from_u64(seed),
            now_us: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            servers: (0..servers).map(|_| server()).collect(),
            faults,
            cut: BTreeSet::new(),
            granted: Epoch::ZERO,
            grants: 0,
            holders: BTreeMap::new(),
            election_messages: 0,
            trace: std::env::var_os("BELLWETHER_SEED").is_some(),
        }
    }

    pub(crate) fn with_equal_numbers(seed: u64, servers: usize) -> Self {
        let mut world = Self::new(seed, servers, Faults::none());
        for server in &mut world.servers {
            server.number = Some(7);
        }
        world
    }

    pub(crate) fn start_all(&mut self) {
        for server in 0..self.servers.len() {
            self.start(server);
        }
    }

    pub(crate) fn start(&mut self, server: usize) {
        let number = self.servers[server].number.unwrap_or_else(|| self.rng.random());
        let peers: Vec<ServerId> = (0..self.servers.len()).map(id).collect();
        let rng = SmallRng::from_rng(&mut self.rng);
        let elector = Elector::new(
            Config::default(),
            Member::new(id(server), Number(number)),
            peers,
            rng,
            self.now(),
        );
        let this = &mut self.servers[server];
        this.elector = Some(elector.unwrap());
        this.process += 1;
        this.wake_at = None;
        this.paused_until_us = 0;
        this.role = Role::Electing;
        self.note(|| format!("start s{server} number {number}"));
        for peer in 0..self.servers.len() {
            if peer != server && self.servers[peer].elector.is_some() {
                self.links(server, peer, Link::Up);
            }
        }
        self.settle(server);
    }

    pub(crate) fn crash(&mut self, server: usize) {
        self.note(|| format!("crash s{server}"));
        self.servers[server].elector = None;
        self.servers[server].process += 1;
        self.servers[server].role = Role::Left;
        for peer in (0..self.servers.len()).filter(|peer| *peer != server) {
            // A connection that is refused is only seen where packets get through.
            if !self.cut.contains(&(server, peer)) && !self.cut.contains(&(peer, server)) {
                let delay = self.rng.random_range(1..1_000);
                self.push(
                    delay,
                    peer,
                    What::Link {
                        peer: server,
                        link: Link::Refused,
                    },
                );
            }
        }
    }

    pub(crate) fn pause_ms(&mut self, server: usize, ms: u64) {
        self.note(|| format!("pause s{server} for {ms} ms"));
        self.servers[server].paused_until_us = self.now_us + ms * 1_000;
    }

    pub(crate) fn cut_link(&mut self, a: usize, b: usize) {
        self.note(|| format!("cut s{a} s{b}"));
        self.cut.insert((a, b));
        self.cut.insert((b, a));
    }

    pub(crate) fn set_fit(&mut self, server: usize, fit: bool) {
        let now = self.now();
        if let Some(elector) = &mut self.servers[server].elector {
            elector.set_fit(now, fit);
            self.settle(server);
        }
    }

    pub(crate) fn leave(&mut self, server: usize) {
        let now = self.now();
        if let Some(elector) = &mut self.servers[server].elector {
            elector.leave(now);
            self.settle(server);
        }
    }

    pub(crate) fn random_fault(&mut self) {
        let n = self.servers.len();
        let server = self.rng.random_range(0..n);
        let other = self.rng.random_range(0..n);
        match self.rng.random_range(0..9) {
            0 => self.crash(server),
            1 | 2 if self.servers[server].elector.is_none() => self.start(server),
            3 => {
                let ms = self.rng.random_range(1..3_000);
                self.pause_ms(server, ms);
            }
            4 if server != other => {
                self.cut.insert((server, other));
            }
            5 if server != other => self.cut_link(server, other),
            6 => {
                // A partition in two halves.
                let halves: Vec<bool> = (0..n).map(|_| self.rng.random()).collect();
                for a in 0..n {
                    for b in 0..n {
                        if halves[a] != halves[b] {
                            self.cut.insert((a, b));
                        }
                    }
                }
            }
            7 => self.cut.clear(),
            8 => {
                let fit = self.rng.random_bool(0.7);
                self.set_fit(server, fit);
            }
            _ => {}
        }
    }

    /// Everyone up, fit and connected, no more loss.
    pub(crate) fn heal(&mut self) {
        self.note(|| "heal".into());
        self.cut.clear();
        self.faults = Faults::none();
        for server in 0..self.servers.len() {
            self.servers[server].paused_until_us = 0;
            if self.servers[server].elector.is_none() {
                self.start(server);
            }
            self.set_fit(server, true);
            self.push(0, server, What::Wake);
            for peer in 0..server {
                self.links(server, peer, Link::Up);
            }
        }
    }

    pub(crate) fn run_for_ms(&mut self, ms: u64) {
        let end = self.now_us + ms * 1_000;
        while let Some(Reverse(event)) = self.queue.peek() {
            if event.at_us > end {
                break;
            }
            let Some(Reverse(mut event)) = self.queue.pop() else {
                break;
            };
            self.now_us = event.at_us;
            let server = &self.servers[event.to];
            if server.process != event.process || server.elector.is_none() {
                continue;
            }
            if server.paused_until_us > self.now_us {
                event.at_us = server.paused_until_us;
                self.queue.push(Reverse(event));
                continue;
            }
            self.handle(event);
        }
        self.now_us = end;
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        let Some(elector) = &mut self.servers[event.to].elector else {
            return;
        };
        match event.what {
            What::Wake => {
                self.servers[event.to].wake_at = None;
                let Some(elector) = &mut self.servers[event.to].elector else {
                    return;
                };
                if elector.poll_timeout().is_some_and(|at| at <= now) {
                    elector.handle_timeout(now);
                }
            }
            What::Deliver { from, message } => elector.handle_message(now, &id(from), message),
            What::Link { peer, link } => elector.handle_link(now, &id(peer), link),
            What::Granted(epoch) => elector.handle_claim(now, epoch),
            What::Drained(epoch) => elector.drained(now, epoch),
        }
        self.settle(event.to);
    }

    /// Carries out what the elector wants and checks the invariants at every change of role.
    fn settle(&mut self, server: usize) {
        while let Some(output) = self.servers[server]
            .elector
            .as_mut()
            .and_then(Elector::poll_output)
        {
            match output {
                Output::Send { to, message } => self.transmit(server, index(&to), message),
                Output::Claim(_) => {
                    let delay = self.rng.random_range(500..20_000);
                    let granted = if self.rng.random_bool(self.faults.claim_failure) {
                        None
                    } else {
                        self.granted = self.granted.next();
                        self.grants += 1;
                        Some(self.granted)
                    };
                    self.push(delay, server, What::Granted(granted));
                }
                Output::Role(role) => self.check_role(server, role),
                other => panic!("seed {}: unexpected {other:?}", self.seed),
            }
        }
        let deadline = self.servers[server]
            .elector
            .as_ref()
            .and_then(Elector::poll_timeout);
        if let Some(at) = deadline
            && self.servers[server].wake_at != Some(at)
        {
            self.servers[server].wake_at = Some(at);
            let at_us = u64::try_from(at.elapsed_since_origin().as_micros()).unwrap();
            let late = self.rng.random_range(1..200);
            self.push(at_us.saturating_sub(self.now_us) + late, server, What::Wake);
        }
    }

    fn check_role(&mut self, server: usize, role: Role) {
        let seed = self.seed;
        self.note(|| format!("s{server} is {role:?}"));
        if let Role::Coordinator { epoch } = role {
            // epoch_unique: nobody else, no other incarnation, and not twice.
            let holder = (server, self.servers[server].process);
            let before = self.holders.insert(epoch, holder);
            assert!(
                before.is_none(),
                "seed {seed}: epoch {epoch} given to {before:?} and {holder:?}"
            );
            assert!(
                epoch <= self.granted,
                "seed {seed}: epoch {epoch} was never granted"
            );
            // epoch_grows
            let last = &mut self.servers[server].last_epoch;
            assert!(
                epoch > *last,
                "seed {seed}: s{server} had epoch {last}, then {epoch}"
            );
            *last = epoch;
        }
        if let Role::Draining { epoch, .. } = role {
            let delay = self.rng.random_range(1..50_000);
            self.push(delay, server, What::Drained(epoch));
        }
        self.servers[server].role = role;
    }

    fn transmit(&mut self, from: usize, to: usize, message: Message) {
        if !matches!(message.body, Body::Heartbeat { .. } | Body::HeartbeatAck { .. }) {
            self.election_messages += 1;
        }
        self.note(|| format!("s{from} -> s{to} {:?}", message.body));
        if self.cut.contains(&(from, to)) || self.rng.random_bool(self.faults.loss) {
            return;
        }
        let copies = if self.rng.random_bool(self.faults.double) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = self.rng.random_range(50..self.faults.max_delay_us);
            self.push(
                delay,
                to,
                What::Deliver {
                    from,
                    message: message.clone(),
                },
            );
        }
    }

    fn links(&mut self, a: usize, b: usize, link: Link) {
        let delay = self.rng.random_range(100..2_000);
        self.push(delay, a, What::Link { peer: b, link });
        self.push(delay, b, What::Link { peer: a, link });
    }

    fn push(&mut self, delay_us: u64, to: usize, what: What) {
        self.sequence += 1;
        let process = self.servers[to].process;
        let event = Event {
            at_us: self.now_us + delay_us,
            sequence: self.sequence,
            to,
            process,
            what,
        };
        self.queue.push(Reverse(event));
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>12.3} ms  {}", self.now_us as f64 / 1_000.0, text());
        }
    }

    fn now(&self) -> Instant {
        Instant::since_origin(Duration::from_micros(self.now_us))
    }

    pub(crate) fn grants(&self) -> u64 {
        self.grants
    }

    /// Messages sent so far that are not heartbeats or their acknowledgements.
    pub(crate) fn election_messages(&self) -> u64 {
        self.election_messages
    }

    pub(crate) fn role(&self, server: usize) -> Option<Role> {
        self.servers[server].elector.as_ref().map(Elector::role)
    }

    /// The running server with the largest rank.
    pub(crate) fn best(&self) -> usize {
        let running = self.servers.iter().enumerate().filter_map(|(i, server)| {
            let elector = server.elector.as_ref()?;
            Some((elector.member().rank.clone(), i))
        });
        running.max().map(|(_, i)| i).expect("a server is running")
    }

    /// converges: exactly one coordinator, the largest rank, everywhere.
    pub(crate) fn check_converged(&self) {
        let best = self.best();
        let seed = self.seed;
        let Some(Role::Coordinator { epoch }) = self.role(best) else {
            panic!(
                "seed {seed}: s{best} should be coordinator and is {:?}",
                self.role(best)
            );
        };
        for server in (0..self.servers.len()).filter(|server| *server != best) {
            match self.role(server) {
                None => {}
                Some(Role::Follower { coordinator }) => {
                    assert_eq!(coordinator.rank.id, id(best), "seed {seed}: s{server}");
                    assert_eq!(coordinator.epoch, epoch, "seed {seed}: s{server}");
                }
                other => panic!("seed {seed}: s{server} should follow s{best} and is {other:?}"),
            }
        }
    }
}
