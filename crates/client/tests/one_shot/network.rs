//! A network in memory whose servers follow a script, on tokio's virtual clock.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_client::{
    CommandId, CommandText, ConnectError, Event, Executed, Failure, OneShot, Platform, ServerList, ServerUrl,
};
use tokio::time::Instant;

use crate::script::{Does, NOW, Slowness};
use crate::wire::{Pings, Wire};

#[derive(Debug, Default)]
pub(crate) struct World {
    scripts: HashMap<String, VecDeque<Does>>,
    /// Every connect, by short name.
    asked: Vec<String>,
    /// Every command that arrived: where, its id, its deadline.
    pub(crate) arrived: Vec<(String, CommandId, Duration)>,
    pub(crate) executed: HashMap<CommandId, u32>,
    /// The server that has a command or a question, neither answered nor given up, and the time
    /// since when.
    pub(crate) in_hand: Option<InHand>,
    wires: u64,
    pub(crate) has_pings: bool,
    random: Option<u64>,
}

/// A part of a script, with everything that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) does: Does,
    pub(crate) slowness: Slowness,
    pub(crate) epoch: u64,
    /// In milliseconds since the Unix epoch.
    pub(crate) clock: u64,
    /// Milliseconds from an answer to the end of the connection.
    pub(crate) closes_after: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct InHand {
    pub(crate) wire: u64,
    pub(crate) server: String,
    pub(crate) since: Instant,
}

/// The network, and the platform on it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    world: Arc<Mutex<World>>,
    started: Instant,
}

impl Network {
    /// Servers `a:1`, `b:1`, … Each does the things of its script one connection after the other,
    /// and the last one for all later connections.
    pub(crate) fn new(scripts: &[(&str, &[Does])]) -> Self {
        let scripts = scripts
            .iter()
            .map(|(name, script)| ((*name).to_owned(), script.iter().cloned().collect()));
        let world = World {
            scripts: scripts.collect(),
            ..World::default()
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            started: Instant::now(),
        }
    }

    /// As it is, but its randomness is that of this seed, no longer a constant.
    pub(crate) fn seeded(self, seed: u64) -> Self {
        self.with(|world| world.random = Some(seed));
        self
    }

    /// The same network on a platform that can send pings.
    pub(crate) fn with_pings(self) -> Self {
        self.with(|world| world.has_pings = true);
        self
    }

    /// Takes the next part of the script of this server.
    pub(crate) fn next_part(&self, name: &str) -> Part {
        let does = self.with(|world| {
            let script = world.scripts.get_mut(name)?;
            if script.len() > 1 {
                script.pop_front()
            } else {
                script.front().cloned()
            }
        });
        let mut part = Part {
            does: does.unwrap_or(Does::Refuses),
            slowness: Slowness::default(),
            epoch: 7,
            clock: NOW,
            closes_after: None,
        };
        loop {
            part.does = match part.does {
                Does::Slowly(more, does) => {
                    part.slowness.connect += more.connect;
                    part.slowness.hello += more.hello;
                    part.slowness.answer += more.answer;
                    *does
                }
                Does::InEpoch(number, does) => {
                    part.epoch = number;
                    *does
                }
                Does::WithClock(time, does) => {
                    part.clock = time;
                    *does
                }
                Does::ClosesAfter(millis, does) => {
                    part.closes_after = Some(millis);
                    *does
                }
                Does::Until(millis, _, then) if self.elapsed() >= Duration::from_millis(millis) => *then,
                Does::Until(_, first, _) => *first,
                _ => return part,
            }
        }
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn asked(&self) -> String {
        self.with(|world| world.asked.join(" "))
    }

    pub(crate) fn arrived(&self) -> Vec<(String, CommandId, Duration)> {
        self.with(|world| world.arrived.clone())
    }

    pub(crate) fn executions(&self) -> u32 {
        self.with(|world| world.executed.values().sum())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// An attempt over all servers, in order of their names.
    pub(crate) fn one_shot(&self) -> OneShot<Network> {
        let mut names: Vec<String> =
            self.with(|world| world.scripts.keys().map(|name| format!("{name}:1")).collect());
        names.sort();
        let servers: ServerList = names.join(",").parse().expect("names are short");
        OneShot::new(self.clone(), servers).deadline(Duration::from_secs(9))
    }

    pub(crate) async fn run(&self, shot: OneShot<Network>) -> Result<Executed, Failure> {
        shot.execute(&command(), |_| {}).await
    }
}

pub(crate) fn command() -> CommandText {
    r#"{"insert":"notes","documents":[{"n":9007199254740993}]}"#
        .parse()
        .expect("this is JSON")
}

pub(crate) fn names(event: &Event<'_>) -> &'static str {
    match event {
        Event::Pass { .. } => "pass",
        Event::Trying { .. } => "trying",
        Event::Connected { .. } => "connected",
        Event::Greeted { .. } => "greeted",
        Event::Sent { .. } => "sent",
        Event::Ended { .. } => "ended",
        Event::Pausing { .. } => "pausing",
        _ => "?",
    }
}

impl Platform for Network {
    type Connection = Wire;

    async fn connect(&self, server: &ServerUrl) -> Result<Wire, ConnectError> {
        let name = server.host().to_owned();
        self.with(|world| world.asked.push(name.clone()));
        let part = self.next_part(&name);
        tokio::time::sleep(Duration::from_millis(1 + part.slowness.connect)).await;
        match part.does {
            Does::Refuses => Err(ConnectError::Unreachable("connection refused".into())),
            Does::HasNoRoom => Err(ConnectError::NoRoom("it answered HTTP 503".into())),
            Does::SwallowsConnect => core::future::pending().await,
            _ => Ok(Wire {
                network: self.clone(),
                number: self.with(|world| {
                    world.wires += 1;
                    world.wires
                }),
                name,
                part,
                pings: Pings::default(),
                has_had_a_command: false,
                inbox: VecDeque::new(),
            }),
        }
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> [u8; 10] {
        self.with(|world| match &mut world.random {
            None => [128; 10],
            // xorshift64: https://www.jstatsoft.org/article/view/v008i14
            Some(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                let bytes = state.to_le_bytes();
                core::array::from_fn(|index| bytes[index % 7 + 1])
            }
        })
    }
}
