//! One server's elector, and its reactions to events.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use bellwether_election::{
    Body, Config, Elector, Epoch, Instant, Link, Member, Message, Newest, Number, Output, Role, ServerId,
    Timestamp,
};
use rand::RngCore;

use crate::hash_of;
use crate::network::Envelope;
use crate::time::{NOW, micros};

/// Chance is not explored: it only spreads servers out in time, and the model tries every order of
/// events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NoChance;

impl RngCore for NoChance {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

pub(crate) fn id(server: usize) -> ServerId {
    let id = ["a", "b", "c", "d"][server];
    id.parse().expect("a letter is an id")
}

fn index(id: &ServerId) -> usize {
    usize::from(id.as_str().as_bytes()[0] - b'a')
}

/// An elector in one situation, shared by all the states in which it is in it. Two are equal if
/// their hashes are, as the checker takes states to be.
#[derive(Clone)]
pub(crate) struct Process(Arc<Situation>);

struct Situation {
    elector: Elector<NoChance>,
    role: Role,
    hash: u64,
}

impl Process {
    pub(crate) fn role(&self) -> &Role {
        &self.0.role
    }

    pub(crate) fn member(&self) -> &Member {
        self.0.elector.member()
    }

    /// Returns the largest epoch that it uses.
    pub(crate) fn seen(&self) -> Epoch {
        self.0.elector.seen_epoch()
    }

    /// Returns the time at which it next acts by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.elector.poll_timeout()
    }

    pub(crate) fn valid_until(&self) -> Option<Instant> {
        self.0.elector.valid_until()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.elector.fmt(f)
    }
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Process {}

impl Hash for Process {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

/// An event of a process.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Event {
    Timeout,
    Message(Arc<Envelope>),
    Link(usize, Link),
    Claim(Option<Epoch>),
    Confirmation(Epoch, Option<bool>),
    Newest(Newest),
    StepDown(Epoch),
    Drained(Epoch),
    Leave,
    Resign,
    SetEligible(bool),
    /// Nothing but that time passes.
    Nothing,
}

/// A wish of a process. The same as its outputs.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    Send(Arc<Envelope>),
    Claim { above: Epoch },
    Confirm(Epoch),
    AskNewest,
    Be(Role),
}

pub(crate) struct Reaction {
    pub(crate) process: Process,
    pub(crate) wants: Vec<Want>,
}

/// Every situation that any elector has been in, and every reaction it has had. Most states of a
/// cluster combine situations that are known already.
pub(crate) struct Processes {
    config: Config,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    processes: HashMap<u64, Process>,
    reactions: HashMap<u64, Arc<Reaction>>,
}

impl Processes {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            known: Mutex::default(),
        }
    }

    /// Returns a process that starts now.
    pub(crate) fn start(&self, server: usize, number: u64, servers: usize) -> Arc<Reaction> {
        let me = Member::new(id(server), Number(number));
        let ids = (0..servers).map(id);
        let elector = Elector::new(self.config.clone(), me, ids, NoChance, NOW);
        let elector = elector.expect("the configuration is valid");
        Arc::new(self.reaction(elector, server, NOW))
    }

    /// Returns the reaction of `process` to `event` at `now`. Afterwards that moment is [`NOW`].
    pub(crate) fn react(
        &self,
        process: &Process,
        server: usize,
        now: Instant,
        event: &Event,
    ) -> Arc<Reaction> {
        let key = hash_of(&(process, now, event));
        if let Some(known) = self.known().reactions.get(&key) {
            return Arc::clone(known);
        }
        let mut elector = process.0.elector.clone();
        match event {
            Event::Timeout => elector.handle_timeout(now),
            Event::Message(envelope) => {
                elector.handle_message(now, &id(envelope.from), envelope.message.clone());
            }
            Event::Link(peer, link) => elector.handle_link(now, &id(*peer), *link),
            Event::Claim(granted) => elector.handle_claim(now, *granted),
            Event::Confirmation(epoch, newest) => elector.handle_confirmation(now, *epoch, *newest),
            Event::Newest(newest) => elector.handle_newest(now, *newest),
            Event::StepDown(epoch) => elector.step_down(now, *epoch),
            Event::Drained(epoch) => elector.drained(now, *epoch),
            Event::Leave => elector.leave(now),
            // Refused if no server could take over.
            Event::Resign => drop(elector.resign(now)),
            Event::SetEligible(eligible) => elector.set_eligible(now, *eligible),
            Event::Nothing => {}
        }
        let reaction = Arc::new(self.reaction(elector, server, now));
        self.known().reactions.insert(key, Arc::clone(&reaction));
        reaction
    }

    fn reaction(&self, mut elector: Elector<NoChance>, server: usize, now: Instant) -> Reaction {
        let outputs = std::iter::from_fn(|| elector.poll_output());
        let wants = outputs.map(|output| want(server, output)).collect();
        elector.shift_time(now, NOW);
        let hash = hash_of(&elector);
        let mut known = self.known();
        let process = known.processes.entry(hash).or_insert_with(|| {
            let role = elector.role();
            Process(Arc::new(Situation { elector, role, hash }))
        });
        Reaction {
            process: process.clone(),
            wants,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no task panics with the lock")
    }
}

fn want(server: usize, output: Output) -> Want {
    match output {
        Output::Send { to, message } => {
            Want::Send(Arc::new(Envelope::new(server, index(&to), sent_now(message))))
        }
        Output::Claim(claim) => Want::Claim { above: claim.above },
        Output::Confirm(epoch) => Want::Confirm(epoch),
        Output::AskNewest => Want::AskNewest,
        Output::Role(role) => Want::Be(role),
        other => panic!("the model does not know {other:?}"),
    }
}

/// Moves the message to the present moment, which is always the same, even if the process got a
/// later one.
fn sent_now(mut message: Message) -> Message {
    if let Body::Coordinator { sent_at, .. } | Body::HeartbeatAck { sent_at, .. } = &mut message.body {
        *sent_at = Timestamp(micros(NOW.elapsed_since_origin()));
    }
    message
}
