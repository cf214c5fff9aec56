use core::time::Duration;

use bellwether_protocol::HelloOk;

use crate::{Attempt, CommandId, ServerUrl};

/// An event of a dispatch, for the caller.
///
/// `server` is always the position on the list, counted from 0, in whatever order the servers are
/// tried.
///
/// Several attempts may be in progress at once, at most one at each server, so events of several
/// servers interleave. Each attempt goes through `Trying`, `Connected`, `Greeted`, `Sent` and
/// `Ended`, of which all but the first and the last may be missing. Between a `Sent` and its
/// `Ended`, the client sends the command to no other server. The client may greet others if the
/// server with the command is silent. An attempt that connects slowly may continue while the next
/// pass begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A pass over the list begins.
    Pass {
        /// The number of the pass, counted from 1.
        pass: u32,
    },
    /// A connection to a server is being opened.
    Trying {
        /// The position of the server.
        server: usize,
        /// Its address.
        url: &'a ServerUrl,
    },
    /// The connection is open.
    Connected {
        /// The position of the server.
        server: usize,
    },
    /// The server has introduced itself.
    Greeted {
        /// The position of the server.
        server: usize,
        /// The hello of the server.
        hello: &'a HelloOk,
    },
    /// The command is being sent. From now on its outcome is unknown until the server answers.
    Sent {
        /// The position of the server.
        server: usize,
        /// The command's id: keep it to ask again.
        id: CommandId,
    },
    /// The attempt is over.
    Ended {
        /// The position of the server.
        server: usize,
        /// The attempt with its end.
        tried: &'a Attempt,
    },
    /// The pass is over without a decision, and the next one begins after a pause.
    Pausing {
        /// The length of the pause.
        pause: Duration,
    },
}
