//! The limit on open files: every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Files besides the clients' connections: to MongoDB (100 for each member), from and to the peers,
/// connections that are refused, the listeners, the page.
const OTHERS: usize = 1024;

/// Raises the limit as far as the process may, and gives how many connections there may be: so
/// many, or fewer, with a warning, if the limit does not allow more. Without files left, the server
/// could not reach MongoDB.
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
                "the limit on open files is too low for all connections that are allowed, so there may be fewer: \
                 raise it (ulimit -n), or allow fewer with --connections"
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

/// What is left for connections; half, where there is less than all else may take.
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
