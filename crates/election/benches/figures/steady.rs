//! One elector in a quiet time, with nothing around it: its input is made beforehand.

use std::time::Duration;

use bellwether_election::{
    Body, Config, Elector, Epoch, Instant, Member, Message, Number, Output, Quorum, Role, Roster, ServerId,
    Timestamp,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Time until an answer comes.
const ROUND_TRIP: Duration = Duration::from_millis(1);

fn member(index: usize) -> Member {
    let id: ServerId = format!("server-{index:04}").parse().expect("a valid id");
    Member::new(id, Number(index as u64))
}

fn elector(me: Member, peers: &[Member], config: &Config) -> Elector<SmallRng> {
    let ids = peers.iter().map(|peer| peer.id().clone());
    let rng = SmallRng::seed_from_u64(1);
    Elector::new(config.clone(), me, ids, rng, Instant::default()).expect("a configuration that works")
}

fn config(quorum: Quorum) -> Config {
    Config {
        quorum,
        ..Config::default()
    }
}

/// A coordinator and its followers' messages.
pub(crate) struct Coordinator {
    elector: Elector<SmallRng>,
    heartbeats: Vec<(ServerId, Message)>,
    heartbeat: Duration,
    now: Instant,
    roster: u64,
    sent_at: Timestamp,
    acknowledged: u64,
}

impl Coordinator {
    /// Makes a coordinator with this number of followers, when nothing has happened for some
    /// seconds.
    pub(crate) fn new(followers: usize, quorum: Quorum) -> Self {
        let config = config(quorum);
        let peers: Vec<Member> = (0..followers).map(member).collect();
        let mut elector = elector(member(followers), &peers, &config);
        let now = Instant::default() + config.startup_grace;
        elector.handle_timeout(now);
        // The votes, if the quorum needs them, and the grant.
        let mut epoch = Epoch(1);
        while let Some(output) = elector.poll_output() {
            match output {
                Output::Send { to, message } => {
                    if let Body::RequestVote { epoch } = message.body {
                        let voter = peers.iter().find(|peer| *peer.id() == to).expect("a peer");
                        let body = Body::Vote { epoch, granted: true };
                        let sender = voter.clone();
                        elector.handle_message(now, &to, Message { sender, body });
                    }
                }
                Output::Claim(claim) => {
                    epoch = claim.above.next();
                    elector.handle_claim(now, Some(epoch));
                }
                _ => {}
            }
        }
        assert_eq!(elector.role(), Role::Coordinator { epoch });
        let heartbeats = peers.into_iter().map(|sender| {
            let body = Body::Heartbeat {
                epoch,
                roster: 0,
                echo: None,
            };
            (sender.id().clone(), Message { sender, body })
        });
        let mut this = Self {
            elector,
            heartbeats: heartbeats.collect(),
            heartbeat: config.heartbeat,
            now,
            roster: 0,
            sent_at: Timestamp(0),
            acknowledged: 0,
        };
        for _ in 0..3 {
            this.second();
        }
        this
    }

    /// Lets a second pass, in which every follower sends its heartbeats, one after another. Returns
    /// the number of acknowledged ones.
    pub(crate) fn second(&mut self) -> u64 {
        let before = self.acknowledged;
        let followers = u32::try_from(self.heartbeats.len()).expect("not so many");
        let step = self.heartbeat / followers;
        let intervals = (Duration::from_secs(1).as_micros() / self.heartbeat.as_micros()) as usize;
        for turn in 0..intervals * self.heartbeats.len() {
            self.now = self.now + step;
            if self.elector.poll_timeout().is_some_and(|at| at <= self.now) {
                self.elector.handle_timeout(self.now);
                self.take_outputs();
            }
            let (from, message) = &self.heartbeats[turn % self.heartbeats.len()];
            let mut message = message.clone();
            if let Body::Heartbeat { roster, echo, .. } = &mut message.body {
                *roster = self.roster;
                *echo = Some(self.sent_at);
            }
            self.elector.handle_message(self.now, from, message);
            self.take_outputs();
        }
        self.acknowledged - before
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.elector.poll_output() {
            let Output::Send { message, .. } = output else {
                panic!("not quiet: {output:?}");
            };
            if let Body::HeartbeatAck { sent_at, roster, .. } = message.body {
                self.acknowledged += 1;
                self.sent_at = sent_at;
                if let Some(roster) = roster {
                    self.roster = roster.version;
                }
            }
        }
    }
}

/// A follower whose coordinator answers.
pub(crate) struct Follower {
    elector: Elector<SmallRng>,
    coordinator: Member,
    epoch: Epoch,
    roster: Roster,
    now: Instant,
}

impl Follower {
    /// Makes a follower with this number of peers, when nothing has happened for some seconds.
    pub(crate) fn new(peers: usize, quorum: Quorum) -> Self {
        let config = config(quorum);
        let epoch = Epoch(1);
        let members: Vec<Member> = (1..=peers).map(member).collect();
        let coordinator = member(peers);
        let mut elector = elector(member(0), &members, &config);
        // Old enough to make promises.
        let now = Instant::default() + config.timeout * 2;
        let sent_at = Timestamp(0);
        let sender = coordinator.clone();
        let body = Body::Coordinator { epoch, sent_at };
        elector.handle_message(now, coordinator.id(), Message { sender, body });
        let line = members.iter().rev().skip(1).take(Roster::LIMIT).cloned();
        let roster = Roster {
            version: 1,
            members: line.collect(),
        };
        let followed = bellwether_election::Coordinator {
            rank: coordinator.rank.clone(),
            epoch,
        };
        let follower = Role::Follower {
            coordinator: followed,
        };
        assert_eq!(elector.role(), follower);
        while elector.poll_output().is_some() {}
        let mut this = Self {
            elector,
            coordinator,
            epoch,
            roster,
            now,
        };
        for _ in 0..3 {
            this.second();
        }
        assert_eq!(this.elector.role(), follower);
        this
    }

    /// Lets a second pass. Returns the number of heartbeats that were sent and answered.
    pub(crate) fn second(&mut self) -> u64 {
        let until = self.now + Duration::from_secs(1);
        let mut answered = 0;
        while let Some(at) = self.elector.poll_timeout().filter(|at| *at < until) {
            self.now = self.now.max(at);
            self.elector.handle_timeout(self.now);
            while let Some(output) = self.elector.poll_output() {
                let Output::Send { message, .. } = output else {
                    panic!("not quiet: {output:?}");
                };
                let Body::Heartbeat { roster, .. } = message.body else {
                    panic!("not quiet: {message:?}");
                };
                self.now = self.now + ROUND_TRIP;
                let body = Body::HeartbeatAck {
                    epoch: self.epoch,
                    sent_at: Timestamp(answered),
                    roster: (roster != self.roster.version).then(|| self.roster.clone()),
                };
                let sender = self.coordinator.clone();
                let message = Message { sender, body };
                self.elector
                    .handle_message(self.now, self.coordinator.id(), message);
                answered += 1;
            }
        }
        self.now = self.now.max(until);
        answered
    }
}
