//! The effects of an elector's outputs, and the work of its server while it is coordinator.

use bellwether_election::{Body, Claim, Elector, Epoch, Message, Newest, Output, Role};
use rand::Rng;

use crate::clock::MS;
use crate::event::{Event, What};
use crate::invariants::{Fact, Violation};
use crate::server::index;
use crate::world::World;

impl World {
    /// Carries out the outputs of a server's elector, and checks everything.
    pub(crate) fn carry_out(&mut self, server: usize) -> Result<(), Violation> {
        while let Some(output) = self.servers[server]
            .elector
            .as_mut()
            .and_then(Elector::poll_output)
        {
            match output {
                Output::Send { to, message } => self.transmit(server, index(&to), message),
                Output::Claim(claim) => {
                    self.facts.push(Fact::Claimed { server });
                    self.note(|| format!("s{server} claims an epoch above {}", claim.above));
                    self.claim(server, claim);
                }
                Output::Confirm(epoch) => {
                    self.facts.push(Fact::Confirming { server, epoch });
                    self.confirm(server, epoch);
                }
                Output::AskNewest => {
                    self.facts.push(Fact::Asked { server });
                    self.note(|| format!("s{server} asks for the newest epoch"));
                    self.ask_newest(server);
                }
                Output::Role(role) => self.on_role(server, role),
                other => {
                    let text = format!("unexpected {other:?}");
                    return Err(Violation::new("known_output", self.now(), text));
                }
            }
        }
        self.wake_in_time(server);
        self.check()
    }

    fn transmit(&mut self, from: usize, to: usize, message: Message) {
        self.messages += 1;
        if !matches!(message.body, Body::Heartbeat { .. } | Body::HeartbeatAck { .. }) {
            self.election_messages += 1;
        }
        self.note(|| format!("s{from} -> s{to} {:?}", message.body));
        self.facts.push(Fact::Sent {
            server: from,
            body: message.body.clone(),
        });
        for delay in self.network.deliveries(from, to, &mut self.rng) {
            let message = message.clone();
            self.push(delay, to, What::Deliver { from, message });
        }
    }

    fn claim(&mut self, server: usize, claim: Claim) {
        let process = self.servers[server].process;
        if self.servers[server].cut_off {
            // The arbiter's client gives up at some time.
            let delay = 2 * self.arbiter.delay(&mut self.rng);
            return self.push(delay, server, What::ClaimAnswered(None));
        }
        let at = self.now() + self.arbiter.delay(&mut self.rng);
        let claim = Event::Claim {
            server,
            process,
            claim,
        };
        self.queue.push(at, claim);
    }

    fn confirm(&mut self, server: usize, epoch: Epoch) {
        let process = self.servers[server].process;
        let delay = self.arbiter.delay(&mut self.rng);
        if self.servers[server].cut_off {
            let newest = None;
            return self.push(2 * delay, server, What::ConfirmAnswered { epoch, newest });
        }
        let confirm = Event::Confirm {
            server,
            process,
            epoch,
        };
        self.queue.push(self.now() + delay, confirm);
    }

    fn ask_newest(&mut self, server: usize) {
        let process = self.servers[server].process;
        let delay = self.arbiter.delay(&mut self.rng);
        if self.servers[server].cut_off {
            return self.push(2 * delay, server, What::NewestAnswered(Newest::Unreachable));
        }
        let question = Event::AskNewest { server, process };
        self.queue.push(self.now() + delay, question);
    }

    fn on_role(&mut self, server: usize, role: Role) {
        self.note(|| format!("s{server} is {role:?}"));
        match &role {
            Role::Coordinator { epoch } => {
                let delay = self.rng.random_range(1..50 * MS);
                self.push(delay, server, What::Work(*epoch));
            }
            Role::Draining { epoch, .. } => {
                let delay = self.rng.random_range(1..20 * MS);
                self.push(delay, server, What::Drained(*epoch));
            }
            Role::Left => {
                let delay = self.rng.random_range(1..50 * MS);
                self.push(delay, server, What::Exit);
            }
            _ => {}
        }
        self.last_role_change = self.now();
        self.servers[server].role = role.clone();
        self.facts.push(Fact::RoleChanged { server, role });
    }

    /// Lets the coordinator write, now and again later.
    pub(crate) fn work(&mut self, server: usize, epoch: Epoch) {
        if self.servers[server].takes_work() != Some(epoch) {
            return;
        }
        let process = self.servers[server].process;
        self.servers[server].in_flight += 1;
        let delay = self.rng.random_range(100..100 * MS);
        if self.servers[server].cut_off {
            let refused = false;
            self.push(delay, server, What::WriteAnswered { epoch, refused });
        } else {
            let write = Event::Write {
                server,
                process,
                epoch,
            };
            self.queue.push(self.now() + delay, write);
        }
        let next = self.rng.random_range(1..200 * MS);
        self.push(next, server, What::Work(epoch));
    }

    pub(crate) fn wake_in_time(&mut self, server: usize) {
        let this = &self.servers[server];
        let deadline = this.elector.as_ref().and_then(Elector::poll_timeout);
        let Some(at) = deadline.filter(|at| this.wake_at != Some(*at)) else {
            return;
        };
        let due = this.clock.when(at).max(self.now());
        let late = self.rng.random_range(0..=self.latest_wake);
        self.servers[server].wake_at = Some(at);
        self.push(due - self.now() + late, server, What::Wake(at));
    }
}
