use core::ops::ControlFlow;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;

use bellwether_protocol::{CommandId, CommandResult, WhatNext};
use futures_util::future::{Either, pending, select};
use serde_json::value::RawValue;

use crate::attempt::Run;
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
    pub result: Box<RawValue>,
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
        let clock = Clock::starting_now(&self.platform, self.deadline);
        let progress = Progress::new(self.id, clock.now());
        let mut run = Run {
            shot: self,
            command,
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

impl<P: Platform, F: FnMut(Event<'_>)> Run<'_, P, F> {
    async fn passes(&mut self) -> Result<(usize, CommandResult), Stop> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let ControlFlow::Break(ended) = self.pass().await {
                return ended;
            }
            let remaining = self.clock.remaining();
            if remaining < SHORTEST_PASS {
                return Err(Stop::Deadline);
            }
            let pause_now = jittered(pause, self.shot.platform.random()).min(remaining / 2);
            (self.on_event)(Event::Pausing { pause: pause_now });
            self.shot.platform.sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One pass over the list, in its order. The first hint that names a server whose turn is still to come
    /// moves that server to the front; no other hint does, so servers that name each other cannot keep a
    /// client busy.
    async fn pass(&mut self) -> ControlFlow<Result<(usize, CommandResult), Stop>> {
        let pass = self.progress.next_pass();
        (self.on_event)(Event::Pass { pass });
        let mut waiting: VecDeque<usize> = (0..self.shot.servers.len()).collect();
        let mut hinted = None;
        let mut all_lasting = true;
        while let Some(server) = waiting.pop_front() {
            if self.clock.is_over() {
                return ControlFlow::Break(Err(Stop::Deadline));
            }
            let end = match self.try_server(server, hinted == Some(server)).await {
                Ok(result) => return ControlFlow::Break(Ok((server, result))),
                Err(end) if end.what_next() == WhatNext::GiveUp => {
                    return ControlFlow::Break(Err(Stop::Refused));
                }
                Err(end) => end,
            };
            all_lasting &= end.is_lasting();
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
            ControlFlow::Continue(())
        }
    }

    fn hinted_by(&self, end: &TryEnd) -> Option<usize> {
        self.shot.servers.position(end.coordinator()?.url.as_deref()?)
    }

    fn finish(mut self, ended: Result<(usize, CommandResult), Stop>) -> Result<Executed, Failure> {
        match ended {
            Ok((server, result)) => Ok(Executed {
                id: result.id,
                epoch: result.epoch,
                replayed: result.replayed,
                url: self.shot.servers[server].clone(),
                tries: self.progress.into_tries(),
                result: result.result,
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
