use core::pin::pin;
use core::time::Duration;

use bellwether_protocol::{CommandId, Outcome, RawJson};
use futures_util::future::{Either, pending, select};

use crate::attempt::{Reply, perform};
use crate::clock::Clock;
use crate::failure::Given;
use crate::progress::Progress;
use crate::race::{Request, Run};
use crate::{CommandText, Event, Failure, Platform, ServerList, ServerUrl, Stop, Try};

/// RFC 8305, section 5, forbids a shorter "Connection Attempt Delay".
const SHORTEST_STAGGER: Duration = Duration::from_millis(10);

/// How one command is passed along the list of servers.
#[derive(Clone, Debug)]
pub struct OneShot<P> {
    pub(crate) platform: P,
    pub(crate) servers: ServerList,
    pub(crate) client: String,
    pub(crate) cluster: Option<String>,
    pub(crate) stagger: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) hello_timeout: Duration,
    deadline: Duration,
    deadline_option: &'static str,
    id: Option<CommandId>,
    shuffled: bool,
    first: Option<ServerUrl>,
}

/// A command was executed, and this is its reply.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The command's id.
    pub id: CommandId,
    /// The epoch in which it was executed.
    pub epoch: u64,
    /// Whether the reply is the stored one of an earlier execution.
    pub replayed: bool,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest try at each server, in the order in which they ended; the last one brought the
    /// reply.
    pub tries: Vec<Try>,
    /// MongoDB's reply in canonical Extended JSON, as received.
    pub result: RawJson,
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct OutcomeResult {
    /// The command's id.
    pub id: CommandId,
    /// What became of it until the server answered. [`Outcome::NotExecuted`] does not rule out that
    /// a try which is still on its way executes it later; [`Outcome::Unknown`] says that it waits
    /// there to be executed.
    pub outcome: Outcome,
    /// The epoch in which it was executed, if it was.
    pub epoch: Option<u64>,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest try at each server, in the order in which they ended; the last one brought the
    /// answer.
    pub tries: Vec<Try>,
    /// MongoDB's reply in canonical Extended JSON, as received, if the command was executed and its
    /// reply was kept.
    pub result: Option<RawJson>,
}

/// What a server answered, and how it came to that.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer: to a command its result, to the question what became of one its outcome.
    pub reply: Reply,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest try at each server, in the order in which they ended; the last one brought the
    /// answer.
    pub tries: Vec<Try>,
}

impl<P: Platform> OneShot<P> {
    /// An attempt with the default limits, in the order of the list: people write the nearest
    /// server first.
    pub fn new(platform: P, servers: ServerList) -> Self {
        Self {
            platform,
            servers,
            client: concat!("bellwether-client/", env!("CARGO_PKG_VERSION")).into(),
            cluster: None,
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

    /// Tries the servers in a random order, drawn anew for every attempt, instead of that of the
    /// list. For lists whose order means nothing: many clients then do not all begin with the same
    /// server. Events and tries keep naming servers by their position on the list.
    #[must_use]
    pub fn shuffled(mut self) -> Self {
        self.shuffled = true;
        self
    }

    /// Tries this server first, if it is on the list: the last known coordinator
    /// ([`Executed::url`]) most likely still is the coordinator.
    #[must_use]
    pub fn first(mut self, server: ServerUrl) -> Self {
        self.first = Some(server);
        self
    }

    /// What this program calls itself in the server's log: a name and a version.
    #[must_use]
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// The cluster the command is meant for. No server of another cluster is sent it.
    #[must_use]
    pub fn cluster(mut self, cluster: impl Into<String>) -> Self {
        self.cluster = Some(cluster.into());
        self
    }

    /// After how long the next server is greeted as well, if the one before it has not introduced
    /// itself; 250 ms unless set, as RFC 8305 advises for connects ("Connection Attempt Delay",
    /// section 5). From 100 ms to 2 s make sense; less than 10 ms counts as 10 ms. A server that
    /// fails or is not the coordinator makes the next one start at once, and the command is with
    /// one server at a time in any case.
    #[must_use]
    pub fn stagger(mut self, delay: Duration) -> Self {
        self.stagger = delay.max(SHORTEST_STAGGER);
        self
    }

    /// How long opening a connection may take; 2 seconds unless set. The second pass over the list
    /// allows twice, all later ones three times as much: browsers hold connects back for some
    /// seconds after many have failed. A slow connect does not hold up the attempt, as other
    /// servers are tried meanwhile.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a server may take to introduce itself; 1 second unless set.
    #[must_use]
    pub fn hello_timeout(mut self, limit: Duration) -> Self {
        self.hello_timeout = limit;
        self
    }

    /// Time limit for the whole attempt, counted from the call of `execute`; 30 seconds unless set.
    ///
    /// It is the command's deadline as well: a server that gets the command gets all the time that
    /// is left, up to what servers allow
    /// ([`Limits::max_deadline_ms`](bellwether_protocol::Limits)), and passes it on to MongoDB. A
    /// server that is alive keeps the command until then. If that was not enough and time is left,
    /// the command is sent again, with the same id. A server that gives no sign of life is given
    /// up, and one that was replaced is not waited for either: see [`Lost`](crate::Lost).
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// The name under which people set the [`deadline`](Self::deadline), such as `--timeout`, for
    /// errors that advise to raise it; "the deadline" unless set.
    #[must_use]
    pub fn deadline_option(mut self, name: &'static str) -> Self {
        self.deadline_option = name;
        self
    }

    /// Asks again about an earlier attempt: the command runs if it had not, and its first reply
    /// comes back if it had. As nobody knows what became of the earlier attempt, the outcome is
    /// `unknown` from the start, unless the command only reads.
    #[must_use]
    pub fn ask_again(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    /// Passes the command along the list, again and again with pauses, until a server executes it,
    /// a server says that none will, or the deadline has passed. Several servers may be greeted
    /// side by side; the command is with one at a time.
    ///
    /// Dropping the future closes the connections. If [`Event::Sent`] was reported before, the
    /// outcome is then unknown; [`execute_until`](Self::execute_until) keeps the books for a caller
    /// who wants to stop early.
    ///
    /// # Errors
    /// [`Failure`], which says what became of the command and what each server said.
    pub async fn execute(
        &self,
        command: &CommandText,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<Executed, Failure> {
        self.execute_until(pending(), command, on_event).await
    }

    /// As [`execute`](Self::execute), but stops as soon as `cancelled` is ready. A command that was
    /// sent by then is not called back: its outcome is unknown.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
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
            tries: answered.tries,
            result: result.result,
        })
    }

    /// Asks what became of the command with this id, along the list in the same way. The command
    /// itself is not needed, and asking changes nothing; [`ask_again`](Self::ask_again) is for
    /// those who want it executed.
    ///
    /// # Errors
    /// [`Failure`], with the outcome `unknown`, if nobody could say.
    pub async fn outcome(
        &self,
        id: CommandId,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<OutcomeResult, Failure> {
        self.outcome_until(pending(), id, on_event).await
    }

    /// As [`outcome`](Self::outcome), but stops as soon as `cancelled` is ready.
    ///
    /// # Errors
    /// As for [`outcome`](Self::outcome).
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
            tries: answered.tries,
            result: outcome_result.result,
        })
    }

    /// What [`execute_until`](Self::execute_until) and [`outcome_until`](Self::outcome_until) do,
    /// for callers who hold either request: as one future it is compiled once, and a page loads it
    /// once.
    ///
    /// # Errors
    /// As for these two.
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
        let mut run = Run::new(self, request, clock, progress, on_event, perform::<P>);
        let verdict = match select(pin!(run.decided()), pin!(cancelled)).await {
            Either::Left((verdict, _)) => verdict,
            Either::Right(((), _)) => Err(Stop::Cancelled),
        };
        let progress = run.finish(&verdict).await;
        match verdict {
            Ok((server, reply)) => Ok(Answered {
                reply: *reply,
                url: self.servers[server].clone(),
                tries: progress.into_tries(),
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

    /// The positions of the servers in the order in which they are tried.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        if self.shuffled {
            // Fisher and Yates. The remainder prefers no server by more than its share of 65,536.
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
