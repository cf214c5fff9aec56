//! A connection to a scripted server, and the rules a client must keep on it.

use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_client::{Closed, CommandId, Connection, ErrorCode, ErrorFrame, Keepalive, Outcome};
use bellwether_protocol::{
    ClientFrame, CommandResult, CoordinatorHint, HelloOk, OutcomeResult, RawJson, RoleName, ServerFrame,
};
use futures_util::future::{Either, select};
use tokio::time::Instant;

use crate::hello::hello_ok;
use crate::network::{InHand, Network, Part};
use crate::script::Does;

/// A connection to a scripted server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) network: Network,
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) pings: Pings,
    pub(crate) has_had_a_command: bool,
    /// The messages, each with the time at which it arrives.
    pub(crate) inbox: VecDeque<(Instant, Result<String, Closed>)>,
}

/// The pings of a connection, and the time at which something arrived last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pings(Arc<Mutex<(bool, Duration)>>);

impl Pings {
    fn with<T>(&self, change: impl FnOnce(&mut (bool, Duration)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_due(&self) -> bool {
        self.with(|(is_due, _)| core::mem::take(is_due))
    }

    fn heard_at(&self, now: Duration) {
        self.with(|(_, heard)| *heard = now);
    }
}

impl Keepalive for Pings {
    fn ask_for_ping(&self) {
        self.with(|(is_due, _)| *is_due = true);
    }

    fn heard(&self) -> Duration {
        self.with(|(_, heard)| *heard)
    }
}

/// Time for which the client leaves a server alone with its command.
const LEFT_ALONE: Duration = Duration::from_secs(1);

impl Connection for Wire {
    type Keepalive = Pings;

    async fn send(&mut self, text: String) -> Result<(), Closed> {
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Hello(hello)) => {
                assert_eq!(hello.token, None, "the network has no TLS");
                if let Some(asked) = self.network.with(|world| world.in_hand.clone()) {
                    let silent = asked.since.elapsed();
                    assert!(
                        silent >= LEFT_ALONE,
                        "hello to {} while {} has the command",
                        self.name,
                        asked.server
                    );
                }
                self.greet();
            }
            Ok(ClientFrame::Command(command)) => {
                if core::mem::replace(&mut self.has_had_a_command, true) {
                    self.part = self.network.next_part(&self.name);
                }
                self.take_in_hand();
                let deadline = Duration::from_millis(command.deadline_ms.unwrap_or_default());
                self.network
                    .with(|world| world.arrived.push((self.name.clone(), command.id, deadline)));
                self.answer(command.id);
            }
            Ok(ClientFrame::Outcome(query)) => {
                self.take_in_hand();
                self.tell(query.id);
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => return Err(Closed::broken(error.to_string())),
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<String, Closed> {
        let pongs = self.pongs();
        match select(pin!(self.message()), pin!(pongs)).await {
            Either::Left((message, _)) => message,
            Either::Right((never, _)) => match never {},
        }
    }

    fn keepalive(&self) -> Option<Pings> {
        let has_pings = self.network.with(|world| world.has_pings);
        has_pings.then(|| self.pings.clone())
    }

    async fn close(self) {}
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Wire {
    async fn message(&mut self) -> Result<String, Closed> {
        let Some((ready, _)) = self.inbox.front() else {
            return core::future::pending().await;
        };
        tokio::time::sleep_until(*ready).await;
        let message = self.inbox.pop_front().map(|(_, message)| message);
        if self.inbox.is_empty() {
            self.let_go();
        }
        self.pings.heard_at(self.network.elapsed());
        message.unwrap_or_else(|| Err(Closed::default()))
    }

    /// Answers pings, each a millisecond later.
    fn pongs(&self) -> impl Future<Output = Infallible> + 'static {
        let (pings, network) = (self.pings.clone(), self.network.clone());
        let is_cut_off = matches!(self.part.does, Does::CutsOff | Does::CutsOffAfterExecution);
        async move {
            loop {
                poll_fn(|_| match pings.take_due() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                if !is_cut_off {
                    pings.heard_at(network.elapsed());
                }
            }
        }
    }

    /// The rule of all rules: one server at a time.
    fn take_in_hand(&self) {
        let in_hand = InHand {
            wire: self.number,
            server: self.name.clone(),
            since: Instant::now(),
        };
        let other = self.network.with(|world| world.in_hand.replace(in_hand));
        let other = other.map(|in_hand| in_hand.server);
        assert_eq!(other, None, "has the command, and {} is sent it", self.name);
    }

    fn let_go(&self) {
        self.network
            .with(|world| world.in_hand.take_if(|in_hand| in_hand.wire == self.number));
    }

    fn greet(&mut self) {
        let (role, coordinator) = match &self.part.does {
            Does::SaysNothing => return,
            Does::RefusesHello(code) => {
                let error = ErrorFrame::new(*code, Outcome::NotExecuted, "this is cluster elsewhere");
                return self.say(ServerFrame::Error(error));
            }
            Does::Closes(code) => {
                let closed = Closed {
                    code: Some(*code),
                    reason: String::new(),
                };
                self.inbox
                    .push_back((self.ready(self.part.slowness.hello), Err(closed)));
                return;
            }
            Does::Follows(url) => (RoleName::Follower, url.map(coordinator)),
            _ => (RoleName::Coordinator, None),
        };
        let cluster = if matches!(self.part.does, Does::IsElsewhere) {
            "elsewhere"
        } else {
            "here"
        };
        let hello = ServerFrame::HelloOk(HelloOk {
            cluster: cluster.into(),
            server: self.name.clone(),
            role,
            epoch: Some(self.part.epoch),
            coordinator,
            server_time_ms: self.part.clock,
            ..hello_ok()
        });
        let ready = self.ready(self.part.slowness.hello);
        self.inbox.push_back((ready, Ok(hello.to_json())));
    }

    fn ready(&self, slowness: u64) -> Instant {
        Instant::now() + Duration::from_millis(1 + slowness)
    }

    fn answer(&mut self, id: CommandId) {
        match self.part.does.clone() {
            Does::Executes if self.is_expired(id) => {
                let error = ErrorFrame::new(ErrorCode::IdExpired, Outcome::NotExecuted, "the id is too old");
                self.say(ServerFrame::Error(error.for_command(id)));
            }
            Does::Executes => self.reply(id),
            Does::Refuses => self.say_closed(Closed::broken("connection reset")),
            Does::Follows(url) => {
                let mut error = ErrorFrame::new(ErrorCode::NotCoordinator, Outcome::NotExecuted, "no more");
                error.coordinator = url.map(coordinator);
                self.say(ServerFrame::Error(error.for_command(id)));
            }
            Does::CutsOffAfterExecution => {
                self.execute(id);
            }
            Does::AnswersAnother => self.say(ServerFrame::OutcomeResult(OutcomeResult {
                id,
                outcome: Outcome::NotExecuted,
                epoch: None,
                result: None,
            })),
            Does::HangsUp(code) => self.hang_up(code),
            Does::LosesReplyWith(code) => {
                self.execute(id);
                self.hang_up(code);
            }
            Does::LosesReply => {
                self.execute(id);
                self.say_closed(Closed::broken("connection reset"));
            }
            // Such an answer is given only after the id was looked up.
            Does::Fails(code, _) if code.settles_earlier_attempts() && self.has_executed(id) => {
                self.reply(id);
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

    /// Closes the connection with this code in place of an answer.
    fn hang_up(&mut self, code: u16) {
        let closed = Closed {
            code: Some(code),
            reason: String::new(),
        };
        self.say_closed(closed);
    }

    fn say_closed(&mut self, closed: Closed) {
        let ready = self.ready(self.part.slowness.answer);
        self.inbox.push_back((ready, Err(closed)));
    }

    /// Gives the outcome of the command, or does the other thing that the script has.
    fn tell(&mut self, id: CommandId) {
        if !matches!(self.part.does, Does::Executes) {
            return self.answer(id);
        }
        let executed = self.has_executed(id);
        self.say(ServerFrame::OutcomeResult(OutcomeResult {
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

    /// Ids are remembered for 24 hours, and refused from an hour ahead on.
    fn is_expired(&self, id: CommandId) -> bool {
        let minted = id.minted_at().as_millis();
        let clock = u128::from(self.part.clock);
        minted + 24 * 3_600_000 <= clock || minted >= clock + 3_600_000
    }

    fn has_executed(&self, id: CommandId) -> bool {
        self.network.with(|world| world.executed.contains_key(&id))
    }

    /// Executes the command. Returns `true` if it was executed before.
    fn execute(&mut self, id: CommandId) -> bool {
        self.network.with(|world| world.executed.insert(id, 1)).is_some()
    }

    fn reply(&mut self, id: CommandId) {
        let replayed = self.execute(id);
        let result = RawJson::object(r#"{"ok":1}"#).expect("this is JSON");
        self.say(ServerFrame::Result(CommandResult {
            id,
            epoch: self.part.epoch,
            replayed,
            result,
        }));
    }

    fn say(&mut self, frame: ServerFrame) {
        let ready = self.ready(self.part.slowness.answer);
        self.inbox.push_back((ready, Ok(frame.to_json())));
        if let Some(millis) = self.part.closes_after {
            let closed = ready + Duration::from_millis(millis);
            self.inbox.push_back((closed, Err(Closed::default())));
        }
    }
}

fn coordinator(url: &str) -> CoordinatorHint {
    CoordinatorHint {
        server: "s9".into(),
        url: Some(url.to_owned()),
    }
}
