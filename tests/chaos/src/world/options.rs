use std::ffi::OsString;
use std::path::PathBuf;

/// Options of a [`World`](super::World).
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Number of servers; 3 by default.
    pub servers: usize,
    /// Number of hosts for clients; 2 by default.
    pub client_hosts: usize,
    /// The directory for the logs of all processes. It is made if it is not there.
    pub logs: PathBuf,
    /// Seed of the network's random choices.
    pub seed: u64,
    /// Further arguments for every server.
    pub server_args: Vec<OsString>,
    /// Further environment variables for every server.
    pub server_environment: Vec<(OsString, OsString)>,
    /// `true` if everything is on this machine's loopback, without a network that could fail.
    pub loopback: bool,
}

impl WorldOptions {
    /// Returns options for three servers and two hosts for clients, in a network of their own.
    pub fn new(logs: impl Into<PathBuf>, seed: u64) -> Self {
        Self {
            servers: 3,
            client_hosts: 2,
            logs: logs.into(),
            seed,
            server_args: Vec::new(),
            server_environment: Vec::new(),
            loopback: false,
        }
    }
}
