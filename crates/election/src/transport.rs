use core::future::Future;

use crate::{Link, Message, ServerId};

/// How servers reach each other.
///
/// Messages may be lost, delayed, doubled or reordered; the election stays correct and only takes longer. They must
/// not be changed, nor be attributed to anybody but their sender. A message that cannot be sent soon is better
/// dropped than kept: by the time it arrives it is out of date, and a newer one has been sent.
///
/// [`conformance::check`](crate::conformance::check) tries out whether a transport does all this. The examples `udp`
/// and `tcp` in the repository are transports to begin from.
pub trait Transport: Send + 'static {
    /// Sends a message, or drops it. Must not block: a transport with a full queue drops.
    fn send(&mut self, to: &ServerId, message: Message);

    /// Waits for the next thing to happen. `None` means that the transport has ended, and with it the
    /// election.
    ///
    /// Must be cancel safe: the future is dropped and made again whenever something else happens first, and no
    /// event may be lost by that.
    fn recv(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// What a transport reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message has arrived.
    Message {
        /// Who sent it. The transport vouches for this, as far as it vouches for anything.
        from: ServerId,
        /// The message.
        message: Message,
    },
    /// The link to a peer has changed. A transport without connections never reports this.
    ///
    /// Whoever reports that a link is lost must report when it is up again: until then the election takes the
    /// peer for gone.
    Link {
        /// The peer.
        peer: ServerId,
        /// What is known of the link now.
        link: Link,
    },
}
