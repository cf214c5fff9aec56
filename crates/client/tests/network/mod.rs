//! A network in memory whose servers follow a script, on tokio's virtual clock.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_client::{
    Closed, CommandId, CommandText, ConnectError, Connection, ErrorCode, ErrorFrame, Event, Executed,
    Failure, OneShot, Outcome, Platform, ServerList, ServerUrl,
};
use bellwether_protocol::{
    ClientFrame, CommandFate, CommandResult, CoordinatorHint, HelloOk, Limits, MAX_MESSAGE_BYTES, RawJson,
    RoleName, ServerFrame,
};
use tokio::time::Instant;

/// What a server does with one connection.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Nothing listens.
    Refuses,
    /// The connection is never opened and never refused.
    SwallowsConnect,
    /// The connection opens; then nothing.
    SaysNothing,
    /// Closes with this code instead of saying hello.
    Closes(u16),
    /// Follows the server with this URL, or none it could name.
    Follows(Option<&'static str>),
    /// Belongs to another cluster.
    IsElsewhere,
    /// Executes the command.
    Executes,
    /// Executes the command, and the connection breaks before the reply.
    LosesReply,
    /// Takes the command and never answers.
    GoesSilent,
    /// Answers the command with this error, and with this outcome.
    Fails(ErrorCode, Outcome),
    /// Refuses the command for now and says after how many milliseconds it may come back.
    IsOverloaded(u64),
    /// Announces this error on the connection while the command executes.
    Announces(ErrorCode),
}

#[derive(Debug, Default)]
struct World {
    scripts: HashMap<String, VecDeque<Does>>,
    /// Every connect, by short name.
    asked: Vec<String>,
    /// Every command that arrived: where, its id, its deadline.
    arrived: Vec<(String, CommandId, Duration)>,
    executed: HashMap<CommandId, u32>,
}

/// The network, and the platform on it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    world: Arc<Mutex<World>>,
    started: Instant,
}

impl Network {
    /// Servers `a:1`, `b:1`, … Each does the things of its script one connection after the other, and the
    /// last one for ever.
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

    fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
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
        let does = self.with(|world| {
            world.asked.push(name.clone());
            let script = world.scripts.get_mut(&name)?;
            if script.len() > 1 {
                script.pop_front()
            } else {
                script.front().cloned()
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        match does {
            None | Some(Does::Refuses) => Err(ConnectError::Unreachable("connection refused".into())),
            Some(Does::SwallowsConnect) => core::future::pending().await,
            Some(does) => Ok(Wire {
                network: self.clone(),
                name,
                does,
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
        [128; 10]
    }
}

/// A connection to a scripted server.
#[derive(Debug)]
pub(crate) struct Wire {
    network: Network,
    name: String,
    does: Does,
    inbox: VecDeque<Result<String, Closed>>,
}

impl Connection for Wire {
    async fn send(&mut self, text: String) -> Result<(), Closed> {
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Hello(_)) => self.greet(),
            Ok(ClientFrame::Command(command)) => {
                let deadline = Duration::from_millis(command.deadline_ms.unwrap_or_default());
                self.network
                    .with(|world| world.arrived.push((self.name.clone(), command.id, deadline)));
                self.answer(command.id);
            }
            Ok(ClientFrame::Outcome(query)) => self.tell(query.id),
            Err(error) => return Err(Closed::broken(error)),
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<String, Closed> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match self.inbox.pop_front() {
            Some(message) => message,
            None => core::future::pending().await,
        }
    }

    async fn close(self) {}
}

impl Wire {
    fn greet(&mut self) {
        let (role, coordinator) = match &self.does {
            Does::SaysNothing => return,
            Does::Closes(code) => {
                self.inbox.push_back(Err(Closed {
                    code: Some(*code),
                    reason: String::new(),
                }));
                return;
            }
            Does::Follows(url) => {
                let hint = |url: &&str| CoordinatorHint {
                    server: "sX".into(),
                    url: Some((*url).to_owned()),
                };
                (RoleName::Follower, url.as_ref().map(hint))
            }
            _ => (RoleName::Coordinator, None),
        };
        let cluster = if matches!(self.does, Does::IsElsewhere) {
            "elsewhere"
        } else {
            "here"
        };
        self.say(ServerFrame::HelloOk(HelloOk {
            cluster: cluster.into(),
            server: self.name.clone(),
            role,
            epoch: Some(7),
            coordinator,
            server_time_ms: 1_795_000_000_000,
            limits: Limits {
                max_message_bytes: MAX_MESSAGE_BYTES as u64,
                max_depth: 100,
                max_result_bytes: 1 << 22,
                max_deadline_ms: 60_000,
                retention_ms: 86_400_000,
            },
        }));
    }

    fn answer(&mut self, id: CommandId) {
        match self.does.clone() {
            Does::Executes => self.reply(id),
            Does::LosesReply => {
                self.execute(id);
                self.inbox.push_back(Err(Closed::broken("connection reset")));
            }
            Does::Fails(code, outcome) => {
                self.say(ServerFrame::Error(
                    ErrorFrame::new(code, outcome, "no").for_command(id),
                ));
            }
            Does::IsOverloaded(millis) => {
                let mut error = ErrorFrame::new(ErrorCode::Overloaded, Outcome::NotExecuted, "full");
                error.retry_after_ms = Some(millis);
                self.say(ServerFrame::Error(error.for_command(id)));
            }
            Does::Announces(code) => {
                self.say(ServerFrame::Error(ErrorFrame::new(
                    code,
                    Outcome::NotExecuted,
                    "soon",
                )));
                self.reply(id);
            }
            _ => {}
        }
    }

    /// Says what became of the command, or does what else the script has.
    fn tell(&mut self, id: CommandId) {
        if !matches!(self.does, Does::Executes) {
            return self.answer(id);
        }
        let executed = self.network.with(|world| world.executed.contains_key(&id));
        self.say(ServerFrame::Fate(CommandFate {
            id,
            outcome: if executed {
                Outcome::Executed
            } else {
                Outcome::NotExecuted
            },
            epoch: executed.then_some(7),
            result: None,
        }));
    }

    /// Whether the command was executed before.
    fn execute(&mut self, id: CommandId) -> bool {
        self.network.with(|world| world.executed.insert(id, 1)).is_some()
    }

    fn reply(&mut self, id: CommandId) {
        let replayed = self.execute(id);
        let result = RawJson::object(r#"{"ok":1}"#).expect("this is JSON");
        self.say(ServerFrame::Result(CommandResult {
            id,
            epoch: 7,
            replayed,
            result,
        }));
    }

    fn say(&mut self, frame: ServerFrame) {
        self.inbox.push_back(Ok(frame.to_json()));
    }
}
