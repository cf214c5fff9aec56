use std::ffi::OsString;
use std::net::Ipv4Addr;

/// Where a process runs, and what gets it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The address others reach it at.
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
    /// The one at this place of a list. Where there is none: loopback.
    pub(crate) fn at(hosts: &[Self], place: usize) -> Self {
        hosts.get(place).cloned().unwrap_or_default()
    }
}
