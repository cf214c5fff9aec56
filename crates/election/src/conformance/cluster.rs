//! The transports of a few servers, under the control of a check.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::samples::small;
use super::{Fixture, Limits};
use crate::{Event, Link, Message, Number, ServerId, Transport};

/// Time limit for a message before it is sent again.
const RESEND: Duration = Duration::from_millis(50);

/// `Ok` if a message arrived; otherwise a description of the events instead.
pub(super) type Delivered = Result<(), String>;

/// The reason of a check that does not pass.
pub(super) enum Fault {
    /// The transport has this fault.
    Wrong(String),
    /// The check has no result, for this reason.
    Unclear(String),
}

pub(super) fn wrong<T>(seen: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(seen.into()))
}

pub(super) struct Cluster<'f, F: Fixture> {
    fixture: &'f mut F,
    pub(super) limits: Limits,
    pub(super) ids: Vec<ServerId>,
    servers: Vec<Server<F::Transport>>,
    /// The last number that was given to a message.
    count: u64,
    /// The receiver of each message, by its number.
    pub(super) addressees: BTreeMap<Number, usize>,
}

struct Server<T> {
    transport: Option<T>,
    events: Vec<Event>,
}

impl<'f, F: Fixture> Cluster<'f, F> {
    /// Returns a cluster of these servers, none of them started.
    pub(super) fn new(fixture: &'f mut F, limits: Limits, ids: Vec<ServerId>) -> Self {
        let server = |_: &ServerId| Server {
            transport: None,
            events: Vec::new(),
        };
        let servers = ids.iter().map(server).collect();
        Self {
            fixture,
            limits,
            ids,
            servers,
            count: 0,
            addressees: BTreeMap::new(),
        }
    }

    pub(super) async fn start(&mut self, server: usize) -> Result<(), Fault> {
        let transport = self.start_apart(server).await?;
        self.servers[server].transport = Some(transport);
        Ok(())
    }

    /// Starts a server for use outside this cluster.
    pub(super) async fn start_apart(&mut self, server: usize) -> Result<F::Transport, Fault> {
        let starting = self.fixture.start(&self.ids[server], &self.ids);
        match timeout(self.limits.time_limit, starting).await {
            Ok(transport) => Ok(transport),
            Err(_) => wrong(format!(
                "the fixture's start has not returned within {:?}",
                self.limits.time_limit
            )),
        }
    }

    pub(super) async fn stop(&mut self, server: usize) -> Result<(), Fault> {
        match self.servers[server].transport.take() {
            Some(transport) => self.stop_apart(server, transport).await,
            None => Ok(()),
        }
    }

    pub(super) async fn stop_apart(&mut self, server: usize, transport: F::Transport) -> Result<(), Fault> {
        let stopping = self.fixture.stop(&self.ids[server], transport);
        match timeout(self.limits.time_limit, stopping).await {
            Ok(()) => Ok(()),
            Err(_) => wrong(format!(
                "the fixture's stop has not returned within {:?}",
                self.limits.time_limit
            )),
        }
    }

    pub(super) async fn stop_all(&mut self) -> Result<(), Fault> {
        for server in 0..self.servers.len() {
            self.stop(server).await?;
        }
        Ok(())
    }

    /// Starts these servers and waits until each has reached each.
    pub(super) async fn connect(&mut self, servers: &[usize]) -> Result<(), Fault> {
        for server in servers {
            self.start(*server).await?;
        }
        self.reach(servers).await
    }

    /// Waits until each of these servers has reached each.
    pub(super) async fn reach(&mut self, servers: &[usize]) -> Result<(), Fault> {
        for from in servers {
            for to in servers.iter().filter(|to| *to != from) {
                let arrived = self.deliver(*from, *to).await?;
                arrived.map_err(|seen| Fault::Unclear(format!("messages do not arrive: {seen}")))?;
            }
        }
        Ok(())
    }

    /// Returns all events of a server so far, oldest first.
    pub(super) fn events(&self, server: usize) -> &[Event] {
        &self.servers[server].events
    }

    /// Returns a server's last report on its link to another, from its events after the first
    /// `since`.
    pub(super) fn last_link(&self, server: usize, peer: usize, since: usize) -> Option<Link> {
        let peer = &self.ids[peer];
        self.events(server)[since..]
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Link { peer: about, link } if about == peer => Some(*link),
                _ => None,
            })
    }

    pub(super) fn transport(&mut self, server: usize) -> Result<&mut F::Transport, Fault> {
        let transport = self.servers[server].transport.as_mut();
        transport.ok_or_else(|| Fault::Unclear("the transport is gone".into()))
    }

    /// Returns a message that differs from every other in this cluster. Its kind depends on `turn`.
    pub(super) fn message(&mut self, from: usize, turn: usize) -> Message {
        self.count += 1;
        small(&self.ids[from], self.count, turn)
    }

    /// Sends from a thread of its own, so that a `send` that does not return stops only that
    /// thread.
    pub(super) async fn send_all(
        &mut self,
        from: usize,
        to: ServerId,
        messages: impl IntoIterator<Item = Message> + Send + 'static,
    ) -> Result<(), Fault> {
        let Some(mut transport) = self.servers[from].transport.take() else {
            return Err(Fault::Unclear("the transport is gone".into()));
        };
        let runtime = Handle::current();
        let (done, returned) = oneshot::channel();
        let sending = std::thread::Builder::new()
            .name("conformance-send".into())
            .spawn(move || {
                let _runtime = runtime.enter();
                for message in messages {
                    transport.send(&to, message);
                }
                // The caller has stopped waiting if this took too long.
                let _ = done.send(transport);
            });
        if let Err(error) = sending {
            return Err(Fault::Unclear(format!("cannot start a thread: {error}")));
        }
        match timeout(self.limits.time_limit, returned).await {
            Ok(Ok(transport)) => {
                self.servers[from].transport = Some(transport);
                Ok(())
            }
            Ok(Err(_)) => wrong("send panicked"),
            Err(_) => wrong(format!(
                "send has not returned for {:?}; a transport that cannot send now must drop the message",
                self.limits.time_limit
            )),
        }
    }

    pub(super) async fn send(&mut self, from: usize, to: usize, message: Message) -> Result<(), Fault> {
        self.addressees.insert(message.sender.rank.number, to);
        let to = self.ids[to].clone();
        self.send_all(from, to, [message]).await
    }

    /// Sends a message again and again until it arrives, whatever its reported sender. The inner
    /// error describes the events instead.
    pub(super) async fn deliver(&mut self, from: usize, to: usize) -> Result<Delivered, Fault> {
        self.count += 1;
        let number = self.count;
        let variant = |ids: &[ServerId], turn| small(&ids[from], number, turn);
        self.deliver_one_of(from, to, variant).await
    }

    /// Does the same with a new message from `message` at each turn.
    pub(super) async fn deliver_one_of(
        &mut self,
        from: usize,
        to: usize,
        message: impl Fn(&[ServerId], usize) -> Message,
    ) -> Result<Delivered, Fault> {
        let began = Instant::now();
        let mut seen = self.events(to).len();
        let mut sent = Vec::new();
        let mut others = Vec::new();
        for turn in 0.. {
            let next = message(&self.ids, turn);
            let number = next.sender.rank.number;
            if !sent.contains(&next) {
                sent.push(next.clone());
            }
            self.send(from, to, next).await?;
            let again = Instant::now() + RESEND;
            while Instant::now() < again {
                self.pump(again.saturating_duration_since(Instant::now())).await?;
                for event in &self.servers[to].events[seen..] {
                    match event {
                        Event::Message { message, .. } if sent.contains(message) => return Ok(Ok(())),
                        Event::Message { message, .. } if message.sender.rank.number == number => {
                            others.push(format!("{message:?}"));
                        }
                        _ => {}
                    }
                }
                seen = self.events(to).len();
            }
            if began.elapsed() >= self.limits.time_limit {
                break;
            }
        }
        let (from, to, time_limit) = (&self.ids[from], &self.ids[to], self.limits.time_limit);
        let times = "although it was sent again and again";
        Ok(Err(match others.pop() {
            Some(other) => format!("a message of {from} to {to} arrived as {other}"),
            None => format!("nothing that {from} sent to {to} arrived within {time_limit:?}, {times}"),
        }))
    }

    /// Reads all transports until one of them has an event, or until `limit` has passed.
    pub(super) async fn pump(&mut self, limit: Duration) -> Result<(), Fault> {
        let readers = self.servers.iter_mut().enumerate();
        let mut readings: Vec<(usize, Reading<'_>)> = readers
            .filter_map(|(server, reader)| {
                let transport = reader.transport.as_mut()?;
                Some((server, Box::pin(transport.recv()) as Reading<'_>))
            })
            .collect();
        let ready = poll_fn(|context| {
            let mut ready = Vec::new();
            for (server, reading) in &mut readings {
                if let Poll::Ready(event) = reading.as_mut().poll(context) {
                    ready.push((*server, event));
                }
            }
            if ready.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(ready)
            }
        });
        let ready = timeout(limit, ready).await.unwrap_or_default();
        drop(readings);
        for (server, event) in ready {
            self.record(server, event)?;
        }
        Ok(())
    }

    /// Notes the result of a server's `recv`.
    pub(super) fn record(&mut self, server: usize, event: Option<Event>) -> Result<(), Fault> {
        let Some(event) = event else {
            return wrong(format!(
                "recv of {} returned None while it was in use, which ends the election there",
                self.ids[server]
            ));
        };
        self.servers[server].events.push(event);
        Ok(())
    }

    /// Reads all transports for this time.
    pub(super) async fn pump_for(&mut self, time: Duration) -> Result<(), Fault> {
        let end = Instant::now() + time;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            self.pump(rest).await?;
            // A transport that always has an event must not keep all other tasks from running.
            tokio::task::yield_now().await;
        }
    }
}

type Reading<'a> = Pin<Box<dyn Future<Output = Option<Event>> + Send + 'a>>;
