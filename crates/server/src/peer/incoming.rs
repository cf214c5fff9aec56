use std::sync::{Arc, Mutex, PoisonError};

use bellwether_election::Message;
use tokio::sync::{Notify, mpsc};

/// The connection that one peer has dialled to this server, as the task sees it that dials that peer.
#[derive(Clone, Default)]
pub(super) struct Incoming(Arc<State>);

#[derive(Default)]
struct State {
    /// The newest one's, which may have ended.
    outbox: Mutex<Option<mpsc::Sender<Message>>>,
    /// Rung when the peer dials: then it is there, and to wait any longer before it is dialled would be idle.
    doorbell: Notify,
    changed: Notify,
}

impl Incoming {
    /// The peer has dialled, and takes messages from this queue.
    pub(super) fn is(&self, outbox: mpsc::Sender<Message>) {
        *self.lock() = Some(outbox);
        self.0.doorbell.notify_one();
        self.0.changed.notify_one();
    }

    /// Returns when the peer has dialled since this was last awaited to its end.
    pub(super) async fn calls(&self) {
        self.0.doorbell.notified().await;
    }

    pub(super) fn is_there(&self) -> bool {
        self.lock().as_ref().is_some_and(|outbox| !outbox.is_closed())
    }

    /// Returns when there is a connection that was not there, or the one that was has ended.
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

    /// Says it on that connection; to nobody, if there is none.
    pub(super) fn say(&self, message: Message) {
        if let Some(outbox) = &*self.lock() {
            // A peer that does not read hears of the newest state later.
            let _ = outbox.try_send(message);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Message>>> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
