use core::ops::ControlFlow;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;

use bellwether_protocol::{CommandId, Outcome, RawJson, WhatNext};
use futures_util::future::{Either, pending, select};

use crate::attempt::{Reply, Request, Run};
use crate::clock::Clock;
use crate::progress::Progress;
use crate::{CommandText, Event, Failure, Platform, ServerList, ServerUrl, Stop, Try, TryEnd};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// With less time than this no further pass is begun: a command sent that late would most likely only turn
/// `not_executed` into `unknown`.
const SHORTEST_PASS: Duration = Duration::from_millis(100);

/// How one command is passed along the list of servers.
#[derive(Clone, Debug)]
pub struct OneShot<P> {
    pub(crate) platform: P,
    pub(crate) servers: ServerList,
    pub(crate) client: String,
    pub(crate) cluster: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) hello_timeout: Duration,
    answer_timeout: Option<Duration>,
    deadline: Duration,
    id: Option<CommandId>,
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
    /// The newest try at each server, in the order in which they ended; the last one brought the reply.
    pub tries: Vec<Try>,
    /// MongoDB's reply in canonical Extended JSON, as received.
    pub result: RawJson,
}

/// What became of a command.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The command's id.
    pub id: CommandId,
    /// What became of it until the server answered. [`Outcome::NotExecuted`] does not rule out that a try which
    /// is still on its way executes it later; [`Outcome::Unknown`] says that it waits there to be executed.
    pub outcome: Outcome,
    /// The epoch in which it was executed, if it was.
    pub epoch: Option<u64>,
    /// The address of the server that answered.
    pub url: ServerUrl,
    /// The newest try at each server, in the order in which they ended; the last one brought the answer.
    pub tries: Vec<Try>,
    /// MongoDB's reply in canonical Extended JSON, as received, if the command was executed and its reply was
    /// kept.
    pub result: Option<RawJson>,
}

impl<P: Platform> OneShot<P> {
    /// An attempt with the default limits, in the order of the list.
    pub fn new(platform: P, servers: ServerList) -> Self {
        Self {
            platform,
            servers,
            client: concat!("bellwether-client/", env!("CARGO_PKG_VERSION")).into(),
            cluster: None,
            connect_timeout: Duration::from_secs(2),
            hello_timeout: Duration::from_secs(1),
            answer_timeout: None,
            deadline: Duration::from_secs(30),
            id: None,
        }
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

    /// How long opening a connection may take; 2 seconds unless set.
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

    /// How long one server may work on the command before the next one is asked; a third of the deadline
    /// unless set. A coordinator that was paused in the middle of a command must not cost all the time there
    /// is, and to ask another server meanwhile is safe, as the id is the same.
    #[must_use]
    pub fn answer_timeout(mut self, limit: Duration) -> Self {
        self.answer_timeout = Some(limit);
        self
    }

    /// When to stop trying, counted from the call of `execute`; 30 seconds unless set.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Asks again about an earlier attempt: the command runs if it had not, and its first reply comes back if
    /// it had. As nobody knows what became of the earlier attempt, the outcome is `unknown` from the start.
    #[must_use]
    pub fn ask_again(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    pub(crate) fn answer_limit(&self) -> Duration {
        self.answer_timeout.unwrap_or(self.deadline / 3)
    }

    /// Passes the command along the list, again and again with pauses, until a server executes it, a server
    /// says that none will, or the deadline has passed.
    ///
    /// Dropping the future closes the connection. If [`Event::Sent`] was reported before, the outcome is then
    /// unknown; [`execute_until`](Self::execute_until) keeps the books for a caller who wants to stop early.
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

    /// As [`execute`](Self::execute), but stops as soon as `cancelled` is ready. A command that was sent by
    /// then is not called back: its outcome is unknown.
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
        let answered = self.pass_along(self.id, cancelled, request, on_event).await?;
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

    /// Asks what became of the command with this id, along the list in the same way. The command itself is not
    /// needed, and asking changes nothing; [`ask_again`](Self::ask_again) is for those who want it executed.
    ///
    /// # Errors
    /// [`Failure`], with the outcome `unknown`, if nobody could say.
    pub async fn outcome(&self, id: CommandId, on_event: impl FnMut(Event<'_>)) -> Result<Fate, Failure> {
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
    ) -> Result<Fate, Failure> {
        let answered = self
            .pass_along(Some(id), cancelled, Request::Outcome, on_event)
            .await?;
        let Reply::Fate(fate) = answered.reply else {
            unreachable!("a question is answered with a fate")
        };
        Ok(Fate {
            id: fate.id,
            outcome: fate.outcome,
            epoch: fate.epoch,
            url: answered.url,
            tries: answered.tries,
            result: fate.result,
        })
    }

    async fn pass_along(
        &self,
        id: Option<CommandId>,
        cancelled: impl Future<Output = ()>,
        request: Request<'_>,
        on_event: impl FnMut(Event<'_>),
    ) -> Result<Answered, Failure> {
        let clock = Clock::starting_now(&self.platform, self.deadline);
        let progress = Progress::new(id, clock.now());
        let mut run = Run {
            shot: self,
            request,
            clock,
            progress,
            on_event,
        };
        let ended = match select(pin!(run.passes()), pin!(cancelled)).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), _)) => Err(Stop::Cancelled),
        };
        run.finish(ended)
    }
}

/// What a server answered, and how it came to that.
struct Answered {
    reply: Reply,
    url: ServerUrl,
    tries: Vec<Try>,
}

impl<P: Platform, F: FnMut(Event<'_>)> Run<'_, P, F> {
    async fn passes(&mut self) -> Result<(usize, Reply), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            let retry_after = match self.pass().await {
                ControlFlow::Break(ended) => return ended,
                ControlFlow::Continue(retry_after) => retry_after,
            };
            let remaining = self.clock.remaining();
            if remaining < SHORTEST_PASS {
                return Err(Stop::Deadline);
            }
            let random = self.shot.platform.random();
            let own_pause = jittered(pause, random).min(remaining / 2);
            // Not before the server says that it is of use, unless there is no time for that.
            let asked_pause =
                (retry_after / 2 + jittered(retry_after, random)).min(remaining - SHORTEST_PASS);
            let pause_now = own_pause.max(asked_pause);
            (self.on_event)(Event::Pausing { pause: pause_now });
            self.shot.platform.sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One pass over the list, in its order. The first hint that names a server whose turn is still to come
    /// moves that server to the front; no other hint does, so servers that name each other cannot keep a
    /// client busy. Without a decision, it says how long a server asked to stay away.
    async fn pass(&mut self) -> ControlFlow<Result<(usize, Reply), Stop>, Duration> {
        let pass = self.progress.next_pass();
        (self.on_event)(Event::Pass { pass });
        let mut waiting: VecDeque<usize> = (0..self.shot.servers.len()).collect();
        let mut hinted = None;
        let mut all_lasting = true;
        let mut retry_after = Duration::ZERO;
        while let Some(server) = waiting.pop_front() {
            if self.clock.is_over() {
                return ControlFlow::Break(Err(Stop::Deadline));
            }
            let end = match self.try_server(server, hinted == Some(server)).await {
                Ok(reply) => return ControlFlow::Break(Ok((server, reply))),
                Err(end) if end.what_next() == WhatNext::GiveUp => {
                    return ControlFlow::Break(Err(Stop::Refused));
                }
                Err(end) => end,
            };
            all_lasting &= end.is_lasting();
            retry_after = retry_after.max(end.retry_after());
            if hinted.is_none()
                && let Some(next) = self.hinted_by(&end)
                && let Some(turn) = waiting.iter().position(|server| *server == next)
            {
                waiting.remove(turn);
                waiting.push_front(next);
                hinted = Some(next);
            }
        }
        if all_lasting {
            ControlFlow::Break(Err(Stop::NoUse))
        } else {
            ControlFlow::Continue(retry_after)
        }
    }

    fn hinted_by(&self, end: &TryEnd) -> Option<usize> {
        self.shot.servers.position(end.coordinator()?.url.as_deref()?)
    }

    fn finish(mut self, ended: Result<(usize, Reply), Stop>) -> Result<Answered, Failure> {
        match ended {
            Ok((server, reply)) => Ok(Answered {
                reply,
                url: self.shot.servers[server].clone(),
                tries: self.progress.into_tries(),
            }),
            Err(stop) => {
                self.ended(Some(&TryEnd::Cancelled));
                Err(self.progress.into_failure(stop, self.clock.now()))
            }
        }
    }
}

/// Half of the pause, and a random part of the other half, so that clients do not come back in step.
fn jittered(pause: Duration, random: [u8; 10]) -> Duration {
    pause / 2 + pause / 2 * u32::from(random[0]) / 255
}
