//! Runs an [`Elector`] on tokio.

mod clock;
mod leadership;
mod run;
#[cfg(test)]
mod suspension;

use alloc::sync::Arc;
use alloc::vec::Vec;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{Instrument, info, info_span};

use self::clock::{Clock, Suspensions};
use self::leadership::Tenures;
use self::run::{Driver, Pace, Request, Told, view_of};
use crate::{
    Arbiter, Config, ConfigError, Counters, Elector, Epoch, Instant, Member, PeerView, ResignError, Role,
    ServerId, Transport,
};

pub use self::leadership::{Leadership, Tenure};

/// A running election: one server's part in it.
///
/// Cheap to clone; all clones speak for the same server. The election runs in a task of its own until it is
/// left, or until the last clone is dropped, which is like a crash: nothing is handed over.
///
/// # Suspended machines
///
/// Time that passes while the machine is suspended counts on Linux and Android, where the boot-time clock is read, and
/// on Windows, where the monotonic clock goes on by itself. A coordinator that wakes finds its lease run out before it
/// says anything, and its [`Tenure`] is not valid from the first moment. On other systems, macOS among them, and where
/// a virtual machine is paused from outside, no clock of the machine tells. There such a coordinator may take its tenure
/// for valid for as long as it had left when it was suspended, up to [`Config::timeout`]: then only a check of the
/// epoch where the work takes effect protects.
#[derive(Clone, Debug)]
pub struct Election {
    requests: mpsc::UnboundedSender<Request>,
    view: watch::Receiver<View>,
    role: watch::Receiver<Role>,
    vitals: watch::Receiver<Vitals>,
    tenures: Arc<Tenures>,
    clock: Clock,
}

/// The election as this server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This server.
    pub member: Member,
    /// Its role.
    pub role: Role,
    /// The largest epoch it knows any coordinator to have had.
    pub epoch: Epoch,
    /// The other servers, in order of their ids.
    pub peers: Vec<PeerView>,
}

/// What changes with nearly every message, so that nobody should be woken for it.
#[derive(Clone, Copy, Debug)]
struct Vitals {
    valid_until: Option<Instant>,
    /// An elector that was called no more by then was stopped for so long that it gives up its office when it is.
    trusted_until: Instant,
    counters: Counters,
}

impl Election {
    /// Starts an election. Must be called within a tokio runtime.
    ///
    /// `me` is this server, with a number drawn for this start: [`Number::random`](crate::Number::random).
    /// `peers` are the ids of all servers; its own may be among them.
    ///
    /// # Errors
    /// If `config` cannot work.
    pub fn start(
        config: Config,
        me: Member,
        peers: impl IntoIterator<Item = ServerId>,
        transport: impl Transport,
        arbiter: impl Arbiter,
    ) -> Result<Self, ConfigError> {
        let clock = Clock::start(Suspensions::OfThisMachine);
        Self::start_on(clock, config, me, peers, transport, arbiter)
    }

    fn start_on(
        clock: Clock,
        config: Config,
        me: Member,
        peers: impl IntoIterator<Item = ServerId>,
        transport: impl Transport,
        arbiter: impl Arbiter,
    ) -> Result<Self, ConfigError> {
        let span = info_span!("election", server = %me.rank.id);
        let number = me.rank.number;
        let (heartbeat, timeout) = (config.heartbeat, config.timeout);
        // The elector moves between threads with its task, so it cannot hold the thread's own rng.
        let rng = SmallRng::from_rng(&mut rand::rng());
        let elector = Elector::new(config, me, peers, rng, Instant::default())?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (role_tx, role) = watch::channel(elector.role());
        let (view_tx, view) = watch::channel(view_of(&elector));
        let (vitals_tx, vitals) = watch::channel(Vitals {
            valid_until: None,
            trusted_until: Instant::default() + timeout,
            counters: elector.counters(),
        });
        let tenures = Arc::new(Tenures::new(requests.downgrade()));
        info!(parent: &span, %number, "joining the election");
        let told = Told {
            role: role_tx,
            view: view_tx,
            vitals: vitals_tx,
        };
        let pace = Pace { heartbeat, timeout };
        let driver = Driver::new(
            elector,
            transport,
            arbiter,
            clock.clone(),
            pace,
            told,
            Arc::clone(&tenures),
        );
        let _task: JoinHandle<()> = tokio::spawn(driver.run(inbox).instrument(span));
        Ok(Self {
            requests,
            view,
            role,
            vitals,
            tenures,
            clock,
        })
    }

    /// The role now and every later one. A receiver that is slow sees only the newest; the epoch in it tells
    /// whether something was missed. The channel closes when the election has ended.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// This server's tenures as coordinator, one after another. Any number of these may be in use; each misses
    /// no more than a tenure that began and ended while nobody waited.
    pub fn leadership(&self) -> Leadership {
        Leadership::new(self)
    }

    /// The election as this server sees it now.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// The view now and every later one.
    pub fn views(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// What has happened so far, in numbers, for whatever metrics library is in use.
    pub fn counters(&self) -> Counters {
        self.vitals.borrow().counters
    }

    /// See [`Elector::valid_until`]. On tokio's clock, as [`Tenure::valid_until`] is.
    pub fn valid_until(&self) -> Option<time::Instant> {
        let valid_until = self.vitals.borrow().valid_until;
        valid_until.map(|at| self.clock.on_tokio(at))
    }

    /// See [`Elector::set_fit`].
    pub fn set_fit(&self, fit: bool) {
        self.request(Request::SetFit(fit));
    }

    /// See [`Elector::add_peer`]. Tell the transport before.
    pub fn add_peer(&self, id: ServerId) {
        self.request(Request::AddPeer(id));
    }

    /// See [`Elector::remove_peer`]. Tell the transport afterwards.
    pub fn remove_peer(&self, id: ServerId) {
        self.request(Request::RemovePeer(id));
    }

    /// See [`Elector::step_down`].
    pub fn step_down(&self, epoch: Epoch) {
        self.request(Request::StepDown(epoch));
    }

    /// See [`Elector::drained`]. Not needed where [`leadership`](Self::leadership) is used: there the end of the
    /// work is when the last [`Tenure`] is dropped.
    pub fn drained(&self, epoch: Epoch) {
        self.request(Request::Drained(epoch));
    }

    /// Hands the coordinator's office over but stays in the election; see [`Elector::resign`]. Completes when
    /// another server is coordinator. Dropping the future does not take the request back, and calling it again
    /// meanwhile is the same request.
    ///
    /// # Errors
    /// If this server is not coordinator or nobody could take over, and nothing has happened; or if the
    /// successor failed and this server is coordinator again. Every one of them can be retried.
    pub async fn resign(&self) -> Result<(), ResignError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Resign(reply));
        // An error means that the election has ended, and with it the office.
        let resigned = answer.await.unwrap_or(Err(ResignError::NotCoordinator))?;
        let mut role = self.role.clone();
        let settled = role
            .wait_for(|role| *role != Role::Electing && role.office() != Some(resigned))
            .await;
        match settled.as_deref() {
            Ok(Role::Coordinator { .. }) => Err(ResignError::SuccessorFailed),
            _ => Ok(()),
        }
    }

    /// Leaves the election for good and waits until that is done; a coordinator drains and hands over first,
    /// so somebody must answer [`Role::Draining`] meanwhile, or hold a [`Tenure`] no longer than needed.
    /// Dropping the future does not take the request back. Afterwards the transport needs a moment to send
    /// what was handed to it.
    pub async fn leave(&self) {
        self.request(Request::Leave);
        let mut role = self.role.clone();
        // An error means that the election has ended already.
        let _ = role.wait_for(|role| *role == Role::Left).await;
    }

    fn request(&self, request: Request) {
        // An error means that the election has ended, and then there is nothing left to ask of it.
        let _ = self.requests.send(request);
    }
}
