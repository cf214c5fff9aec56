use core::future::Future;

use crate::{Link, Message, ServerId};

/// The way in which servers send messages to each other.
///
/// A transport may lose, delay, repeat or reorder messages: the election stays correct and only
/// takes longer. It must not change a message, nor attribute a message to a server other than its
/// sender. It should drop a message that it cannot send soon. By the time of its arrival the
/// message would be out of date, and a newer message follows.
///
/// [`conformance::check`](crate::conformance::check) checks these properties of a transport. The
/// examples `udp` and `tcp` in the repository are good transports to start from.
pub trait Transport: Send + 'static {
    /// Sends a message, or drops it. Must not block: a transport with a full queue drops the
    /// message.
    fn send(&mut self, to: &ServerId, message: Message);

    /// Waits for the next event. Returns `None` when the transport has ended, which ends the
    /// election.
    ///
    /// Must be cancel safe: the election drops the future and calls this again whenever something
    /// else happens first. No event may be lost by that.
    fn recv(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// An event that a transport reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message has arrived.
    Message {
        /// Sender of the message. The transport identifies the sender as well as it can.
        from: ServerId,
        /// The message.
        message: Message,
    },
    /// The link to a peer has changed. A transport without connections never reports this.
    ///
    /// A transport that reports a lost link must also report that the link is up again. Until then
    /// the election assumes that the peer has failed.
    Link {
        /// The peer.
        peer: ServerId,
        /// State of the link.
        link: Link,
    },
}
