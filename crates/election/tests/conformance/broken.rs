//! One transport for every fault a transport can have. Each is the in-memory transport with one
//! error, and the check for that error must find it, and no other check may.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bellwether_election::conformance::{self, Check, Fixture, Limits, Outcome, Report};
use bellwether_election::{Body, Event, Link, Message, ServerId, Transport, memory};
use tokio::sync::mpsc;
use tokio::task::yield_now;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    DeliversNothing,
    DeliversOneWay,
    NamesTheWrongSender,
    ForgetsWhoIsWhoAfterARestart,
    LosesOneKind,
    CutsOffLongMessages,
    RoundsLargeNumbers,
    Echoes,
    Broadcasts,
    PanicsForAStranger,
    EndsWhenAPeerIsAbsent,
    BlocksWhenFull,
    StopsForEverWhenFull,
    KeepsEverything,
    LosesOnCancel,
    ReportsRefusedForALivePeer,
    ReportsUpForADeadPeer,
    NeverReconnects,
    NeverReportsUpAgain,
    DeliversLate,
    RecvPanics,
    EndsByItself,
    LosesLowEpochs,
}

/// The state that all endpoints of a broken network share.
#[derive(Clone, Default)]
struct Shared {
    /// Servers that were stopped at some time.
    stopped: Arc<Mutex<BTreeSet<ServerId>>>,
    running: Arc<Mutex<BTreeSet<ServerId>>>,
    /// Messages to servers that are not running.
    late: Arc<Mutex<BTreeMap<ServerId, Vec<Event>>>>,
    unbounded: Arc<Mutex<BTreeMap<ServerId, mpsc::UnboundedSender<Event>>>>,
}

struct Broken {
    fault: Fault,
    network: memory::Network,
    shared: Shared,
}

struct Endpoint {
    fault: Fault,
    id: ServerId,
    members: Vec<ServerId>,
    inner: memory::Endpoint,
    shared: Shared,
    /// Made-up events, reported before any other.
    extra: Vec<Event>,
    unbounded: mpsc::UnboundedReceiver<Event>,
    sent: usize,
}

impl Fixture for Broken {
    type Transport = Endpoint;

    async fn start(&mut self, id: &ServerId, members: &[ServerId]) -> Endpoint {
        let (outbox, unbounded) = mpsc::unbounded_channel();
        self.shared.unbounded.lock().unwrap().insert(id.clone(), outbox);
        self.shared.running.lock().unwrap().insert(id.clone());
        let late = self.shared.late.lock().unwrap().remove(id);
        Endpoint {
            fault: self.fault,
            id: id.clone(),
            members: members.to_vec(),
            inner: self.network.join(id.clone()),
            shared: self.shared.clone(),
            extra: late.unwrap_or_default(),
            unbounded,
            sent: 0,
        }
    }

    async fn stop(&mut self, id: &ServerId, transport: Endpoint) {
        drop(transport);
        self.shared.running.lock().unwrap().remove(id);
        self.shared.stopped.lock().unwrap().insert(id.clone());
    }
}

impl Transport for Endpoint {
    fn send(&mut self, to: &ServerId, mut message: Message) {
        self.sent += 1;
        let was_stopped = |id| self.shared.stopped.lock().unwrap().contains(id);
        let runs = self.shared.running.lock().unwrap().contains(to);
        let event = Event::Message {
            from: self.id.clone(),
            message: message.clone(),
        };
        match self.fault {
            Fault::DeliversNothing => return,
            Fault::DeliversOneWay if self.id > *to => return,
            Fault::LosesOneKind if matches!(message.body, Body::Decline) => return,
            Fault::NeverReconnects if was_stopped(to) => return,
            Fault::LosesLowEpochs => match message.body {
                Body::Coordinator { epoch, .. } | Body::Heartbeat { epoch, .. }
                    if (1..1000).contains(&epoch.0) =>
                {
                    return;
                }
                _ => {}
            },
            Fault::CutsOffLongMessages => {
                if let Body::HeartbeatAck {
                    roster: Some(roster), ..
                } = &mut message.body
                {
                    roster.members = roster.members.iter().take(5).cloned().collect();
                }
            }
            Fault::RoundsLargeNumbers => {
                if let Body::Heartbeat { epoch, .. } = &mut message.body {
                    epoch.0 &= (1 << 53) - 1;
                }
            }
            Fault::Echoes => self.extra.push(event),
            Fault::Broadcasts => {
                for member in &self.members {
                    if *member != self.id && member != to {
                        self.inner.send(member, message.clone());
                    }
                }
            }
            Fault::PanicsForAStranger => assert!(self.members.contains(to), "no route"),
            Fault::EndsWhenAPeerIsAbsent if self.members.contains(to) && !runs && !was_stopped(to) => {
                self.fault = Fault::DeliversNothing;
            }
            Fault::BlocksWhenFull if self.sent > 5_000 => loop {
                std::thread::park();
            },
            Fault::StopsForEverWhenFull if self.sent > 5_000 => return,
            Fault::KeepsEverything => {
                if let Some(outbox) = self.shared.unbounded.lock().unwrap().get(to) {
                    let _ = outbox.send(event);
                }
                return;
            }
            Fault::DeliversLate if !runs => {
                let mut late = self.shared.late.lock().unwrap();
                late.entry(to.clone()).or_default().push(event);
            }
            _ => {}
        }
        self.inner.send(to, message);
    }

    async fn recv(&mut self) -> Option<Event> {
        if let Some(event) = self.extra.pop() {
            return Some(event);
        }
        let event = tokio::select! {
            Some(event) = self.unbounded.recv() => event,
            event = self.inner.recv() => event?,
        };
        match &event {
            Event::Message { message, .. } if message.body == Body::Decline => match self.fault {
                Fault::RecvPanics => panic!("cannot read this"),
                Fault::EndsByItself => return None,
                _ => {}
            },
            _ => {}
        }
        Some(self.spoil(event).await)
    }
}

impl Endpoint {
    async fn spoil(&mut self, event: Event) -> Event {
        match (self.fault, event) {
            (Fault::NamesTheWrongSender, Event::Message { message, .. }) => Event::Message {
                from: self.other_than(&message.sender.rank.id),
                message,
            },
            (Fault::ForgetsWhoIsWhoAfterARestart, Event::Message { from, message }) => {
                let restarted = self.shared.stopped.lock().unwrap().contains(&from);
                let from = if restarted { self.other_than(&from) } else { from };
                Event::Message { from, message }
            }
            (Fault::LosesOnCancel, event) => {
                yield_now().await;
                event
            }
            (Fault::ReportsRefusedForALivePeer, event @ Event::Message { .. }) => {
                let peer = self.other_than(&self.id);
                let link = if self.extra.is_empty() {
                    Link::Refused
                } else {
                    Link::Up
                };
                self.extra.push(Event::Link { peer, link });
                event
            }
            (Fault::ReportsUpForADeadPeer | Fault::NeverReportsUpAgain, Event::Link { peer, link }) => {
                let stopped = self.shared.stopped.lock().unwrap().contains(&peer);
                let link = match self.fault {
                    Fault::ReportsUpForADeadPeer => Link::Up,
                    _ if stopped => Link::Refused,
                    _ => link,
                };
                Event::Link { peer, link }
            }
            (_, event) => event,
        }
    }

    fn other_than(&self, id: &ServerId) -> ServerId {
        self.members.iter().find(|member| *member != id).unwrap().clone()
    }
}

/// Every fault, the checks that must fail for it, and a word of their errors.
const FOUND: [(Fault, &[Check], &str); 23] = [
    (
        Fault::DeliversNothing,
        &[Check::Delivery],
        "nothing that Delivery-a sent",
    ),
    (
        Fault::DeliversOneWay,
        &[Check::Delivery],
        "nothing that Delivery-b sent",
    ),
    (
        Fault::NamesTheWrongSender,
        &[Check::Sender],
        "took it for one from",
    ),
    (
        Fault::ForgetsWhoIsWhoAfterARestart,
        &[Check::Sender],
        "from Sender-b and took it",
    ),
    (Fault::LosesOneKind, &[Check::Content], "Decline: nothing that"),
    (Fault::CutsOffLongMessages, &[Check::Content], "HeartbeatAck"),
    (Fault::RoundsLargeNumbers, &[Check::Content], "Heartbeat"),
    (Fault::RecvPanics, &[Check::Content], "cannot read this"),
    (
        Fault::EndsByItself,
        &[Check::Content],
        "returned None while it was in use",
    ),
    (Fault::Echoes, &[Check::Echo], "itself sent"),
    (Fault::Broadcasts, &[Check::Addressee], "had sent to"),
    (
        Fault::PanicsForAStranger,
        &[Check::Nowhere],
        "no member: send panicked",
    ),
    (
        Fault::EndsWhenAPeerIsAbsent,
        &[Check::Nowhere],
        "a member that is not there",
    ),
    (
        Fault::BlocksWhenFull,
        &[Check::FullQueue, Check::Backlog],
        "send has not returned",
    ),
    (
        Fault::StopsForEverWhenFull,
        &[Check::FullQueue],
        "did not read: nothing",
    ),
    (Fault::KeepsEverything, &[Check::Backlog], "keep a few dozen"),
    (
        Fault::LosesOnCancel,
        &[Check::Cancellation],
        "is dropped before it is ready",
    ),
    (
        Fault::ReportsRefusedForALivePeer,
        &[Check::Alive],
        "while it was there",
    ),
    (
        Fault::ReportsUpForADeadPeer,
        &[Check::Gone],
        "still reported its link as up",
    ),
    (
        Fault::NeverReconnects,
        &[Check::Return],
        "after the first restart",
    ),
    (
        Fault::NeverReportsUpAgain,
        &[Check::LinkAgain],
        "takes such a peer for gone",
    ),
    (Fault::DeliversLate, &[Check::Stale], "10 of 10"),
    // Nothing but an election has such epochs.
    (
        Fault::LosesLowEpochs,
        &[Check::Election],
        "at the start the servers did not agree",
    ),
];

/// All at once: most of the time the checks wait for an event that does not come.
#[test]
fn every_fault_is_found_by_its_check() {
    let checking =
        FOUND.map(|(fault, checks, word)| std::thread::spawn(move || is_found(fault, checks, word)));
    let results = checking.map(|thread| thread.join());
    assert!(results.iter().all(Result::is_ok), "see the panics above");
}

#[tokio::main(flavor = "current_thread")]
async fn is_found(fault: Fault, checks: &[Check], word: &str) {
    let report = check(fault).await;
    assert_eq!(report.failed().collect::<Vec<_>>(), checks, "{fault:?}\n{report}");
    let said = report.findings().iter().any(|(_, outcome)| match outcome {
        Outcome::Failed(seen) => seen.contains(word),
        _ => false,
    });
    assert!(said, "{word:?} is not in\n{report}");
    assert!(report.into_result().is_err());
}

async fn check(fault: Fault) -> Report {
    let broken = Broken {
        fault,
        network: memory::Network::new(),
        shared: Shared::default(),
    };
    let limits = Limits {
        time_limit: Duration::from_secs(6),
        quiet: Duration::from_millis(100),
        ..Limits::default()
    };
    conformance::check(broken, limits).await
}
