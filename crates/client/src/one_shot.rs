use core::pin::pin;
use core::time::Duration;

use bellwether_protocol::{CommandId, Outcome, RawJson};
use futures_util::future::{Either, pending, select};

use crate::clock::Clock;
use crate::dispatch::{Dispatch, Request};
use crate::failure::Given;
use crate::progress::Progress;
use crate::step::{Reply, perform};
use crate::{Attempt, CommandText, Event, Failure, Platform, ServerList, ServerUrl, Stop};

/// The shortest permitted stagger: RFC 8305, section 5, forbids a shorter "Connection Attempt
/// Delay".
const SHORTEST_STAGGER: Duration = Duration::from_millis(10);

/// The settings for the dispatch of one command along the list of servers.
#[derive(Clone, Debug)]
pub struct OneShot<P> {
    pub(crate) platform: P,
    pub(crate) servers: ServerList,
    pub(crate) client: String,
    pub(crate) cluster: Option<String>,
    #[cfg(feature = "tokens")]
    pub(crate) token: Option<crate::Token>,
    pub(crate) stagger: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) hello_timeout: Duration,
    deadline: Duration,
    deadline_option: &'static str,
    id: Option<CommandId>,
    shuffled: bool,
    first: Option<ServerUrl>,
}

/// The reply of an executed command, with the way to it: the server that answered, and the attempts
/// before.
///
/// The frame of that server is a [`CommandResult`](crate::protocol::CommandResult), which has the
/// fields `id`, `epoch`, `replayed` and `result` only.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The command's id.
    pub id: CommandId,
    /// The epoch in which it was executed.
    pub epoch: u64,
    /// Set if the reply is the stored one of an earlier execution.
    pub replayed: bool,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest attempt at each server, in the order in which they ended. The last one brought
    /// the reply.
    pub attempts: Vec<Attempt>,
    /// MongoDB's reply in canonical Extended JSON, as received.
    pub result: RawJson,
}

/// The answer to the question for an outcome, with the way to it: the server that answered, and the
/// attempts before.
///
/// The frame of that server is the protocol's [`OutcomeResult`](crate::protocol::OutcomeResult). It
/// has the fields `id`, `outcome`, `epoch` and `result` only.
#[derive(Clone, Debug)]
pub struct OutcomeResult {
    /// The command's id.
    pub id: CommandId,
    /// The outcome at the time of the answer. [`Outcome::NotExecuted`] does not exclude that an
    /// attempt still on its way executes the command later. [`Outcome::Unknown`] means that the
    /// command waits at the server for its execution.
    pub outcome: Outcome,
    /// The epoch in which the command was executed, if it was executed.
    pub epoch: Option<u64>,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest attempt at each server, in the order in which they ended. The last one brought
    /// the answer.
    pub attempts: Vec<Attempt>,
    /// MongoDB's reply in canonical Extended JSON, as received, if the command was executed and its
    /// reply was kept.
    pub result: Option<RawJson>,
}

/// The answer of a server, and the attempts before it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer: the result of a command, or the outcome if that was the question.
    pub reply: Reply,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest attempt at each server, in the order in which they ended. The last one brought
    /// the answer.
    pub attempts: Vec<Attempt>,
}

impl<P: Platform> OneShot<P> {
    /// Creates a client with the default limits. The client tries the servers in the order of the
    /// list, because people write the nearest server first.
    pub fn new(platform: P, servers: ServerList) -> Self {
        Self {
            platform,
            servers,
            client: concat!("bellwether-client/", env!("CARGO_PKG_VERSION")).into(),
            cluster: None,
            #[cfg(feature = "tokens")]
            token: None,
            stagger: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(2),
            hello_timeout: Duration::from_secs(1),
            deadline: Duration::from_secs(30),
            deadline_option: "the deadline",
            id: None,
            shuffled: false,
            first: None,
        }
    }

    /// Tries the servers in a random order instead of the order of the list. Each dispatch draws a
    /// new order. Use it for lists whose order has no meaning: many clients then do not all begin
    /// with the same server. Events and attempts still name servers by their position on the list.
    #[must_use]
    pub fn shuffled(mut self) -> Self {
        self.shuffled = true;
        self
    }

    /// Tries this server first, if it is on the list. The last known coordinator
    /// ([`Executed::url`]) most likely still is the coordinator.
    #[must_use]
    pub fn first(mut self, server: ServerUrl) -> Self {
        self.first = Some(server);
        self
    }

    /// Sets the name of this program in the server's log: a name and a version.
    #[must_use]
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// Sets the cluster of the command. The client sends the command to no server of another
    /// cluster.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// Sets the token or the API key that proves who sends the command.
    ///
    /// The client sends the token over `wss`, or to a server on the same machine. It connects
    /// to no other server of the list. It also sends no command to a server that does not confirm
    /// the identity. Both end the attempt at that server with
    /// [`AttemptEnd::NotProven`](crate::AttemptEnd::NotProven). A server that refuses the token
    /// ends the attempt with [`AttemptEnd::HelloRefused`](crate::AttemptEnd::HelloRefused).
    ///
    /// Use tokens of one subject for all attempts at a command. To a server, the same id of another
    /// subject is another command.
    #[cfg(feature = "tokens")]
    #[must_use]
    pub fn token(mut self, token: crate::Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Sets the time after which the client greets the next server, too, if the server before it
    /// has not introduced itself. The default is 250 ms, as RFC 8305 advises for connects
    /// ("Connection Attempt Delay", section 5). Useful values are 100 ms to 2 s; less than 10 ms
    /// counts as 10 ms.
    ///
    /// If a server fails or is not the coordinator, the client starts with the next one at once. In
    /// any case only one server at a time has the command.
    #[must_use]
    pub fn stagger(mut self, delay: Duration) -> Self {
        self.stagger = delay.max(SHORTEST_STAGGER);
        self
    }

    /// Sets the time limit for opening a connection; the default is 2 seconds. The second pass over
    /// the list allows twice this time, and all later passes three times. Browsers delay connects
    /// for some seconds after many have failed. A slow connect does not delay the dispatch, because
    /// the client tries other servers meanwhile.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the time limit for a server to introduce itself; the default is 1 second.
    #[must_use]
    pub fn hello_timeout(mut self, limit: Duration) -> Self {
        self.hello_timeout = limit;
        self
    }

    /// Sets the time limit for the whole dispatch, counted from the call of `execute`; the default
    /// is 30 seconds.
    ///
    /// The time limit is also the deadline of the command. A server that receives the command gets
    /// all the remaining time, up to its limit
    /// ([`Limits::max_deadline_ms`](bellwether_protocol::Limits)), and passes it on to MongoDB. A
    /// server that is alive keeps the command until then. If that was not enough and time remains,
    /// the client sends the command again, with the same id. The client gives up a server that
    /// shows no sign of life or that was replaced: see [`Lost`](crate::Lost).
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Sets the name of the option with which people set the [`deadline`](Self::deadline), such as
    /// `--timeout`. Errors that advise to raise the deadline use it; the default is "the deadline".
    #[must_use]
    pub fn deadline_option(mut self, name: &'static str) -> Self {
        self.deadline_option = name;
        self
    }

    /// Sends a command of an earlier dispatch again. A server executes it if it was not executed,
    /// and otherwise returns the first reply. The outcome of the earlier dispatch is not known. The
    /// outcome therefore begins as `unknown`, unless the command only reads.
    #[must_use]
    pub fn ask_again(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    /// Returns `true` if the client sends a token with each hello.
    pub(crate) fn has_token(&self) -> bool {
        #[cfg(feature = "tokens")]
        let has_token = self.token.is_some();
        #[cfg(not(feature = "tokens"))]
        let has_token = false;
        has_token
    }

    /// Passes the command along the list, again and again with pauses. The dispatch ends when a
    /// server executes the command, when a server says that none will, or at the deadline. The
    /// client may greet several servers at the same time, but only one server at a time has the
    /// command.
    ///
    /// Dropping the future closes the connections. If [`Event::Sent`] was reported before, the
    /// outcome is then unknown. A caller that wants to stop early and still learn the outcome uses
    /// [`execute_until`](Self::execute_until).
    ///
    /// # Errors
    /// [`Failure`], with the outcome of the command and the answer of each server.
    pub async fn execute(
        &self,
        command: &CommandText,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<Executed, Failure> {
        self.execute_until(pending(), command, on_event).await
    }

    /// Does the same as [`execute`](Self::execute), but stops as soon as `cancelled` is ready. A
    /// command that the client has already sent is not called back: its outcome is unknown.
    ///
    /// # Errors
    /// The same as for [`execute`](Self::execute).
    pub async fn execute_until(
        &self,
        cancelled: impl Future<Output = ()>,
        command: &CommandText,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<Executed, Failure> {
        let request = Request::Execute(command);
        let answered = self.pass_along(request, cancelled, on_event).await?;
        let Reply::Result(result) = answered.reply else {
            unreachable!("a command is answered with its result")
        };
        Ok(Executed {
            id: result.id,
            epoch: result.epoch,
            replayed: result.replayed,
            url: answered.url,
            attempts: answered.attempts,
            result: result.result,
        })
    }

    /// Asks for the outcome of the command with this id, along the list in the same way. This
    /// question does not need the command itself, and changes nothing. A caller that wants to have
    /// the command executed uses [`ask_again`](Self::ask_again).
    ///
    /// # Errors
    /// [`Failure`], with the outcome `unknown`, if no server could answer.
    pub async fn outcome(
        &self,
        id: CommandId,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<OutcomeResult, Failure> {
        self.outcome_until(pending(), id, on_event).await
    }

    /// Does the same as [`outcome`](Self::outcome), but stops as soon as `cancelled` is ready.
    ///
    /// # Errors
    /// The same as for [`outcome`](Self::outcome).
    pub async fn outcome_until(
        &self,
        cancelled: impl Future<Output = ()>,
        id: CommandId,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<OutcomeResult, Failure> {
        let request = Request::Outcome(id);
        let answered = self.pass_along(request, cancelled, on_event).await?;
        let Reply::OutcomeResult(outcome_result) = answered.reply else {
            unreachable!("a question is answered with an outcome_result")
        };
        Ok(OutcomeResult {
            id: outcome_result.id,
            outcome: outcome_result.outcome,
            epoch: outcome_result.epoch,
            url: answered.url,
            attempts: answered.attempts,
            result: outcome_result.result,
        })
    }

    /// Does the same as [`execute_until`](Self::execute_until) or
    /// [`outcome_until`](Self::outcome_until), depending on the request. As one future it is
    /// compiled once, and a page loads it once.
    ///
    /// # Errors
    /// The same as for these two.
    pub async fn pass_along(
        &self,
        request: Request<'_>,
        cancelled: impl Future<Output = ()>,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<Answered, Failure> {
        let clock = Clock::starting_now(&self.platform, self.deadline);
        let (id, only_reads) = match request {
            Request::Execute(command) => (self.id, command.only_reads()),
            Request::Outcome(id) => (Some(id), false),
        };
        let progress = Progress::new(id, only_reads, clock.now());
        let mut dispatch = Dispatch::new(self, request, clock, progress, on_event, perform::<P>);
        let verdict = match select(pin!(dispatch.decided()), pin!(cancelled)).await {
            Either::Left((verdict, _)) => verdict,
            Either::Right(((), _)) => Err(Stop::Cancelled),
        };
        let progress = dispatch.finish(&verdict).await;
        match verdict {
            Ok((server, reply)) => Ok(Answered {
                reply: *reply,
                url: self.servers[server].clone(),
                attempts: progress.into_attempts(),
            }),
            Err(stop) => {
                let given = Given {
                    deadline: self.deadline,
                    option: self.deadline_option,
                    cluster: self.cluster.clone(),
                };
                Err(progress.into_failure(stop, clock.now(), given))
            }
        }
    }

    /// Returns the positions of the servers in the order in which they are tried.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        if self.shuffled {
            // The Fisher-Yates shuffle. The remainder prefers no server by more than its share of
            // 65,536.
            for last in (1..order.len()).rev() {
                let [low, high, ..] = self.platform.random();
                let drawn = usize::from(u16::from_le_bytes([low, high])) % (last + 1);
                order.swap(last, drawn);
            }
        }
        let first = self.first.as_ref();
        if let Some(at) = order
            .iter()
            .position(|server| Some(&self.servers[*server]) == first)
        {
            order[..=at].rotate_right(1);
        }
        order
    }
}
