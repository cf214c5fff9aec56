//! The limit on open files: each connection is an open file.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Number of files for other purposes than clients' connections. These files are connections to
/// MongoDB (100 for each member), links from and to the peers, refused connections, the listeners,
/// and the page.
const OTHERS: usize = 1024;

/// Raises the limit on open files as far as the process may. Returns `connections`, or a lower
/// number if the limit allows only that; then it also logs a warning. Without files for other
/// purposes, the server could not reach MongoDB.
pub(crate) fn allow(connections: usize) -> usize {
    let needed = u64::try_from(connections + OTHERS).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(hard)
    });
    match limit {
        Ok(limit) if limit < needed => {
            let allowed = possible(usize::try_from(limit).unwrap_or(usize::MAX)).min(connections);
            warn!(
                limit,
                needed,
                connections,
                allowed,
                "the limit on open files is too low for --connections, so the server allows fewer connections. \
                 Raise the limit (ulimit -n), or lower --connections"
            );
            allowed
        }
        Ok(limit) => {
            debug!(limit, "open files");
            connections
        }
        Err(error) => {
            warn!(%error, "cannot raise the limit on open files");
            connections
        }
    }
}

/// Returns the number of connections that this limit allows: without the [`OTHERS`], but at least
/// half of the limit.
fn possible(limit: usize) -> usize {
    limit.saturating_sub(OTHERS).max(limit / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_left_for_what_is_no_connection() {
        for (limit, connections) in [
            (100_000, 98_976),
            (4_096, 3_072),
            (1_024, 512),
            (256, 128),
            (1, 1),
        ] {
            assert_eq!(possible(limit), connections);
        }
    }
}
