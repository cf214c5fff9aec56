//! The waiting commands, with an index for each question that the queue asks about them.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};

use bellwether_protocol::CommandId;
use tokio::time::Instant;

use super::room::Room;
use super::selection::Selection;
use super::source_queue::{Sequence, SourceQueue};
use super::turns::Turns;
use crate::pipeline::abandonments::Abandonments;
use crate::pipeline::bookings::Bookings;
use crate::pipeline::drain_rate::DrainRate;
use crate::pipeline::job::{Job, Waits};
use crate::pipeline::penalties::Penalties;
use crate::pipeline::source::SourceId;
use crate::subject::{SubjectHash, is_of_another};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) open: bool,
    commands: Commands,
    pub(super) drain_rate: DrainRate,
    pub(super) bookings: Bookings,
    pub(super) penalties: Penalties,
    pub(super) abandonments: Abandonments,
    /// `true` if the last batch was for a single source.
    pub(super) last_was_apart: bool,
    /// Time until which no batch for a single source at fault begins.
    pub(super) rest_until: Option<Instant>,
    /// Time for which no such batch begins in the next term. Until then no source can use the time.
    pub(super) rest_of_abandoned: Option<Duration>,
}

#[derive(Debug, Default)]
struct Commands {
    /// The commands that were put back. They come before all others.
    returned: SourceQueue,
    /// The source queues. None of them is empty.
    sources: HashMap<SourceId, SourceQueue>,
    turns: Turns,
    /// The room that each group takes, with its commands that were put back.
    groups: HashMap<u64, Room>,
    deadlines: BTreeMap<(Instant, Sequence), SourceId>,
    /// The subjects of the commands with an id, without the questions about them.
    ids: HashMap<CommandId, Vec<Option<SubjectHash>>>,
    last_sequence: Sequence,
    first_sequence: Sequence,
    room: Room,
}

impl Waiting {
    /// Takes all commands out. Keeps what the queue knows about sources and about its speed: the
    /// next term on this server needs that, too.
    pub(super) fn close(&mut self) -> Vec<Job> {
        self.open = false;
        self.drain_rate.pause();
        let commands = std::mem::take(&mut self.commands);
        let sources = commands.sources.into_values().flat_map(SourceQueue::into_jobs);
        commands.returned.into_jobs().chain(sources).collect()
    }

    pub(super) fn add(&mut self, job: Job) {
        let commands = &mut self.commands;
        commands.last_sequence += 1;
        let (sequence, source) = (commands.last_sequence, job.source);
        commands.count_in(sequence, &job);
        let queue = commands.sources.entry(source).or_default();
        let joins = queue.first().is_none();
        queue.insert(sequence, job);
        if joins {
            commands.turns.join(source);
        }
    }

    pub(super) fn add_before_all(&mut self, job: Job) {
        let commands = &mut self.commands;
        commands.first_sequence -= 1;
        let sequence = commands.first_sequence;
        commands.count_in(sequence, &job);
        commands.returned.insert(sequence, job);
    }

    pub(super) fn len(&self) -> usize {
        self.commands.room.places
    }

    /// Returns the room that all commands take.
    pub(super) fn room(&self) -> Room {
        self.commands.room
    }

    /// Returns the room that the commands of a group take, with those that were put back.
    pub(super) fn of_group(&self, group: u64) -> Room {
        self.commands.groups.get(&group).copied().unwrap_or_default()
    }

    /// Returns the room that the commands of a source take, without those that were put back.
    pub(super) fn of_source(&self, source: SourceId) -> Room {
        self.commands
            .sources
            .get(&source)
            .map_or_else(Room::default, SourceQueue::room)
    }

    /// Returns the number of groups that take turns.
    pub(super) fn groups(&self) -> usize {
        self.commands.turns.groups()
    }

    /// Returns the number of commands that are executed before this many of a source, and with
    /// them.
    pub(super) fn turns_for(&self, source: SourceId, own: usize) -> usize {
        let turns = &self.commands.turns;
        let rounds = own.saturating_mul(turns.sources_of(source.group()).max(1));
        rounds.saturating_mul(turns.groups().max(1)).min(self.len())
    }

    /// Returns the state of the command with this id, for a question of this subject. Two subjects
    /// may have sent commands with one id. Then the question is about the own command.
    pub(super) fn holds(&self, id: CommandId, asking: Option<&SubjectHash>) -> Waits {
        let Some(owners) = self.commands.ids.get(&id) else {
            return Waits::No;
        };
        let is_foreign = |owner: &Option<SubjectHash>| {
            let owner = owner.as_ref().map(SubjectHash::as_bytes);
            is_of_another(owner, asking)
        };
        if owners.iter().all(is_foreign) {
            Waits::OfAnother
        } else {
            Waits::Yes
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let first = self.commands.deadlines.first_key_value();
        first.map(|((deadline, _), _)| *deadline)
    }

    /// Takes the command whose deadline has passed first, if there is one.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Job> {
        let first = self.commands.deadlines.first_key_value();
        let ((deadline, sequence), source) = first?;
        let (sequence, source) = (*sequence, *source);
        (*deadline <= now)
            .then(|| self.commands.remove(source, sequence))
            .flatten()
    }

    /// Adds the next commands to a selection, in their order.
    pub(super) fn fill(&mut self, selection: &mut Selection, now: Instant) {
        // Every other batch is for commands that need no batch of their own, if there are any.
        let apart_may_begin = !self.last_was_apart || self.are_all(|job| self.is_apart(job, now));
        if self.fill_from_returned(selection, apart_may_begin, now) {
            self.fill_in_turn(selection, apart_may_begin, now);
        }
        if !selection.jobs.is_empty() {
            self.last_was_apart = selection.apart.is_some();
        }
    }

    /// Adds commands that were put back. Returns `true` if the selection may have room for others.
    fn fill_from_returned(&mut self, selection: &mut Selection, apart_may_begin: bool, now: Instant) -> bool {
        let mut next = self.commands.returned.first().map(|(sequence, _)| sequence);
        while let Some(sequence) = next {
            next = self.commands.returned.after(sequence);
            let Some(job) = self.commands.returned.get(sequence) else {
                break;
            };
            let (source, apart) = (job.source, self.is_apart(job, now));
            let may_begin = apart_may_begin && !self.rests(job, now);
            if selection.must_wait(job) || selection.excludes(source, apart, may_begin) {
                // No command of the same source may go before it.
                selection.held.insert(source);
                continue;
            }
            if !selection.has_room_for(job) {
                return false;
            }
            selection.extend(self.commands.remove(source, sequence), apart);
        }
        true
    }

    /// Adds one command of a source after another, in the order of their turns.
    fn fill_in_turn(&mut self, selection: &mut Selection, apart_may_begin: bool, now: Instant) {
        // A batch for one source needs no look at the others.
        while let Some(source) = selection.apart.or_else(|| self.commands.turns.next())
            && let Some((sequence, job)) = self.commands.first_of(source)
        {
            let apart = self.is_apart(job, now);
            let may_begin = apart_may_begin && !self.rests(job, now);
            if selection.must_wait(job) || selection.excludes(source, apart, may_begin) {
                if selection.apart.is_some() {
                    break;
                }
                self.commands.turns.skip(source);
                continue;
            }
            if !selection.has_room_for(job) {
                break;
            }
            self.commands.turns.pass(source);
            selection.extend(self.commands.remove(source, sequence), apart);
        }
        // The sources keep their turn: the delay is not their fault alone.
        self.commands.turns.restore();
    }

    /// Returns the time until which none of the waiting commands may be taken.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rest_until
            .filter(|rest| *rest > now && self.are_all(|job| self.rests(job, now)))
    }

    /// Returns `true` if the command needs a batch for its source alone.
    fn is_apart(&self, job: &Job, now: Instant) -> bool {
        self.is_at_fault(job, now) || self.abandonments.is_apart(job.source, now)
    }

    /// Returns `true` if the command must not begin a batch now. A source that is apart only
    /// because its group may be at fault does not rest.
    fn rests(&self, job: &Job, now: Instant) -> bool {
        self.rest_until.is_some_and(|rest| rest > now) && self.is_at_fault(job, now)
    }

    fn is_at_fault(&self, job: &Job, now: Instant) -> bool {
        job.notes.apart
            || self.penalties.is_apart(job.source, now)
            || self.abandonments.is_at_fault(job.source, now)
    }

    /// Returns `true` if the condition holds for every command, or for a command of its source
    /// behind which it waits.
    fn are_all(&self, condition: impl Fn(&Job) -> bool) -> bool {
        let mut holds = HashSet::new();
        for job in self.commands.returned.iter() {
            if condition(job) {
                holds.insert(job.source);
            } else if !holds.contains(&job.source) {
                return false;
            }
        }
        let mut first_of_sources = self.commands.sources.values().filter_map(SourceQueue::first);
        first_of_sources.all(|(_, job)| holds.contains(&job.source) || condition(job))
    }
}

impl Commands {
    fn first_of(&self, source: SourceId) -> Option<(Sequence, &Job)> {
        self.sources.get(&source)?.first()
    }

    fn count_in(&mut self, sequence: Sequence, job: &Job) {
        let room = Room::of(job);
        self.room += room;
        *self.groups.entry(job.source.group()).or_default() += room;
        if job.task.command().is_some() {
            let owners = self.ids.entry(job.task.id).or_default();
            owners.push(job.task.subject().copied());
        }
        self.deadlines.insert((job.task.deadline, sequence), job.source);
    }

    fn count_out(&mut self, sequence: Sequence, job: &Job) {
        let room = Room::of(job);
        self.room -= room;
        let group = job.source.group();
        if let Some(all) = self.groups.get_mut(&group) {
            *all -= room;
            if all.is_none() {
                self.groups.remove(&group);
            }
        }
        if job.task.command().is_some()
            && let Some(owners) = self.ids.get_mut(&job.task.id)
        {
            let own = job.task.subject().copied();
            if let Some(at) = owners.iter().position(|owner| *owner == own) {
                owners.swap_remove(at);
            }
            if owners.is_empty() {
                self.ids.remove(&job.task.id);
            }
        }
        self.deadlines.remove(&(job.task.deadline, sequence));
    }

    fn remove(&mut self, source: SourceId, sequence: Sequence) -> Option<Job> {
        let job = if sequence < 0 {
            self.returned.remove(sequence)?
        } else {
            let queue = self.sources.get_mut(&source)?;
            let job = queue.remove(sequence)?;
            if queue.first().is_none() {
                self.sources.remove(&source);
                self.turns.leave(source);
            }
            job
        };
        self.count_out(sequence, &job);
        Some(job)
    }
}
