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
use self::leadership::Terms;
use self::run::{Driver, Publishers, Request, Timing, view_of};
use crate::{
    Arbiter, Config, ConfigError, Counters, Elector, Epoch, Instant, Member, PeerView, ResignError, Role,
    ServerId, Transport,
};

pub use self::leadership::{Leadership, Term};

/// A running election: one server's part in it.
///
/// Cheap to clone; all clones act for the same server. The election runs in a task of its own until
/// the server leaves it, or until the last clone is dropped. The latter is like a crash: the server
/// does not hand over.
///
/// # Suspended machines
///
/// Time during which the machine is suspended counts on Linux and Android, where the election reads
/// the boot-time clock. It also counts on Windows, where the monotonic clock continues. When a
/// coordinator wakes there, its lease has expired before it sends anything, and its [`Term`] is
/// not valid from the first moment.
///
/// Other systems, such as macOS, report no suspension, and neither does a virtual machine that is
/// paused from outside. There a coordinator may believe that its term is valid for the rest of
/// its lease, up to [`Config::timeout`]. Only a check of the epoch in the data store then protects
/// the data.
#[derive(Clone, Debug)]
pub struct Election {
    requests: mpsc::UnboundedSender<Request>,
    view: watch::Receiver<View>,
    role: watch::Receiver<Role>,
    fast_view: watch::Receiver<FastView>,
    terms: Arc<Terms>,
    clock: Clock,
}

/// The election as this server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This server.
    pub member: Member,
    /// Role of this server.
    pub role: Role,
    /// The largest epoch of any coordinator that this server knows.
    pub epoch: Epoch,
    /// The other servers, in order of their ids.
    pub peers: Vec<PeerView>,
}

/// Part of the view that changes with nearly every message. No task should wake for it.
#[derive(Clone, Copy, Debug)]
struct FastView {
    valid_until: Option<Instant>,
    /// An elector without a call until then was stopped for too long. It steps down at its next
    /// call.
    trusted_until: Instant,
    counters: Counters,
}

impl Election {
    /// Starts an election. Must be called within a tokio runtime.
    ///
    /// `me` is this server, with a number drawn for this start:
    /// [`Number::random`](crate::Number::random). `peers` are the ids of all servers, with or
    /// without its own.
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
        // The elector moves between threads with its task, so it cannot use the thread's own random
        // number generator.
        let rng = SmallRng::from_rng(&mut rand::rng());
        let elector = Elector::new(config, me, peers, rng, Instant::default())?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (role_tx, role) = watch::channel(elector.role());
        let (view_tx, view) = watch::channel(view_of(&elector));
        let (fast_view_tx, fast_view) = watch::channel(FastView {
            valid_until: None,
            trusted_until: Instant::default() + timeout,
            counters: elector.counters(),
        });
        let terms = Arc::new(Terms::new(requests.downgrade()));
        info!(parent: &span, %number, "joining the election");
        let publishers = Publishers {
            role: role_tx,
            view: view_tx,
            fast_view: fast_view_tx,
        };
        let timing = Timing { heartbeat, timeout };
        let driver = Driver::new(
            elector,
            transport,
            arbiter,
            clock.clone(),
            timing,
            publishers,
            Arc::clone(&terms),
        );
        let _task: JoinHandle<()> = tokio::spawn(driver.run(inbox).instrument(span));
        Ok(Self {
            requests,
            view,
            role,
            fast_view,
            terms,
            clock,
        })
    }

    /// Returns the role now and every later role. A slow receiver sees only the newest. The epoch
    /// in the role shows if the receiver has missed a role. The channel closes when the election
    /// has ended.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// Returns this server's terms as coordinator, one after another. The program may use several
    /// receivers. A receiver misses a term only if the term began and ended while the receiver
    /// did not wait.
    pub fn leadership(&self) -> Leadership {
        Leadership::new(self)
    }

    /// Returns the election as this server sees it now.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Returns the view now and every later view.
    pub fn views(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Returns counts of events so far, for any metrics library.
    pub fn counters(&self) -> Counters {
        self.fast_view.borrow().counters
    }

    /// See [`Elector::valid_until`]. On tokio's clock, as [`Term::valid_until`] is.
    pub fn valid_until(&self) -> Option<time::Instant> {
        let valid_until = self.fast_view.borrow().valid_until;
        valid_until.map(|at| self.clock.on_tokio(at))
    }

    /// See [`Elector::set_eligible`].
    pub fn set_eligible(&self, eligible: bool) {
        self.request(Request::SetEligible(eligible));
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

    /// See [`Elector::drained`]. Not needed with [`leadership`](Self::leadership): there the work
    /// ends when the last [`Term`] is dropped.
    pub fn drained(&self, epoch: Epoch) {
        self.request(Request::Drained(epoch));
    }

    /// Hands over to another server, but stays in the election; see [`Elector::resign`]. Completes
    /// when another server is coordinator. Dropping the future does not cancel the request. A
    /// second call in the meantime is the same request.
    ///
    /// # Errors
    /// If this server is not coordinator, or no server could take over; then nothing has happened.
    /// Also if the successor failed and this server is coordinator again. The program can retry
    /// after each of these errors.
    pub async fn resign(&self) -> Result<(), ResignError> {
        let (reply, answer) = oneshot::channel();
        self.request(Request::Resign(reply));
        // An error means that the election has ended, and the leadership with it.
        let resigned = answer.await.unwrap_or(Err(ResignError::NotCoordinator))?;
        let mut role = self.role.clone();
        let settled = role
            .wait_for(|role| *role != Role::Electing && role.own_epoch() != Some(resigned))
            .await;
        match settled.as_deref() {
            Ok(Role::Coordinator { .. }) => Err(ResignError::SuccessorFailed),
            _ => Ok(()),
        }
    }

    /// Leaves the election permanently, and waits until that is done. A coordinator drains and
    /// hands over first. So the program must answer [`Role::Draining`] meanwhile, or hold a
    /// [`Term`] no longer than needed. Dropping the future does not cancel the request.
    /// Afterwards the transport needs a moment to send its last messages.
    pub async fn leave(&self) {
        self.request(Request::Leave);
        let mut role = self.role.clone();
        // An error means that the election has ended already.
        let _ = role.wait_for(|role| *role == Role::Left).await;
    }

    fn request(&self, request: Request) {
        // An error means that the election has ended. No state is then left to report.
        let _ = self.requests.send(request);
    }
}
