//! The effect of one action on a cluster.

use std::sync::Arc;
use std::time::Duration;

use bellwether_election::{
    Body, Config, Epoch, Instant, Message, Newest, Preemption, Quorum, Role, Timestamp,
};

use crate::action::Action;
use crate::bounds::{Bounds, Clocks, Grants, spend};
use crate::cluster::{Claim, Cluster, Confirmation, Question, Server};
use crate::invariants::{self, Step};
use crate::network::Envelope;
use crate::process::{Event, Process, Processes};
use crate::time::{NOW, age, micros};

/// The rules of the world around the electors.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) config: Config,
    processes: Arc<Processes>,
    clocks: Clocks,
    pub(crate) grants: Grants,
    /// The transport knows links and speaks of them.
    pub(crate) links: bool,
    /// The arbiter takes its time to answer which epoch is the newest.
    questions: bool,
    /// No two servers may be coordinator in the same epoch.
    pub(crate) unique_epochs: bool,
    /// It must be the best server that becomes coordinator.
    pub(crate) best_wins: bool,
}

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let majority = bounds.quorum == Quorum::Majority;
        // Timestamps are on the clock of one server and travel to another.
        assert!(
            !majority || bounds.clocks == Clocks::Common,
            "a lease says nothing without a clock"
        );
        let config = bounds.config();
        Self {
            processes: Arc::new(Processes::new(config.clone())),
            config,
            clocks: bounds.clocks,
            grants: bounds.arbiter,
            links: bounds.budget.hints > 0,
            questions: bounds.budget.lies > 0,
            unique_epochs: bounds.arbiter == Grants::Durable || (majority && bounds.budget.restarts == 0),
            best_wins: bounds.preemption == Preemption::Always && bounds.budget.resignations == 0,
        }
    }

    pub(crate) fn with_common_clocks(&self) -> Self {
        Self {
            clocks: Clocks::Common,
            ..self.clone()
        }
    }

    pub(crate) fn start(&self, cluster: &mut Cluster, server: usize, number: u64) {
        cluster.network.reconnect(server);
        let held = cluster.servers[server].held;
        cluster.servers[server] = Server { held, ..Server::NONE };
        let reaction = self.processes.start(server, number, cluster.servers.len());
        Step::of(self, cluster, server, None).carry_out(&reaction);
    }

    pub(crate) fn act(&self, cluster: &mut Cluster, action: &Action) {
        cluster.broken = None;
        match action {
            Action::Deliver(envelope) => {
                cluster.network.remove(envelope);
                self.deliver(cluster, envelope);
            }
            Action::DeliverAndKeep(envelope) => {
                spend(&mut cluster.left.duplicates);
                self.deliver(cluster, envelope);
            }
            Action::Lose(envelope) => {
                spend(&mut cluster.left.losses);
                cluster.network.remove(envelope);
            }
            Action::Stall(from, to) => {
                spend(&mut cluster.left.stalls);
                cluster.network.stall(*from, *to);
            }
            Action::Timeout(server) => {
                if self.clocks == Clocks::Own {
                    spend(&mut cluster.left.timeouts);
                }
                self.happen_at(cluster, *server, deadline(cluster, *server), &Event::Timeout);
            }
            Action::Tick => {
                spend(&mut cluster.left.timeouts);
                self.tick(cluster);
            }
            Action::Sleep(server) => {
                spend(&mut cluster.left.pauses);
                cluster.servers[*server].asleep = true;
            }
            Action::Wake(server) => cluster.servers[*server].asleep = false,
            Action::Crash(server) => {
                spend(&mut cluster.left.crashes);
                self.gone(cluster, *server);
            }
            Action::Restart(server, number) => {
                spend(&mut cluster.left.restarts);
                self.start(cluster, *server, *number);
            }
            Action::Hint(server, peer, link) => {
                spend(&mut cluster.left.hints);
                self.happen(cluster, *server, &Event::Link(*peer, *link));
            }
            Action::Grant(server) => {
                spend(&mut cluster.left.grants);
                self.grant(cluster, *server);
            }
            Action::Answer(server) => {
                if let Some(Claim::Granted(epoch)) = cluster.servers[*server].claim.take() {
                    self.happen(cluster, *server, &Event::Claim(Some(epoch)));
                }
            }
            Action::Refuse(server) => {
                spend(&mut cluster.left.refusals);
                cluster.servers[*server].claim = None;
                self.happen(cluster, *server, &Event::Claim(None));
            }
            Action::Confirm(server) => {
                let newest = cluster.granted;
                let confirmation = &mut cluster.servers[*server].confirmation;
                if let Some(Confirmation::Asked(epoch)) = *confirmation {
                    *confirmation = Some(Confirmation::Said(epoch, epoch == newest));
                }
            }
            Action::AnswerConfirmation(server) => {
                if let Some(Confirmation::Said(epoch, newest)) = cluster.servers[*server].confirmation.take()
                {
                    self.happen(cluster, *server, &Event::Confirmation(epoch, Some(newest)));
                }
            }
            Action::LoseConfirmation(server) => {
                spend(&mut cluster.left.refusals);
                let confirmation = cluster.servers[*server].confirmation.take();
                if let Some(Confirmation::Asked(epoch) | Confirmation::Said(epoch, _)) = confirmation {
                    self.happen(cluster, *server, &Event::Confirmation(epoch, None));
                }
            }
            Action::LookUp(server) => {
                let newest = self.newest(cluster);
                let question = &mut cluster.servers[*server].question;
                if let Some(Question::Asked(seen)) = *question {
                    *question = Some(Question::Said(seen, newest));
                }
            }
            Action::AnswerQuestion(server) => {
                if let Some(Question::Said(seen, newest)) = cluster.servers[*server].question {
                    self.answer(cluster, *server, seen, newest);
                }
            }
            Action::LoseAnswer(server) => {
                spend(&mut cluster.left.refusals);
                if let Some(Question::Asked(seen) | Question::Said(seen, _)) =
                    cluster.servers[*server].question
                {
                    self.answer(cluster, *server, seen, Newest::Unreachable);
                }
            }
            Action::Lie(from, to, epoch) => {
                spend(&mut cluster.left.lies);
                self.lie(cluster, *from, *to, *epoch);
            }
            Action::Write(server) => {
                spend(&mut cluster.left.writes);
                self.write(cluster, *server);
            }
            Action::Drained(server) => {
                if let Some(epoch) = cluster.servers[*server].own_epoch() {
                    self.happen(cluster, *server, &Event::Drained(epoch));
                }
            }
            Action::Leave(server) => {
                spend(&mut cluster.left.leaves);
                self.happen(cluster, *server, &Event::Leave);
            }
            Action::Resign(server) => {
                spend(&mut cluster.left.resignations);
                self.happen(cluster, *server, &Event::Resign);
            }
            Action::SetEligible(server, eligible) => {
                spend(&mut cluster.left.eligibility);
                self.happen(cluster, *server, &Event::SetEligible(*eligible));
            }
        }
        invariants::check(self, cluster);
    }

    fn deliver(&self, cluster: &mut Cluster, envelope: &Arc<Envelope>) {
        self.happen(cluster, envelope.to, &Event::Message(Arc::clone(envelope)));
    }

    fn newest(&self, cluster: &Cluster) -> Newest {
        match self.grants {
            Grants::Durable => Newest::Epoch(cluster.granted),
            Grants::Local => Newest::NotRecorded,
        }
    }

    fn answer(&self, cluster: &mut Cluster, server: usize, asked: Epoch, newest: Newest) {
        let answered = &mut cluster.servers[server];
        answered.question = None;
        if let Newest::Epoch(newest) = newest {
            // The one exception to `epoch_grows`.
            answered.known = answered.known.min(newest);
        }
        self.happen(cluster, server, &Event::Newest(newest));
        invariants::answered(cluster, server, asked, newest);
    }

    fn lie(&self, cluster: &mut Cluster, from: usize, to: usize, epoch: Epoch) {
        let Some(liar) = &cluster.servers[from].process else {
            return;
        };
        let sender = liar.member().clone();
        let sent_at = Timestamp(micros(NOW.elapsed_since_origin()));
        let body = Body::Coordinator { epoch, sent_at };
        let envelope = Arc::new(Envelope::new(from, to, Message { sender, body }));
        self.happen(cluster, to, &Event::Message(envelope));
    }

    fn grant(&self, cluster: &mut Cluster, server: usize) {
        let Some(Claim::Asked { above }) = cluster.servers[server].claim else {
            return;
        };
        let epoch = match self.grants {
            Grants::Durable => cluster.granted.next(),
            Grants::Local => above.next(),
        };
        cluster.granted = cluster.granted.max(epoch);
        cluster.servers[server].claim = Some(Claim::Granted(epoch));
    }

    /// Writes to the resource, which keeps the newest epoch it has seen and refuses older ones.
    fn write(&self, cluster: &mut Cluster, server: usize) {
        let Some(epoch) = cluster.servers[server].own_epoch() else {
            return;
        };
        match cluster.written {
            Some((newest, _)) if epoch < newest => {
                self.happen(cluster, server, &Event::StepDown(epoch));
            }
            // One epoch, two writers: the fence cannot tell them apart.
            Some((newest, writer)) if epoch == newest && writer != server => cluster.broken = Some("fenced"),
            _ => cluster.written = Some((epoch, server)),
        }
    }

    /// Removes a process that has ended. Messages in transit to it may still meet its successor.
    fn gone(&self, cluster: &mut Cluster, server: usize) {
        let gone = &mut cluster.servers[server];
        (gone.process, gone.claim, gone.confirmation, gone.asleep) = (None, None, None, false);
        (gone.question, gone.unanswered) = (None, false);
        gone.known = Epoch::ZERO;
        if cluster.left.restarts == 0 {
            cluster.network.forget_reader(server);
        }
    }

    fn happen(&self, cluster: &mut Cluster, server: usize, event: &Event) {
        self.happen_at(cluster, server, NOW, event);
    }

    fn happen_at(&self, cluster: &mut Cluster, server: usize, mut now: Instant, event: &Event) {
        let Some(process) = cluster.servers[server].process.clone() else {
            return;
        };
        if self.clocks == Clocks::Own && std::mem::take(&mut cluster.servers[server].asleep) {
            now = now.max(NOW + self.config.timeout + Duration::from_millis(1));
        }
        let granted = match event {
            Event::Claim(granted) => *granted,
            _ => None,
        };
        let reaction = self.processes.react(&process, server, now, event);
        Step::of(self, cluster, server, granted).carry_out(&reaction);
        if cluster.servers[server].role() == Some(&Role::Left) {
            return self.gone(cluster, server);
        }
        if !self.questions
            && let Some(Question::Asked(seen)) = cluster.servers[server].question
        {
            let newest = self.newest(cluster);
            self.answer(cluster, server, seen, newest);
        }
    }

    /// Moves all clocks to the earliest deadline of a server that is awake.
    pub(crate) fn tick(&self, cluster: &mut Cluster) {
        let awake = cluster.servers.iter().filter(|server| !server.asleep);
        let next = awake
            .filter_map(|server| server.process.as_ref()?.deadline())
            .min();
        let Some(now) = next.map(|next| next.max(NOW)) else {
            return;
        };
        for (i, server) in cluster.servers.iter_mut().enumerate() {
            if let Some(process) = &server.process {
                let later = self.processes.react(process, i, now, &Event::Nothing);
                server.process = Some(later.process.clone());
            }
        }
        if self.config.quorum == Quorum::Majority {
            let (passed, horizon) = (now.saturating_since(NOW), self.config.timeout);
            cluster.network.rewrite(|body| age(body, passed, horizon));
        }
    }
}

/// Returns the time at which the server next acts by itself. It is not before now.
pub(crate) fn deadline(cluster: &Cluster, server: usize) -> Instant {
    let deadline = cluster.servers[server]
        .process
        .as_ref()
        .and_then(Process::deadline);
    deadline.unwrap_or(NOW).max(NOW)
}
