use std::sync::{Arc, Mutex, PoisonError};

use bellwether_election::Message;
use tokio::sync::{Notify, mpsc};

/// The connection that a peer has opened to this server. The task that dials this peer uses it
/// until its own connection is open.
#[derive(Clone, Default)]
pub(super) struct InboundLink(Arc<State>);

#[derive(Default)]
struct State {
    /// The queue of the newest connection, which may have ended.
    outbox: Mutex<Option<mpsc::Sender<Message>>>,
    /// Notified when the peer dials. The peer runs then, so this server need not wait before it
    /// dials back.
    doorbell: Notify,
    changed: Notify,
}

impl InboundLink {
    /// Attaches a new connection of the peer, which takes messages from this queue.
    pub(super) fn attach(&self, outbox: mpsc::Sender<Message>) {
        *self.lock() = Some(outbox);
        self.0.doorbell.notify_one();
        self.0.changed.notify_one();
    }

    /// Waits until the peer has dialled since the last completed call. Dropping the future loses
    /// nothing.
    pub(super) async fn dialled_in(&self) {
        self.0.doorbell.notified().await;
    }

    pub(super) fn is_there(&self) -> bool {
        self.lock().as_ref().is_some_and(|outbox| !outbox.is_closed())
    }

    /// Waits until a connection was attached, or the attached one has ended.
    pub(super) async fn begins_or_ends(&self) {
        let outbox = self.lock().clone().filter(|outbox| !outbox.is_closed());
        let ended = async {
            match &outbox {
                Some(outbox) => outbox.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended => {}
            () = self.0.changed.notified() => {}
        }
    }

    /// Sends a message on the attached connection. Drops the message if there is no connection.
    pub(super) fn send(&self, message: Message) {
        if let Some(outbox) = &*self.lock() {
            // The queue is full because the peer does not read. The peer learns the newest state
            // later.
            let _ = outbox.try_send(message);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Message>>> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
