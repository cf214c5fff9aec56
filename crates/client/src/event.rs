use core::time::Duration;

use bellwether_protocol::HelloOk;

use crate::{CommandId, ServerUrl, Try};

/// What happens while a command is passed along the list, for whoever watches.
///
/// `server` is always the position on the list, counted from 0, in whatever order the servers are
/// tried.
///
/// Tries at several servers may be under way at once, one at each, so events of several servers
/// interleave. Each goes through `Trying`, `Connected`, `Greeted`, `Sent` and `Ended`, of which all
/// but the first and the last may be missing. Between a `Sent` and its `Ended` no other server is
/// sent the command, but others may be greeted if the one that has it is silent. A try that is slow
/// to connect may go on while the next pass begins.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A pass over the list begins.
    Pass {
        /// Which one, counted from 1.
        pass: u32,
    },
    /// A connection to a server is being opened.
    Trying {
        /// Which server.
        server: usize,
        /// Its address.
        url: &'a ServerUrl,
    },
    /// The connection is open.
    Connected {
        /// Which server.
        server: usize,
    },
    /// The server has introduced itself.
    Greeted {
        /// Which server.
        server: usize,
        /// What it said.
        hello: &'a HelloOk,
    },
    /// The command is being sent. From now on its outcome is unknown until the server answers.
    Sent {
        /// Which server.
        server: usize,
        /// The command's id: keep it to ask again.
        id: CommandId,
    },
    /// The try is over.
    Ended {
        /// Which server.
        server: usize,
        /// How it went.
        tried: &'a Try,
    },
    /// The pass is over without a decision, and the next one begins after a pause.
    Pausing {
        /// How long.
        pause: Duration,
    },
}
