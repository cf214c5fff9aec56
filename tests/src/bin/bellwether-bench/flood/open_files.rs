use std::collections::HashSet;
use std::fmt;
use std::fs;

use anyhow::{Context, Result};

/// The files that a server has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct OpenFiles {
    /// Connections of clients.
    pub(crate) clients: usize,
    /// Connections to MongoDB, of which the driver keeps those it has opened.
    pub(crate) mongodb: usize,
    /// All else.
    pub(crate) others: usize,
}

impl OpenFiles {
    /// Counts the open files of this process. `port` is its port for clients, and `mongodb` are the
    /// ports of MongoDB's members.
    pub(crate) fn of(pid: u32, port: u16, mongodb: &[u16]) -> Result<Self> {
        let path = format!("/proc/{pid}/net/tcp");
        let table = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let (mut of_clients, mut of_mongodb) = (HashSet::new(), HashSet::new());
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let &[_, local, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
                continue;
            };
            const LISTENS: &str = "0A";
            if port_of(local) == Some(port) && state != LISTENS {
                of_clients.insert(format!("socket:[{inode}]"));
            } else if port_of(remote).is_some_and(|port| mongodb.contains(&port)) {
                of_mongodb.insert(format!("socket:[{inode}]"));
            }
        }
        let mut files = Self {
            clients: 0,
            mongodb: 0,
            others: 0,
        };
        let directory = format!("/proc/{pid}/fd");
        for file in fs::read_dir(&directory).with_context(|| format!("reading {directory}"))? {
            // One that was closed meanwhile is none.
            let Ok(link) = fs::read_link(file?.path()) else {
                continue;
            };
            let link = link.to_string_lossy();
            match &*link {
                socket if of_clients.contains(socket) => files.clients += 1,
                socket if of_mongodb.contains(socket) => files.mongodb += 1,
                _ => files.others += 1,
            }
        }
        Ok(files)
    }
}

/// Returns the port of an address such as `0100007F:1B59`.
fn port_of(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}

impl fmt::Display for OpenFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clients,
            mongodb,
            others,
        } = self;
        write!(f, "{clients} + {mongodb} + {others}")
    }
}
