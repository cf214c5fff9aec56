//! The whole dispatch: the times at which servers are greeted, and the server that has the command.
//!
//! The client greets several servers at the same time, but only one of them at a time has the
//! command. The dispatch is one future: everything in progress is a step in a list, and
//! [`Dispatch::decided`] reacts to the next event.

mod passes;
mod probing;
mod sending;
mod silence;

use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use bellwether_protocol::{CommandId, HelloOk};

use crate::clock::Clock;
use crate::progress::Progress;
use crate::step::{Action, CLOSE_LIMIT, Done, Happened, Reply, Task};
use crate::{AttemptEnd, CommandText, Connection, Event, Lost, OneShot, Platform, Stop};
use passes::{FIRST_PAUSE, Pass};
use silence::Silence;

/// Highest multiple of the time limit for a connect, which grows with the passes. A browser that
/// has seen many connects fail delays further ones by up to 5 s (Chromium). The delay counts as
/// connecting: of 6 s, one remains for the connection itself.
///
/// Longer limits would have a price. The operating system repeats an unanswered packet after 1, 2,
/// 4, … s. The older a connect is, the later it notices that the way is free again.
const LONGEST_CONNECT: u32 = 3;

/// The type of [`perform`](crate::step::perform), whose future has no name.
type Perform<'a, P, S> = fn(&'a OneShot<P>, Clock<'a, P>, Task<<P as Platform>::Connection>) -> S;

/// The dispatch of a command or a question along the list. `S` is the future that
/// [`perform`](crate::step::perform) returns.
pub(crate) struct Dispatch<'a, P: Platform, F, S> {
    shot: &'a OneShot<P>,
    request: Request<'a>,
    clock: Clock<'a, P>,
    progress: Progress,
    on_event: F,
    perform: Perform<'a, P, S>,
    /// The steps in progress, each with its server. Closing a connection has no server.
    steps: Vec<(Option<usize>, Pin<Box<S>>)>,
    /// The next alarm, for the case that nothing else happens before.
    alarm: Option<(Alarm, Pin<Box<S>>)>,
    /// A second greeting of the server with the command, as a test for a sign of life.
    probe: Option<Pin<Box<S>>>,
    /// The servers in the order in which they are tried.
    order: Vec<usize>,
    /// The servers whose turn is still to come.
    waiting: Vec<usize>,
    /// The server that has the command.
    asked: Option<Asked<P>>,
    /// The overloaded server whose connection the client keeps open during the pause.
    kept: Option<(usize, Box<HelloOk>)>,
    /// The number of connections that the client has given up as dead.
    dead: u32,
    pass: Pass,
    pause: Duration,
    /// The end of the first pass since which all servers have named coordinators that are not on
    /// the list.
    unlisted_since: Option<Duration>,
}

/// A request to a server.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Asks the server to execute this command.
    Execute(&'a CommandText),
    /// Asks for the outcome of the command with this id.
    Outcome(CommandId),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alarm {
    /// The attempt at the next server must start.
    Start,
    /// The pause between two passes is over.
    Pass,
    /// The server with the command has been silent for a long time.
    Look,
}

struct Asked<P: Platform> {
    server: usize,
    hello: Box<HelloOk>,
    silence: Silence<<P::Connection as Connection>::Keepalive>,
    /// Set if the client greets other servers meanwhile. The client does so only after a long
    /// silence of this server.
    others_greeted: bool,
    /// The beginning of the greeting that looks for a sign of life and has found none yet.
    probed_since: Option<Duration>,
    /// The servers with which the pass continues if this attempt fails.
    rest: Vec<usize>,
}

enum Next<C> {
    Step(Happened<C>),
    Probe(Happened<C>),
    Alarm(Happened<C>),
}

/// The server that answered with its answer, or the reason why there is no answer.
pub(crate) type Verdict = Result<(usize, Box<Reply>), Stop>;

impl<'a, P, F, S> Dispatch<'a, P, F, S>
where
    P: Platform,
    F: FnMut(Event<'_>),
    S: Future<Output = Happened<P::Connection>>,
{
    pub(crate) fn new(
        shot: &'a OneShot<P>,
        request: Request<'a>,
        clock: Clock<'a, P>,
        progress: Progress,
        on_event: F,
        perform: Perform<'a, P, S>,
    ) -> Self {
        Self {
            shot,
            request,
            clock,
            progress,
            on_event,
            perform,
            steps: Vec::new(),
            alarm: None,
            probe: None,
            order: shot.order(),
            waiting: Vec::new(),
            asked: None,
            kept: None,
            dead: 0,
            pass: Pass::new(),
            pause: FIRST_PAUSE,
            unlisted_since: None,
        }
    }

    /// Passes the command along the list until there is a verdict.
    pub(crate) async fn decided(&mut self) -> Verdict {
        let mut verdict = self.begin_pass(None);
        loop {
            if let Some(verdict) = verdict {
                return verdict;
            }
            if self.clock.is_over() {
                return Err(Stop::Deadline);
            }
            verdict = match self.next().await {
                Next::Step(happened) => self.react(happened),
                Next::Probe(happened) => self.probed(happened),
                Next::Alarm(happened) => self.wake(happened),
            };
        }
    }

    /// Waits for the next event. The attempts at other servers stand still until the server with
    /// the command has been silent for a long time. Until then the client sends the others nothing.
    async fn next(&mut self) -> Next<P::Connection> {
        let only = match &self.asked {
            Some(asked) if !asked.others_greeted => Some(asked.server),
            _ => None,
        };
        poll_fn(|context| {
            for index in 0..self.steps.len() {
                let (server, step) = &mut self.steps[index];
                if only.is_some() && server.is_some() && *server != only {
                    continue;
                }
                if let Poll::Ready(happened) = step.as_mut().poll(context) {
                    self.steps.remove(index);
                    return Poll::Ready(Next::Step(happened));
                }
            }
            if let Some(probe) = &mut self.probe
                && let Poll::Ready(happened) = probe.as_mut().poll(context)
            {
                self.probe = None;
                return Poll::Ready(Next::Probe(happened));
            }
            match &mut self.alarm {
                Some((_, alarm)) => alarm.as_mut().poll(context).map(Next::Alarm),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn wake(&mut self, happened: Happened<P::Connection>) -> Option<Verdict> {
        match self.alarm.take() {
            Some((Alarm::Pass, _)) => self.begin_pass(happened.connection),
            Some((Alarm::Look, _)) => self.look(),
            _ => self.proceed(),
        }
    }

    fn react(&mut self, happened: Happened<P::Connection>) -> Option<Verdict> {
        let server = happened.server?;
        let connection = happened.connection;
        let answer = match happened.end {
            Some(Ok(Done::Connected)) => {
                self.progress.connected(server);
                (self.on_event)(Event::Connected { server });
                let hello = Action::Ask(self.hello(), None);
                self.begin(Some(server), connection, hello, self.shot.hello_timeout);
                return None;
            }
            Some(Ok(Done::Greeted(hello))) => return self.greeted(server, connection, hello),
            Some(Ok(Done::Closed)) => return None,
            Some(Ok(Done::Replied(reply))) => match (&*reply, self.request) {
                (Reply::Result(_), Request::Execute(_)) | (Reply::OutcomeResult(_), Request::Outcome(_)) => {
                    Ok(reply)
                }
                _ => {
                    let detail = "it answered another question".into();
                    Err(AttemptEnd::Lost(Lost::Unreadable(detail)))
                }
            },
            Some(Err(end)) => Err(end),
            None => Err(self.out_of_time(server)),
        };
        self.ended(server, connection, answer)
    }

    fn begin(
        &mut self,
        server: Option<usize>,
        connection: Option<P::Connection>,
        action: Action,
        limit: Duration,
    ) {
        let step = self.step(server, connection, action, limit);
        self.steps.push((server, step));
    }

    fn set_alarm(&mut self, alarm: Alarm, after: Duration) {
        self.set_alarm_keeping(None, alarm, after);
    }

    /// Sets the alarm, and keeps this connection open until then.
    fn set_alarm_keeping(&mut self, connection: Option<P::Connection>, alarm: Alarm, after: Duration) {
        self.alarm = Some((alarm, self.step(None, connection, Action::Wait, after)));
    }

    fn step(
        &self,
        server: Option<usize>,
        connection: Option<P::Connection>,
        action: Action,
        limit: Duration,
    ) -> Pin<Box<S>> {
        let task = Task {
            server,
            connection,
            action,
            limit,
        };
        Box::pin((self.perform)(self.shot, self.clock, task))
    }

    /// Starts the attempt at the next server as soon as all attempts in progress have had their
    /// time. The pause follows after the last server, even if some attempts are still in progress.
    /// Meanwhile the client may ask servers again that have answered, unless none of them would
    /// answer differently.
    fn proceed(&mut self) -> Option<Verdict> {
        let asked = self.asked.as_ref().map(|asked| asked.server);
        let youngest = self.progress.youngest(asked);
        let now = self.clock.now();
        let patience = youngest.map_or(Duration::ZERO, |began| {
            (began + self.shot.stagger).saturating_sub(now)
        });
        self.alarm = None;
        if !patience.is_zero() {
            self.set_alarm(Alarm::Start, patience);
        } else if !self.waiting.is_empty() {
            let next = self.waiting.remove(0);
            self.start(next, false);
        } else if let Some(asked) = &self.asked {
            let next_look = asked.silence.next_look();
            self.set_alarm(Alarm::Look, next_look.saturating_sub(now));
        } else if youngest.is_none() || (self.pass.any_ended && !self.pass.all_lasting) {
            return self.end_pass(youngest.is_some());
        }
        None
    }

    fn start(&mut self, server: usize, hinted: bool) {
        if self.clock.is_over() {
            return;
        }
        self.begin_attempt(server, hinted);
        let limit = self
            .shot
            .connect_timeout
            .saturating_mul(self.progress.pass().min(LONGEST_CONNECT));
        self.begin(Some(server), None, Action::Connect(server), limit);
        self.set_alarm(Alarm::Start, self.shot.stagger);
    }

    /// Records that an attempt at this server begins.
    fn begin_attempt(&mut self, server: usize, hinted: bool) {
        let url = &self.shot.servers[server];
        self.progress.begin(server, url.clone(), hinted, self.clock.now());
        (self.on_event)(Event::Trying { server, url });
    }

    fn ended(
        &mut self,
        server: usize,
        connection: Option<P::Connection>,
        answer: Result<Box<Reply>, AttemptEnd>,
    ) -> Option<Verdict> {
        let end = match answer {
            Err(end) if self.goes_on_after(&end) => end,
            decided => {
                self.close(connection);
                while let Some(other) = self.progress.first_open(Some(server)) {
                    self.end_attempt(other, AttemptEnd::Overtaken);
                }
                let (end, verdict) = match (decided, self.request) {
                    (Ok(reply), Request::Execute(_)) => (AttemptEnd::Executed, Ok((server, reply))),
                    (Ok(reply), Request::Outcome(_)) => (AttemptEnd::Answered, Ok((server, reply))),
                    (Err(end), Request::Execute(_)) if end.needed_longer() => (end, Err(Stop::NeededLonger)),
                    (Err(end), _) => (end, Err(Stop::Refused)),
                };
                self.end_attempt(server, end);
                return Some(verdict);
            }
        };
        let asked = self.take_back(server);
        let hint = self.hinted_by(&end);
        self.pass.account_for(&end);
        self.note_coordinator(&end);
        let room = end.is_overloaded().then(|| end.retry_after());
        self.end_attempt(server, end);
        if let Some(asked_for) = room {
            self.kept = asked.map(|asked| (server, asked.hello));
            return self.wait_for_room(server, connection, asked_for);
        }
        self.close(connection);
        if let Some((Alarm::Pass | Alarm::Look, _)) = self.alarm {
            return None;
        }
        if let Some(turn) = hint {
            self.pass.hinted = true;
            let next = self.waiting.remove(turn);
            self.start(next, true);
        } else if !self.waiting.is_empty() {
            let next = self.waiting.remove(0);
            self.start(next, false);
        } else {
            return self.proceed();
        }
        None
    }

    /// Closes the connection, if there is one.
    fn close(&mut self, connection: Option<P::Connection>) {
        if connection.is_some() {
            self.begin(None, connection, Action::Close, CLOSE_LIMIT);
        }
    }

    /// Records that the attempt at this server is over.
    fn end_attempt(&mut self, server: usize, end: AttemptEnd) {
        if let Some(tried) = self.progress.end(server, end, self.clock.now()) {
            (self.on_event)(Event::Ended { server, tried });
        }
    }

    /// Ends all attempts in progress. Waits until all connections are closed, unless the caller has
    /// cancelled.
    pub(crate) async fn finish(mut self, verdict: &Verdict) -> Progress {
        let cancelled = matches!(verdict, Err(Stop::Cancelled));
        while let Some(server) = self.progress.first_open(None) {
            let end = match cancelled {
                true => AttemptEnd::Cancelled,
                false => self.out_of_time(server),
            };
            self.end_attempt(server, end);
        }
        self.asked = None;
        self.alarm = None;
        self.probe = None;
        self.steps.retain(|(server, _)| server.is_none());
        while !cancelled && !self.steps.is_empty() {
            self.next().await;
        }
        self.progress
    }
}
