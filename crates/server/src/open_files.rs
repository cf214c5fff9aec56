//! The limit on open files: every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Files besides the clients' connections: to MongoDB, to the peers, the listeners, the page.
const OTHERS: usize = 256;

/// Raises the limit as far as the process may, and warns if that is too little for so many connections.
pub(crate) fn allow(connections: usize) {
    let needed = u64::try_from(connections + OTHERS).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match limit {
        Ok(limit) if limit < needed => warn!(
            limit,
            needed,
            connections,
            "the limit on open files is too low for all connections that are allowed: raise it (ulimit -n), or \
             allow fewer with --connections"
        ),
        Ok(limit) => debug!(limit, "open files"),
        Err(error) => warn!(%error, "cannot raise the limit on open files"),
    }
}
