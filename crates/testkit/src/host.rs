use std::ffi::OsString;
use std::net::Ipv4Addr;

/// The host of a process, and the command that starts a process there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The address at which others reach it.
    pub address: Ipv4Addr,
    /// See [`Recipe::launcher`](crate::Recipe::launcher).
    pub launcher: Vec<OsString>,
}

impl Default for Host {
    /// This machine's loopback, and nothing is needed to get there.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            launcher: Vec::new(),
        }
    }
}

impl Host {
    /// Returns the host at this place of a list; loopback if there is none.
    pub(crate) fn at(hosts: &[Self], place: usize) -> Self {
        hosts.get(place).cloned().unwrap_or_default()
    }
}
