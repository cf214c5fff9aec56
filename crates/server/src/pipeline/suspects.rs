//! Commands that MongoDB did not survive, or did not end.
//!
//! MongoDB interrupts a command between two steps, never within one. One expression can compute for
//! hours or take all memory. The server recognizes such a command by its fingerprint:
//!
//! - a command that had to be abandoned is refused for a while;
//! - a command that ran when the primary was lost is executed alone from then on. If a primary is
//!   lost once more while it runs, it is refused for a while. If it ends well, it is no longer a
//!   suspect.
//!
//! A server remembers only commands that it has seen itself. A successor learns them anew, at the
//! price of one abandoned batch.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_protocol::ErrorFrame;
use tokio::time::Instant;

use super::failure::Failure;
use super::refusal;
use crate::command::{Fingerprint, ParsedCommand};

/// Time for which a command is refused.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(600);
/// Time for which a command is a suspect without being refused.
const SUSPECTED_FOR: Duration = Duration::from_secs(3_600);
/// Time between the moment at which a connection breaks and the moment at which the primary is
/// known to be gone.
const NOTICE: Duration = Duration::from_secs(3);
/// Time in which this server asks no secondary to become primary, after a loss that a suspect may
/// have caused. A client may send the command again in this time.
const NO_ASSIST: Duration = Duration::from_secs(5);
/// Largest number of commands that are remembered. The oldest one is forgotten first.
const MAX_SUSPECTS: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Suspects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    suspects: HashMap<Fingerprint, Suspect>,
    /// Commands whose connection broke before MongoDB answered, and when.
    broken: Vec<(Fingerprint, Instant)>,
    /// Time at which a primary was lost while a suspect ran.
    loss: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    since: Instant,
    /// Set when it is refused.
    refused: Option<Reason>,
    /// `true` if it was among the commands that MongoDB did not end. An answer to it does not clear
    /// it.
    lasts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// MongoDB did not end it.
    Abandoned,
    /// Two primaries were lost while it ran.
    LostPrimaries,
}

/// Commands that MongoDB works on.
#[derive(Debug)]
#[must_use = "report the end of the run"]
pub(super) struct Run {
    suspects: Arc<Suspects>,
    commands: Vec<Fingerprint>,
}

impl Suspects {
    /// Returns `true` if the command must be executed without others.
    ///
    /// # Errors
    /// A final error if it is refused.
    pub(super) fn check(&self, command: &ParsedCommand, now: Instant) -> Result<bool, ErrorFrame> {
        let mut state = self.lock();
        let Some(suspect) = state.suspects.get(command.fingerprint()).copied() else {
            return Ok(false);
        };
        let (lasts, result) = match suspect.refused {
            Some(reason) => {
                let left = (suspect.since + REFUSED_FOR).saturating_duration_since(now);
                (REFUSED_FOR, Err(refusal::suspect(reason, left)))
            }
            None => (SUSPECTED_FOR, Ok(true)),
        };
        if suspect.since + lasts <= now {
            state.suspects.remove(command.fingerprint());
            return Ok(false);
        }
        result
    }

    /// Records that MongoDB did not end the work on these commands. If all are the same command, or
    /// if one was a suspect before, the server refuses that command.
    pub(super) fn abandoned(&self, commands: &[&ParsedCommand], now: Instant) {
        let mut state = self.lock();
        let mut fingerprints: Vec<Fingerprint> =
            commands.iter().map(|command| *command.fingerprint()).collect();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        let alone = fingerprints.len() == 1;
        for fingerprint in fingerprints {
            let again = state.suspects.contains_key(&fingerprint);
            let refused = (alone || again).then_some(Reason::Abandoned);
            state.suspect(
                fingerprint,
                Suspect {
                    since: now,
                    refused,
                    lasts: true,
                },
            );
        }
    }

    /// Records that MongoDB begins to work on these commands.
    pub(super) fn run<'c>(self: &Arc<Self>, commands: impl Iterator<Item = &'c ParsedCommand>) -> Run {
        Run {
            suspects: Arc::clone(self),
            commands: commands.map(|command| *command.fingerprint()).collect(),
        }
    }

    /// Records that the primary's process has ended.
    pub(super) fn primary_lost(&self, now: Instant) {
        let mut state = self.lock();
        let mut broken: Vec<Fingerprint> = Vec::new();
        for (fingerprint, at) in std::mem::take(&mut state.broken) {
            if at + NOTICE > now && !broken.contains(&fingerprint) {
                broken.push(fingerprint);
            }
        }
        for fingerprint in broken {
            let again = state.suspects.contains_key(&fingerprint);
            if again {
                state.loss = Some(now);
                tracing::warn!(
                    "refusing a command for a while: MongoDB has lost its primary twice while it ran"
                );
            }
            let refused = again.then_some(Reason::LostPrimaries);
            let lasts = false;
            state.suspect(
                fingerprint,
                Suspect {
                    since: now,
                    refused,
                    lasts,
                },
            );
        }
    }

    /// Returns `true` if a primary was lost a moment ago while a suspect ran: another primary could
    /// be lost to it.
    pub(super) fn may_have_caused_a_loss(&self, now: Instant) -> bool {
        self.lock().loss.is_some_and(|loss| loss + NO_ASSIST > now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn suspect(&mut self, fingerprint: Fingerprint, suspect: Suspect) {
        if self.suspects.len() >= MAX_SUSPECTS && !self.suspects.contains_key(&fingerprint) {
            let oldest = self.suspects.iter().min_by_key(|(_, suspect)| suspect.since);
            if let Some(oldest) = oldest.map(|(fingerprint, _)| *fingerprint) {
                self.suspects.remove(&oldest);
            }
        }
        self.suspects.insert(fingerprint, suspect);
    }
}

impl Run {
    /// Records that MongoDB has answered, or that the connection broke.
    pub(super) fn ends<T>(self, reply: &Result<T, Failure>) {
        match reply {
            Err(Failure::Disconnected(_)) => self.broke(Instant::now()),
            Ok(_) => self.answered(true),
            Err(_) => self.answered(false),
        }
    }

    fn broke(self, now: Instant) {
        let mut state = self.suspects.lock();
        state.broken.retain(|(_, at)| *at + NOTICE > now);
        let room = MAX_SUSPECTS.saturating_sub(state.broken.len());
        let broken = self.commands.into_iter().map(|command| (command, now));
        state.broken.extend(broken.take(room));
    }

    /// Clears the suspects that MongoDB has answered. A success clears a command that ran alone
    /// for good: MongoDB did not end its batch because of another command.
    fn answered(self, success: bool) {
        let mut state = self.suspects.lock();
        if state.suspects.is_empty() {
            return;
        }
        let worked_alone = success && self.commands.len() == 1;
        for command in &self.commands {
            let suspect = state.suspects.get(command);
            let may_be_cleared =
                |suspect: &Suspect| suspect.refused.is_none() && (worked_alone || !suspect.lasts);
            if suspect.is_some_and(may_be_cleared) {
                state.suspects.remove(command);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::{ErrorCode, RawJson};

    use super::*;
    use crate::command::AllowedCommands;

    fn command(collection: &str) -> ParsedCommand {
        let raw = RawJson::object(&format!(r#"{{"find":"{collection}"}}"#)).unwrap();
        ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap()
    }

    #[test]
    fn an_abandoned_command_is_refused_for_a_while() {
        let (suspects, now, bad) = (Suspects::default(), Instant::now(), command("bad"));
        suspects.abandoned(&[&bad], now);
        let refusal = suspects.check(&bad, now).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::CommandNotAllowed);
        assert_eq!(suspects.check(&command("good"), now), Ok(false));
        assert_eq!(suspects.check(&bad, now + REFUSED_FOR), Ok(false));
    }

    #[test]
    fn of_several_that_were_abandoned_together_none_is_refused() {
        let (suspects, now) = (Arc::new(Suspects::default()), Instant::now());
        let (one, other) = (command("one"), command("other"));
        suspects.abandoned(&[&one, &other], now);
        assert_eq!(suspects.check(&one, now), Ok(true));
        suspects.abandoned(&[&one], now);
        assert!(suspects.check(&one, now).is_err());
        assert_eq!(suspects.check(&other, now), Ok(true));

        // A success with others says nothing, an error alone neither.
        suspects.run([&one, &other].into_iter()).answered(true);
        suspects.run([&other].into_iter()).answered(false);
        assert_eq!(suspects.check(&other, now), Ok(true));
        suspects.run([&other].into_iter()).answered(true);
        assert_eq!(suspects.check(&other, now), Ok(false), "it works alone");
        suspects.run([&one].into_iter()).answered(true);
        assert!(suspects.check(&one, now).is_err(), "it stays refused");
    }

    #[test]
    fn the_command_that_runs_when_a_second_primary_is_lost_is_refused() {
        let (suspects, now) = (Arc::new(Suspects::default()), Instant::now());
        let (bad, good, late) = (command("bad"), command("good"), command("late"));
        suspects.run([&late].into_iter()).answered(true);
        suspects.run([&bad, &good].into_iter()).broke(now);
        suspects.primary_lost(now);
        assert_eq!(suspects.check(&late, now), Ok(false), "it had ended before");
        assert_eq!(suspects.check(&bad, now), Ok(true));
        assert_eq!(suspects.check(&good, now), Ok(true));
        assert!(!suspects.may_have_caused_a_loss(now));

        // The good one is executed alone, and ends.
        suspects.run([&good].into_iter()).answered(true);
        assert_eq!(suspects.check(&good, now), Ok(false));
        suspects.run([&bad, &good].into_iter()).broke(now);
        suspects.primary_lost(now);
        assert!(suspects.check(&bad, now).is_err());
        assert_eq!(suspects.check(&good, now), Ok(true));
        assert!(suspects.may_have_caused_a_loss(now));
        assert!(!suspects.may_have_caused_a_loss(now + NO_ASSIST));
    }

    #[test]
    fn a_connection_that_broke_without_a_loss_makes_no_suspect() {
        let (suspects, now, good) = (Arc::new(Suspects::default()), Instant::now(), command("good"));
        suspects.run([&good].into_iter()).broke(now);
        suspects.primary_lost(now + NOTICE);
        suspects.primary_lost(now);
        assert_eq!(suspects.check(&good, now), Ok(false));
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let (suspects, now) = (Suspects::default(), Instant::now());
        for n in 0..=MAX_SUSPECTS {
            let since = now + Duration::from_millis(n as u64);
            suspects.abandoned(&[&command(&format!("c{n}"))], since);
        }
        assert_eq!(suspects.check(&command("c0"), now), Ok(false));
        assert!(suspects.check(&command("c1"), now).is_err());
    }
}
