//! Runs an [`Elector`] on tokio.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{self, sleep_until};
use tracing::{Instrument, debug, info, info_span, warn};

use crate::{
    Arbiter, Config, ConfigError, Elector, Epoch, Event, Instant, Member, Number, Output, PeerView, Role,
    ServerId, Transport,
};

/// A running election: one server's part in it.
///
/// Cheap to clone; all clones speak for the same server. The election runs in a task of its own until it is
/// left, or until the last clone is dropped, which is like a crash: nothing is handed over.
#[derive(Clone, Debug)]
pub struct Election {
    requests: mpsc::UnboundedSender<Request>,
    view: watch::Receiver<View>,
    role: watch::Receiver<Role>,
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

#[derive(Debug)]
enum Request {
    SetFit(bool),
    StepDown(Epoch),
    Drained(Epoch),
    Resign,
    Leave,
}

impl Election {
    /// Starts an election. Must be called within a tokio runtime.
    ///
    /// `members` are the ids of all servers; `id` itself may be among them. `number` is drawn at random if it
    /// is `None`, as it should be outside of tests.
    ///
    /// # Errors
    /// If `config` cannot work.
    pub fn start(
        config: Config,
        id: ServerId,
        number: Option<Number>,
        members: impl IntoIterator<Item = ServerId>,
        transport: impl Transport,
        arbiter: impl Arbiter,
    ) -> Result<Self, ConfigError> {
        let number = number.unwrap_or_else(|| Number::draw(&mut rand::rng()));
        let span = info_span!("election", server = %id);
        let origin = time::Instant::now();
        // The elector moves between threads with its task, so it cannot hold the thread's own rng.
        let rng = SmallRng::from_rng(&mut rand::rng());
        let elector = Elector::new(config, id, number, members, rng, Instant::default())?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let (role_tx, role) = watch::channel(elector.role());
        let (view_tx, view) = watch::channel(view_of(&elector));
        info!(parent: &span, %number, "joining the election");
        let driver = Driver {
            elector,
            transport,
            arbiter: Arc::new(arbiter),
            claims: JoinSet::new(),
            origin,
            role: role_tx,
            view: view_tx,
        };
        let _task: JoinHandle<()> = tokio::spawn(driver.run(inbox).instrument(span));
        Ok(Self { requests, view, role })
    }

    /// The role now and every later one. A receiver that is slow sees only the newest; the epoch in it tells
    /// whether something was missed. The channel closes when the election has ended.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// The election as this server sees it now.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// The view now and every later one.
    pub fn views(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// See [`Elector::set_fit`].
    pub fn set_fit(&self, fit: bool) {
        self.request(Request::SetFit(fit));
    }

    /// See [`Elector::step_down`].
    pub fn step_down(&self, epoch: Epoch) {
        self.request(Request::StepDown(epoch));
    }

    /// See [`Elector::drained`].
    pub fn drained(&self, epoch: Epoch) {
        self.request(Request::Drained(epoch));
    }

    /// See [`Elector::resign`].
    pub fn resign(&self) {
        self.request(Request::Resign);
    }

    /// Leaves the election for good and waits until that is done; a coordinator drains and hands over first,
    /// so somebody must answer [`Role::Draining`] meanwhile. Dropping the future does not take the request
    /// back. Afterwards the transport needs a moment to send what was handed to it.
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

struct Driver<T, A> {
    elector: Elector<SmallRng>,
    transport: T,
    arbiter: Arc<A>,
    claims: JoinSet<Option<Epoch>>,
    origin: time::Instant,
    role: watch::Sender<Role>,
    view: watch::Sender<View>,
}

impl<T: Transport, A: Arbiter> Driver<T, A> {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        loop {
            self.carry_out();
            if self.elector.role() == Role::Left {
                return;
            }
            let deadline = self
                .elector
                .poll_timeout()
                .map(|at| self.origin + at.elapsed_since_origin());
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                event = self.transport.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => {
                        warn!("the transport has ended, and the election with it");
                        return;
                    }
                },
                Some(claim) = self.claims.join_next() => {
                    let now = self.now();
                    self.elector.handle_claim(now, claim.unwrap_or(None));
                }
                () = sleep_until(deadline.unwrap_or(self.origin)), if deadline.is_some() => {
                    let now = self.now();
                    self.elector.handle_timeout(now);
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::since_origin(self.origin.elapsed())
    }

    fn on_request(&mut self, request: Request) {
        let now = self.now();
        match request {
            Request::SetFit(fit) => self.elector.set_fit(now, fit),
            Request::StepDown(epoch) => self.elector.step_down(now, epoch),
            Request::Drained(epoch) => self.elector.drained(now, epoch),
            Request::Resign => self.elector.resign(now),
            Request::Leave => self.elector.leave(now),
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Message { from, message } => self.elector.handle_message(now, &from, message),
            Event::Link { peer, link } => {
                debug!(%peer, ?link, "link");
                self.elector.handle_link(now, &peer, link);
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.elector.poll_output() {
            match output {
                Output::Send { to, message } => self.transport.send(&to, message),
                Output::Claim(claim) => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let granted = async move {
                        match arbiter.claim(claim).await {
                            Ok(epoch) => Some(epoch),
                            Err(error) => {
                                warn!(%error, "no epoch granted");
                                None
                            }
                        }
                    };
                    self.claims.spawn(granted.in_current_span());
                }
                Output::Role(role) => {
                    announce(&role);
                    self.role.send_if_modified(|current| {
                        let changed = *current != role;
                        *current = role;
                        changed
                    });
                }
            }
        }
        let view = view_of(&self.elector);
        self.view.send_if_modified(|current| {
            let changed = *current != view;
            *current = view;
            changed
        });
    }
}

fn announce(role: &Role) {
    match role {
        Role::Electing => info!("no coordinator known"),
        Role::Follower { coordinator } => {
            info!(coordinator = %coordinator.rank.id, epoch = %coordinator.epoch, "following");
        }
        Role::Coordinator { epoch } => info!(%epoch, "coordinator"),
        Role::Draining { epoch, successor } => {
            let successor = successor.as_ref().map_or("nobody", ServerId::as_str);
            info!(%epoch, successor, "handing over");
        }
        Role::Left => info!("left the election"),
    }
}

fn view_of<R: rand::RngCore>(elector: &Elector<R>) -> View {
    View {
        member: elector.member().clone(),
        role: elector.role(),
        epoch: elector.seen_epoch(),
        peers: elector.peers().collect(),
    }
}
