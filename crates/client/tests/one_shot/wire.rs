//! A connection to a scripted server, and the rules a client must keep on it.

use core::time::Duration;
use std::collections::VecDeque;

use bellwether_client::{Closed, CommandId, Connection, ErrorCode, ErrorFrame, Outcome};
use bellwether_protocol::{
    ClientFrame, CommandResult, CoordinatorHint, HelloOk, Limits, MAX_MESSAGE_BYTES, OutcomeResult, RawJson,
    RoleName, ServerFrame,
};
use tokio::time::Instant;

use crate::network::{InHand, Network};
use crate::script::{Does, Slowness};

/// A connection to a scripted server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) network: Network,
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) does: Does,
    pub(crate) slowness: Slowness,
    pub(crate) epoch: u64,
    /// In milliseconds since the Unix epoch.
    pub(crate) clock: u64,
    /// What is said, and when it is here.
    pub(crate) inbox: VecDeque<(Instant, Result<String, Closed>)>,
}

/// A server that has a command is left alone with it for so long.
const LEFT_ALONE: Duration = Duration::from_secs(1);

impl Connection for Wire {
    async fn send(&mut self, text: String) -> Result<(), Closed> {
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Hello(_)) => {
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
            Err(error) => return Err(Closed::broken(error.to_string())),
        }
        Ok(())
    }

    async fn recv(&mut self) -> Result<String, Closed> {
        let Some((ready, _)) = self.inbox.front() else {
            return core::future::pending().await;
        };
        tokio::time::sleep_until(*ready).await;
        let message = self.inbox.pop_front().map(|(_, message)| message);
        if self.inbox.is_empty() {
            self.let_go();
        }
        message.unwrap_or_else(|| Err(Closed::default()))
    }

    async fn close(self) {}
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Wire {
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
        let (role, coordinator) = match &self.does {
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
                    .push_back((self.ready(self.slowness.hello), Err(closed)));
                return;
            }
            Does::Follows(url) => {
                let hint = |url: &&str| CoordinatorHint {
                    server: "s9".into(),
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
        let hello = ServerFrame::HelloOk(HelloOk {
            cluster: cluster.into(),
            server: self.name.clone(),
            role,
            epoch: Some(self.epoch),
            coordinator,
            server_time_ms: self.clock,
            limits: Limits {
                max_message_bytes: MAX_MESSAGE_BYTES as u64,
                max_depth: 100,
                max_result_bytes: 1 << 22,
                max_deadline_ms: 60_000,
                retention_ms: 86_400_000,
            },
        });
        let ready = self.ready(self.slowness.hello);
        self.inbox.push_back((ready, Ok(hello.to_json())));
    }

    fn ready(&self, slowness: u64) -> Instant {
        Instant::now() + Duration::from_millis(1 + slowness)
    }

    fn answer(&mut self, id: CommandId) {
        match self.does.clone() {
            Does::Executes if self.is_expired(id) => {
                let error = ErrorFrame::new(ErrorCode::IdExpired, Outcome::NotExecuted, "the id is too old");
                self.say(ServerFrame::Error(error.for_command(id)));
            }
            Does::Executes => self.reply(id),
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
                let broken = Closed::broken("connection reset");
                self.inbox
                    .push_back((self.ready(self.slowness.answer), Err(broken)));
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
        let ready = self.ready(self.slowness.answer);
        self.inbox.push_back((ready, Err(closed)));
    }

    /// Says what became of the command, or does what else the script has.
    fn tell(&mut self, id: CommandId) {
        if !matches!(self.does, Does::Executes) {
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
        let clock = u128::from(self.clock);
        minted + 24 * 3_600_000 <= clock || minted >= clock + 3_600_000
    }

    fn has_executed(&self, id: CommandId) -> bool {
        self.network.with(|world| world.executed.contains_key(&id))
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
            epoch: self.epoch,
            replayed,
            result,
        }));
    }

    fn say(&mut self, frame: ServerFrame) {
        let ready = self.ready(self.slowness.answer);
        self.inbox.push_back((ready, Ok(frame.to_json())));
    }
}
