//! A set of servers, the network between them, an arbiter and a resource that outlive them, in
//! virtual time.

use std::collections::BTreeSet;

use bellwether_election::{Config, Elector, Instant, Member, Number, Role};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::arbiter::{Arbiter, Memory};
use crate::clock::{Clock, MS, Micros, micros};
use crate::event::{Event, Queue, What};
use crate::explore::{Figures, tracing};
use crate::invariants::{self, Fact, Invariant, Scene, Violation};
use crate::network::{Hints, Network};
use crate::resource::{Fencing, Resource};
use crate::server::{Server, id};

/// The setup of a world.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) hints: Hints,
    pub(crate) memory: Memory,
    pub(crate) fencing: Fencing,
    /// Each server's clock has its own origin and rate.
    pub(crate) drift: bool,
    /// The kind of each server.
    pub(crate) kinds: Vec<Kind>,
    /// Having granted or confirmed an epoch, the arbiter grants no other until that answer is too
    /// old to be used.
    pub(crate) patient_arbiter: bool,
    /// Numbers are drawn below this, so that servers and their later incarnations share some.
    pub(crate) numbers_below: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) priority: u8,
    pub(crate) observer: bool,
}

impl Setup {
    /// Returns a setup without faults.
    pub(crate) fn calm(servers: usize) -> Self {
        Self {
            config: Config::default(),
            hints: Hints::Honest,
            memory: Memory::Durable,
            fencing: Fencing::AtGrant,
            drift: false,
            kinds: vec![Kind::default(); servers],
            patient_arbiter: false,
            numbers_below: u64::MAX,
        }
    }
}

pub(crate) struct World {
    pub(crate) rng: SmallRng,
    pub(crate) setup: Setup,
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    pub(crate) arbiter: Arbiter,
    /// The members of the cluster, as the operator configures them.
    pub(crate) cluster: BTreeSet<usize>,
    pub(crate) queue: Queue,
    pub(crate) facts: Vec<Fact>,
    pub(crate) messages: u64,
    /// Messages that are not heartbeats or their acknowledgements.
    pub(crate) election_messages: u64,
    now: Micros,
    /// Highest delay of a wake-up: mostly small.
    pub(crate) latest_wake: Micros,
    resource: Resource,
    invariants: Vec<Box<dyn Invariant>>,
    steps: u64,
    pub(crate) last_role_change: Micros,
}

impl World {
    pub(crate) fn new(seed: u64, setup: Setup) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut clock = || {
            if setup.drift {
                Clock::drifting(&mut rng)
            } else {
                Clock::exact()
            }
        };
        let servers = (0..setup.kinds.len()).map(|_| Server::new(clock())).collect();
        // A promise of the length of the timeout, by the slowest clock.
        let time_limit = u64::from(setup.patient_arbiter) * micros(setup.config.timeout) * 11 / 10;
        if tracing() {
            eprintln!("{setup:#?}");
        }
        Self {
            rng,
            servers,
            network: Network::new(setup.hints),
            arbiter: Arbiter::new(setup.memory, time_limit),
            cluster: (0..setup.kinds.len()).collect(),
            resource: Resource::new(setup.fencing),
            invariants: invariants::all(&setup),
            setup,
            now: 0,
            queue: Queue::default(),
            latest_wake: MS / 5,
            facts: Vec::new(),
            steps: 0,
            election_messages: 0,
            messages: 0,
            last_role_change: 0,
        }
    }

    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    pub(crate) fn role(&self, server: usize) -> Option<Role> {
        self.servers[server].elector.as_ref().map(Elector::role)
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            virtual_time: self.now,
            steps: self.steps,
            converged: 0.0,
        }
    }

    pub(crate) fn run_for_ms(&mut self, ms: u64) -> Result<(), Violation> {
        self.run_until(self.now + ms * MS)
    }

    pub(crate) fn run_until(&mut self, end: Micros) -> Result<(), Violation> {
        while let Some((at, event)) = self.queue.pop(end) {
            self.now = at;
            self.happen(event)?;
        }
        self.now = end.max(self.now);
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Server {
                server,
                process,
                what,
            } => {
                let to = &self.servers[server];
                if to.process != process || !to.runs() {
                    return Ok(());
                }
                if to.paused_until > self.now {
                    if matches!(what, What::Deliver { .. }) {
                        self.facts.push(Fact::HeldUp);
                    }
                    let what = Event::Server {
                        server,
                        process,
                        what,
                    };
                    self.queue.push(to.paused_until, what);
                    return Ok(());
                }
                self.tell(server, what)
            }
            Event::Claim {
                server,
                process,
                claim,
            } => {
                let (granted, told) = self.arbiter.decide(self.now, &claim, &mut self.rng);
                if let Some(epoch) = granted {
                    self.resource.on_grant(epoch);
                    self.note(|| format!("arbiter grants {epoch} to s{server}"));
                    self.facts.push(Fact::Granted {
                        server,
                        process,
                        epoch,
                    });
                }
                let delay = self.arbiter.delay(&mut self.rng);
                self.push_to_process(delay, server, process, What::ClaimAnswered(told));
                self.check()
            }
            Event::Confirm {
                server,
                process,
                epoch,
            } => {
                let newest = self.arbiter.confirm(self.now, epoch, &mut self.rng);
                let delay = self.arbiter.delay(&mut self.rng);
                self.push_to_process(delay, server, process, What::ConfirmAnswered { epoch, newest });
                Ok(())
            }
            Event::AskNewest { server, process } => {
                let newest = self.arbiter.newest(&mut self.rng);
                let delay = self.arbiter.delay(&mut self.rng);
                self.push_to_process(delay, server, process, What::NewestAnswered(newest));
                Ok(())
            }
            Event::Write {
                server,
                process,
                epoch,
            } => {
                let committed = self.resource.write(epoch);
                if committed {
                    self.facts.push(Fact::Committed { server, epoch });
                } else {
                    self.note(|| format!("resource refuses epoch {epoch} of s{server}"));
                }
                let delay = self.rng.random_range(100..20 * MS);
                let answer = What::WriteAnswered {
                    epoch,
                    refused: !committed,
                };
                self.push_to_process(delay, server, process, answer);
                self.check()
            }
        }
    }

    fn tell(&mut self, server: usize, what: What) -> Result<(), Violation> {
        match what {
            What::Wake(at) => {
                let this = &mut self.servers[server];
                if this.wake_at == Some(at) {
                    this.wake_at = None;
                }
                let now = this.clock.read(self.now);
                let deadline = this.elector.as_ref().and_then(Elector::poll_timeout);
                if deadline.is_some_and(|at| at <= now) {
                    self.facts.push(Fact::Woken { server });
                    return self.call(server, Elector::handle_timeout);
                }
                self.wake_in_time(server);
                Ok(())
            }
            What::Deliver { from, message } => self.call(server, |elector, now| {
                elector.handle_message(now, &id(from), message);
            }),
            What::Link { peer, link, hint } => {
                if self.network.is_last_hint(server, peer, hint) {
                    self.tell_link(server, peer, link)
                } else {
                    Ok(())
                }
            }
            What::ClaimAnswered(granted) => {
                self.facts.push(Fact::ClaimAnswered { server });
                self.call(server, |elector, now| elector.handle_claim(now, granted))
            }
            What::ConfirmAnswered { epoch, newest } => {
                self.facts.push(Fact::ConfirmAnswered { server, epoch });
                self.call(server, |elector, now| {
                    elector.handle_confirmation(now, epoch, newest);
                })
            }
            What::NewestAnswered(newest) => {
                self.note(|| format!("s{server} is told by the arbiter: {newest:?}"));
                self.facts.push(Fact::NewestAnswered { server, newest });
                self.call(server, |elector, now| elector.handle_newest(now, newest))
            }
            What::Membership { peer, belongs } => self.tell_membership(server, peer, belongs),
            What::Work(epoch) => {
                self.work(server, epoch);
                Ok(())
            }
            What::WriteAnswered { epoch, refused } => {
                self.servers[server].in_flight -= 1;
                if refused {
                    self.facts.push(Fact::Refused { server, epoch });
                    return self.call(server, |elector, now| elector.step_down(now, epoch));
                }
                Ok(())
            }
            What::Drained(epoch) => {
                if self.servers[server].in_flight > 0 || self.servers[server].stuck {
                    self.push(5 * MS, server, What::Drained(epoch));
                    return Ok(());
                }
                self.facts.push(Fact::Drained { server, epoch });
                self.call(server, |elector, now| elector.drained(now, epoch))
            }
            What::Exit => self.crash(server),
        }
    }

    /// Calls a server's elector, carries out its outputs, and checks everything.
    pub(crate) fn call(
        &mut self,
        server: usize,
        f: impl FnOnce(&mut Elector<SmallRng>, Instant),
    ) -> Result<(), Violation> {
        let (now, gap) = self.servers[server].called(self.now);
        let before = self.servers[server].role.clone();
        self.facts.push(Fact::Called { server, gap, before });
        if let Some(elector) = &mut self.servers[server].elector {
            f(elector, now);
        }
        self.carry_out(server)
    }

    pub(crate) fn push(&mut self, delay: Micros, server: usize, what: What) {
        let process = self.servers[server].process;
        self.push_to_process(delay, server, process, what);
    }

    pub(crate) fn push_to_process(&mut self, delay: Micros, server: usize, process: u64, what: What) {
        let event = Event::Server {
            server,
            process,
            what,
        };
        self.queue.push(self.now + delay, event);
    }

    /// Ends a step.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        self.steps += 1;
        let scene = Scene {
            at: self.now,
            servers: &self.servers,
            config: &self.setup.config,
            longest_answer: self.arbiter.longest(),
            latest_wake: self.latest_wake,
        };
        for invariant in &mut self.invariants {
            invariant
                .check(&scene, &self.facts)
                .map_err(|detail| Violation::new(invariant.name(), self.now, detail))?;
        }
        self.facts.clear();
        Ok(())
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if tracing() {
            eprintln!("{:>12.3} ms  {}", self.now as f64 / 1_000.0, text());
        }
    }

    pub(crate) fn start(&mut self, server: usize) -> Result<(), Violation> {
        let number = Number(self.rng.random_range(0..self.setup.numbers_below));
        let kind = self.setup.kinds[server];
        let mut me = Member::new(id(server), number).with_priority(kind.priority);
        me.observer = kind.observer;
        let mut peers = self.cluster.clone();
        peers.remove(&server);
        let rng = SmallRng::from_rng(&mut self.rng);
        self.note(|| format!("start {me:?} {:?}", self.servers[server].clock));
        self.servers[server].start(self.now, &self.setup.config, me, peers, rng);
        self.facts.push(Fact::Started { server });
        self.links_of(server);
        self.carry_out(server)
    }

    pub(crate) fn crash(&mut self, server: usize) -> Result<(), Violation> {
        if !self.servers[server].runs() {
            return Ok(());
        }
        self.note(|| format!("s{server} ends"));
        self.servers[server].stop();
        self.facts.push(Fact::Stopped { server });
        self.links_of(server);
        self.check()
    }

    pub(crate) fn timeout(&self) -> Micros {
        micros(self.setup.config.timeout)
    }
}
