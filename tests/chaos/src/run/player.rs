use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Error;
use tokio::time::sleep_until;

use super::primary::PrimaryWatch;
use crate::fault::Fault;
use crate::history::Writer;
use crate::plan::{Plan, Step};
use crate::report::MachineWatch;
use crate::timeline::{Recorder, SAMPLES, Timeline, Why};
use crate::world::{Inflicted, World};

/// Interval of the progress messages.
const PROGRESS: Duration = Duration::from_secs(30);

/// Plays a plan, and records what happens.
pub(super) struct Player<'a> {
    pub(super) world: &'a mut World,
    pub(super) started: Instant,
    pub(super) history: Writer,
    pub(super) machine: &'a mut MachineWatch,
    /// `true` if every fault is shown.
    pub(super) verbose: bool,
}

/// A fault that waits to be healed.
struct Open {
    until: Instant,
    place: usize,
    inflicted: Inflicted,
}

impl Player<'_> {
    /// Inflicts and heals until the plan's time is over.
    pub(super) async fn play(mut self, plan: &Plan) -> Timeline {
        let possible = self.world.possible();
        let primary = PrimaryWatch::start(self.world);
        let mut recorder = Recorder::new(self.started);
        let mut steps = plan.steps.iter().peekable();
        let mut open: Vec<Open> = Vec::new();
        let end = self.started + plan.length();
        let (mut sample, mut progress) = (self.started, self.started + PROGRESS);
        loop {
            let heal = open.iter().map(|open| open.until).min();
            let step = steps.peek().map(|step| self.started + step.at());
            let next = [heal, step].into_iter().flatten().chain([sample, end]).min();
            sleep_until(next.unwrap_or(end).into()).await;
            let now = Instant::now();
            // Whatever else is due can wait.
            if let Some(due) = open.iter().position(|open| open.until <= now) {
                let Open { place, inflicted, .. } = open.swap_remove(due);
                self.heal(inflicted, place, &mut recorder).await;
            } else if now >= end {
                break;
            } else if let Some(step) = steps.next_if(|step| self.started + step.at() <= now) {
                open.extend(self.inflict(step, &possible, &mut recorder).await);
            } else {
                recorder.statuses(&self.world.statuses().await);
                recorder.primary(primary.seen());
                self.machine.sample();
                sample = (sample + SAMPLES).max(Instant::now());
                if now >= progress {
                    self.tell(now, plan.length(), &recorder);
                    progress += PROGRESS;
                }
            }
        }
        recorder.ended();
        recorder.finish()
    }

    async fn inflict(
        &mut self,
        step: &Step,
        possible: &BTreeSet<Fault>,
        recorder: &mut Recorder,
    ) -> Option<Open> {
        let Step { fault, phase, .. } = *step;
        if !possible.contains(&fault) {
            recorder.skipped(fault, Why::NotPossible);
            return None;
        }
        let inflicted = match self.world.inflict(fault, step.seed).await {
            Ok(Some(inflicted)) => inflicted,
            Ok(None) => {
                recorder.skipped(fault, Why::IllAlready);
                return None;
            }
            Err(error) => {
                recorder.skipped(fault, Why::Failed);
                self.trouble(&error, recorder);
                return None;
            }
        };
        let place = recorder.inflicted(phase, fault, &inflicted.nodes, &inflicted.what);
        self.show(format_args!("{fault}: {}", inflicted.what));
        Some(Open {
            until: Instant::now() + step.lasts(),
            place,
            inflicted,
        })
    }

    async fn heal(&mut self, inflicted: Inflicted, place: usize, recorder: &mut Recorder) {
        let what = format!("healed {}: {}", inflicted.fault, inflicted.what);
        match self.world.heal(inflicted).await {
            Ok(()) => {
                recorder.healed(place);
                self.show(format_args!("{what}"));
            }
            // It lasts until the end, when all are healed that still need it.
            Err(error) => self.trouble(&error, recorder),
        }
    }

    /// Records an error of the suite itself. The run goes on: the clients' answers are still valid.
    fn trouble(&self, error: &Error, recorder: &mut Recorder) {
        let trouble = format!("after {:.1} s: {error:#}", self.started.elapsed().as_secs_f64());
        eprintln!("{trouble}");
        recorder.trouble(trouble);
    }

    fn show(&self, what: std::fmt::Arguments<'_>) {
        if self.verbose {
            eprintln!("{:7.1} s  {what}", self.started.elapsed().as_secs_f64());
        }
    }

    fn tell(&self, now: Instant, length: Duration, recorder: &Recorder) {
        let told = self.history.told();
        eprintln!(
            "{:.0} of {:.0} s: {} executed, {} not executed, {} unknown; {} faults",
            (now - self.started).as_secs_f64(),
            length.as_secs_f64(),
            told.executed,
            told.not_executed,
            told.unknown,
            recorder.faults()
        );
    }
}
