//! Leadership as a value that the program holds.

use alloc::sync::{Arc, Weak};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::clock::Clock;
use super::run::Request;
use super::{Election, FastView};
use crate::{Epoch, Role};

/// Waits for this server to become coordinator, again and again. See [`Election::leadership`].
#[derive(Clone, Debug)]
pub struct Leadership {
    role: watch::Receiver<Role>,
    fast_view: watch::Receiver<FastView>,
    terms: Arc<Terms>,
    clock: Clock,
    /// Epoch of the last term that this receiver returned.
    last: Option<Epoch>,
}

impl Leadership {
    pub(super) fn new(election: &Election) -> Self {
        election.terms.lock().in_use = true;
        Self {
            role: election.role.clone(),
            fast_view: election.fast_view.clone(),
            terms: Arc::clone(&election.terms),
            clock: election.clock.clone(),
            last: None,
        }
    }

    /// Returns the next term, at once if one has begun that this receiver has not returned yet.
    /// `None` once the election has ended.
    ///
    /// Before it returns a second term, the first has always been lost. The program may still hold
    /// the first. Cancel safe.
    pub async fn next_term(&mut self) -> Option<Term> {
        loop {
            let role = self.role.borrow_and_update().clone();
            if let Role::Coordinator { epoch } = role
                && self.last != Some(epoch)
            {
                self.last = Some(epoch);
                return Some(Term {
                    work: self.terms.begin(epoch),
                    role: self.role.clone(),
                    fast_view: self.fast_view.clone(),
                    clock: self.clock.clone(),
                });
            }
            self.role.changed().await.ok()?;
        }
    }
}

/// A term of this server as coordinator.
///
/// Hold it while work is done under its epoch. When the program drops the last copy, the work
/// counts as finished. A handover waits for that.
#[derive(Clone, Debug)]
pub struct Term {
    work: Arc<Work>,
    role: watch::Receiver<Role>,
    fast_view: watch::Receiver<FastView>,
    clock: Clock,
}

impl Term {
    /// Returns the epoch, the fencing token of all work in this term.
    pub fn epoch(&self) -> Epoch {
        self.work.epoch
    }

    /// Returns `true` if this server is still coordinator under this epoch, as far as it knows, and
    /// its lease has not expired. Returns `false` if the process or the machine was stopped for
    /// longer than [`Config::timeout`](crate::Config::timeout): the server then steps down in a
    /// moment.
    ///
    /// Call this before every piece of work. The answer can be out of date a moment later. Only a
    /// check of the epoch in the data store cannot.
    pub fn is_valid(&self) -> bool {
        let FastView {
            valid_until,
            trusted_until,
            ..
        } = *self.fast_view.borrow();
        let now = self.clock.now();
        let in_time = now <= trusted_until && valid_until.is_none_or(|until| now < until);
        // A closed channel keeps the last role forever.
        let goes_on = self.role.has_changed().is_ok();
        goes_on && in_time && self.role.borrow().own_epoch() == Some(self.epoch())
    }

    /// Returns the moment at which the lease expires unless another server renews it. See
    /// [`Elector::valid_until`](crate::Elector::valid_until).
    ///
    /// The moment is on tokio's clock, which may stop while the machine is suspended. Every
    /// suspension brings it nearer. So call this again for every piece of work, or call
    /// [`is_valid`](Self::is_valid).
    pub fn valid_until(&self) -> Option<Instant> {
        let valid_until = self.fast_view.borrow().valid_until;
        valid_until.map(|at| self.clock.on_tokio(at))
    }

    /// Waits until no new work may begin, because the server hands over, has lost the leadership,
    /// or the election has ended. Then finish the current work and drop this value. Cancel safe.
    pub async fn ending(&self) {
        let coordinator = Role::Coordinator { epoch: self.epoch() };
        let mut role = self.role.clone();
        // An error means that the election has ended.
        let _ = role.wait_for(|role| *role != coordinator).await;
    }

    /// Waits until the leadership is lost, also when no server follows. A handover gets there only
    /// when all copies are dropped, or after
    /// [`Config::drain_timeout`](crate::Config::drain_timeout). Cancel safe.
    pub async fn lost(&self) {
        let mut role = self.role.clone();
        let _ = role.wait_for(|role| role.own_epoch() != Some(self.epoch())).await;
    }
}

/// Sends a notice when the last copy of a term is dropped.
#[derive(Debug)]
struct Work {
    epoch: Epoch,
    requests: mpsc::WeakUnboundedSender<Request>,
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.upgrade() {
            // An error means that the election has ended.
            let _ = requests.send(Request::Drained(self.epoch));
        }
    }
}

/// The terms that the program holds at the moment.
#[derive(Debug)]
pub(super) struct Terms {
    requests: mpsc::WeakUnboundedSender<Request>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// `true` once the program has called for terms. Without a held term, no work is then in
    /// progress.
    in_use: bool,
    work: Weak<Work>,
}

impl Terms {
    pub(super) fn new(requests: mpsc::WeakUnboundedSender<Request>) -> Self {
        Self {
            requests,
            held: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All receivers share one piece of work for an epoch.
    fn begin(&self, epoch: Epoch) -> Arc<Work> {
        let mut held = self.lock();
        if let Some(work) = held.work.upgrade().filter(|work| work.epoch == epoch) {
            return work;
        }
        let work = Arc::new(Work {
            epoch,
            requests: self.requests.clone(),
        });
        held.work = Arc::downgrade(&work);
        work
    }

    /// Returns `true` if a handover can begin without waiting.
    pub(super) fn is_idle(&self, epoch: Epoch) -> bool {
        let held = self.lock();
        held.in_use && held.work.upgrade().is_none_or(|work| work.epoch != epoch)
    }
}
