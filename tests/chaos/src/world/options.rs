use std::ffi::OsString;
use std::path::PathBuf;

/// How to start a [`World`](super::World).
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// How many servers; 3 as a rule.
    pub servers: usize,
    /// How many hosts for clients; 2 as a rule.
    pub client_hosts: usize,
    /// The directory for the logs of all processes. It is made if it is not there.
    pub logs: PathBuf,
    /// What the network draws by lot comes from it.
    pub seed: u64,
    /// Further arguments for every server.
    pub server_args: Vec<OsString>,
    /// Further environment variables for every server.
    pub server_environment: Vec<(OsString, OsString)>,
    /// Whether everything is on this machine's loopback, and there is no network that could fail.
    pub loopback: bool,
}

impl WorldOptions {
    /// Three servers and two hosts for clients, in a network of their own.
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
