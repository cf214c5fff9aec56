//! Being coordinator as a value that is held.

use alloc::sync::{Arc, Weak};
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::clock::Clock;
use super::run::Request;
use super::{Election, Vitals};
use crate::{Epoch, Role};

/// Waits for this server to become coordinator, again and again. See [`Election::leadership`].
#[derive(Clone, Debug)]
pub struct Leadership {
    role: watch::Receiver<Role>,
    vitals: watch::Receiver<Vitals>,
    tenures: Arc<Tenures>,
    clock: Clock,
    /// The last one given out.
    last: Option<Epoch>,
}

impl Leadership {
    pub(super) fn new(election: &Election) -> Self {
        election.tenures.lock().in_use = true;
        Self {
            role: election.role.clone(),
            vitals: election.vitals.clone(),
            tenures: Arc::clone(&election.tenures),
            clock: election.clock.clone(),
            last: None,
        }
    }

    /// The next tenure, at once if one has begun that this receiver has not given out yet. `None` once the
    /// election has ended.
    ///
    /// Between two tenures that it gives out, the first has always been lost, though it may not have been
    /// dropped yet. Cancel safe.
    pub async fn gained(&mut self) -> Option<Tenure> {
        loop {
            let role = self.role.borrow_and_update().clone();
            if let Role::Coordinator { epoch } = role
                && self.last != Some(epoch)
            {
                self.last = Some(epoch);
                return Some(Tenure {
                    work: self.tenures.begin(epoch),
                    role: self.role.clone(),
                    vitals: self.vitals.clone(),
                    clock: self.clock.clone(),
                });
            }
            self.role.changed().await.ok()?;
        }
    }
}

/// This server is coordinator, or was when this began.
///
/// Hold it for as long as work is done under its epoch. When the last copy of it is dropped the work counts as
/// finished, which is what a hand-over waits for.
#[derive(Clone, Debug)]
pub struct Tenure {
    work: Arc<Work>,
    role: watch::Receiver<Role>,
    vitals: watch::Receiver<Vitals>,
    clock: Clock,
}

impl Tenure {
    /// The fencing token of everything that is done in this tenure.
    pub fn epoch(&self) -> Epoch {
        self.work.epoch
    }

    /// Returns `true` if this server is still coordinator under this epoch, as far as it knows, and has been agreed to
    /// recently enough. It is not if the process or the machine was stopped for longer than
    /// [`Config::timeout`](crate::Config::timeout): then it steps down in a moment. Ask before every piece of work. It can
    /// be overtaken a moment later; only a check of the epoch where the work takes effect cannot.
    pub fn is_valid(&self) -> bool {
        let Vitals {
            valid_until,
            trusted_until,
            ..
        } = *self.vitals.borrow();
        let now = self.clock.now();
        let in_time = now <= trusted_until && valid_until.is_none_or(|until| now < until);
        // A channel that is closed holds the last role for ever.
        let goes_on = self.role.has_changed().is_ok();
        goes_on && in_time && self.role.borrow().office() == Some(self.epoch())
    }

    /// Until when it stays valid without hearing from anybody. See
    /// [`Elector::valid_until`](crate::Elector::valid_until).
    ///
    /// It is a moment on tokio's clock, which may stand still while the machine is suspended. So it comes nearer by
    /// every suspension: ask anew for every piece of work, or ask [`is_valid`](Self::is_valid).
    pub fn valid_until(&self) -> Option<Instant> {
        let valid_until = self.vitals.borrow().valid_until;
        valid_until.map(|at| self.clock.on_tokio(at))
    }

    /// Waits until no new work may be begun: the office is being handed over, or is lost, or the election has
    /// ended. Then finish what is begun and drop this. Cancel safe.
    pub async fn ending(&self) {
        let coordinator = Role::Coordinator { epoch: self.epoch() };
        let mut role = self.role.clone();
        // An error means that the election has ended.
        let _ = role.wait_for(|role| *role != coordinator).await;
    }

    /// Waits until the office is lost, also when nobody follows. A hand-over gets there only when all copies
    /// are dropped, or after [`Config::drain_timeout`](crate::Config::drain_timeout). Cancel safe.
    pub async fn lost(&self) {
        let mut role = self.role.clone();
        let _ = role.wait_for(|role| role.office() != Some(self.epoch())).await;
    }
}

/// Dropped when the last copy of a tenure is.
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

/// The tenures that are held at the moment.
#[derive(Debug)]
pub(super) struct Tenures {
    requests: mpsc::WeakUnboundedSender<Request>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Somebody asked for tenures, so that nobody holding one means that nothing is being done.
    in_use: bool,
    work: Weak<Work>,
}

impl Tenures {
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

    /// Whether a hand-over need not wait for anybody.
    pub(super) fn nobody_works(&self, epoch: Epoch) -> bool {
        let held = self.lock();
        held.in_use && held.work.upgrade().is_none_or(|work| work.epoch != epoch)
    }
}
