//! Shortens MongoDB's own failover.
//!
//! The members of a replica set wait for the election timeout, 10 s by default, before they replace
//! a silent primary. A primary whose address *refuses* connections is not silent: its process is
//! gone, and waiting gives no further information. The server therefore asks a secondary to stand
//! for election at once (`replSetStepUp`). The election follows MongoDB's own rules. The secondary
//! needs the votes of a majority, and no member votes for a secondary that lacks a write of that
//! member. No majority-committed write is therefore lost.
//!
//! Two servers may ask at once, if their views differ or if they belong to two clusters. They
//! choose the same secondary from the same replies, and MongoDB lets both wait for one election.
//!
//! Silence is no reason to ask. A primary that was paused or cut off may still serve others, and
//! MongoDB's members can judge that better than their client.

mod candidate;
mod losses;
mod topology;

use core::time::Duration;
use std::sync::Arc;

use bson::{Document, doc};
use futures_util::future::join_all;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{SelectionCriteria, ServerAddress};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::{Database, privilege};
use crate::database::codes::UNAUTHORIZED;
use candidate::Candidate;
pub(crate) use losses::Losses;
pub(super) use topology::Members;

/// Time limit for a secondary to describe itself. The server does not ask a slower secondary.
const DESCRIBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time limit for a secondary to win its election.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Time in which another primary may appear after an election without a winner, before the server
/// asks the next secondary.
const SETTLE: Duration = Duration::from_millis(200);
/// Pause before the next action about the same loss.
const REST: Duration = Duration::from_secs(1);
/// The same pause if MongoDB has refused the privilege.
const LONG_REST: Duration = Duration::from_secs(5);
/// Pause before the next check whether this server must act. This server may become coordinator
/// meanwhile.
const SHORT_REST: Duration = Duration::from_millis(100);

/// Asks a secondary to stand for election when the primary is gone, while `leads` returns `true`
/// for this server. Ends with the connection to the replica set.
pub(crate) async fn assist(database: Database, leads: impl Fn() -> bool) {
    let mut assistant = Assistant {
        members: database.members.clone(),
        may_not: false,
        database,
    };
    assistant.check_privilege().await;
    loop {
        let lost = assistant.members.wait_for(|members| members.lost.is_some()).await;
        let Some(lost) = lost.ok().and_then(|members| members.lost.clone()) else {
            return;
        };
        let rest = if leads() {
            if losses::is_gone(&lost, &assistant.members).await && leads() {
                assistant.replace(&lost).await;
            }
            if assistant.may_not { LONG_REST } else { REST }
        } else {
            SHORT_REST
        };
        assistant.is_over(&lost, rest).await;
    }
}

struct Assistant {
    database: Database,
    members: watch::Receiver<Members>,
    /// Set if MongoDB has refused the privilege, and the log says so.
    may_not: bool,
}

impl Assistant {
    /// Checks for a missing privilege before it is needed.
    async fn check_privilege(&mut self) {
        let mut health = self.database.health();
        if health.wait_for(|health| health.available).await.is_err() {
            return;
        }
        let asked = self.database.clone();
        let reply = tokio::spawn(async move { privilege::ask(&asked.client.database("admin")).await });
        match reply.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => self.say_what_to_grant(),
            Ok(Err(error)) => {
                debug!(%error, "cannot find out whether this server may ask a secondary to stand");
            }
            Err(error) => debug!(%error, "cannot find out whether this server may ask a secondary to stand"),
        }
    }

    fn say_what_to_grant(&mut self) {
        if !std::mem::replace(&mut self.may_not, true) {
            warn!(
                "MongoDB's own failover will take its election timeout: to shorten it, grant this server's user \
                 the action replSetStateChange on the cluster, for example by the role clusterManager"
            );
        }
    }

    fn is_lost(&self, lost: &ServerAddress) -> bool {
        self.members.borrow().lost.as_ref() == Some(lost)
    }

    /// Waits at most `time` until the loss is over: there is another primary, or the same one
    /// again. Returns `true` if the loss is over.
    async fn is_over(&self, lost: &ServerAddress, time: Duration) -> bool {
        let mut members = self.members.clone();
        let over = members.wait_for(|members| members.lost.as_ref() != Some(lost));
        timeout(time, over).await.is_ok()
    }

    /// Asks one secondary after another to stand for election, until there is a primary.
    async fn replace(&mut self, lost: &ServerAddress) {
        let began = Instant::now();
        let candidates = candidate::in_order(lost, self.describe().await);
        if candidates.is_empty() {
            debug!(%lost, "the primary is gone, and there is no secondary to ask");
        }
        for candidate in candidates {
            if !self.is_lost(lost) {
                return;
            }
            info!(%lost, %candidate, "the primary is gone: asking a secondary to stand for election");
            let mut stands = send(&self.database, &candidate, doc! { "replSetStepUp": 1 });
            let refusal = tokio::select! {
                ended = timeout(ELECTION_TIMEOUT, &mut stands) => match ended {
                    Ok(Ok(Err(error))) => Some(error),
                    // The secondary is elected but not writable yet, or still stands. The server
                    // asks no other.
                    _ => None,
                },
                _ = self.is_over(lost, Duration::MAX) => None,
            };
            let settle = match &refusal {
                Some(error) => {
                    info!(%candidate, reason = %error.kind, "the secondary was not elected");
                    if is_unauthorized(error) {
                        return self.say_what_to_grant();
                    }
                    SETTLE
                }
                None => ELECTION_TIMEOUT,
            };
            if self.is_over(lost, settle).await {
                return info!(elapsed = ?began.elapsed(), "MongoDB has a primary again");
            }
            if refusal.is_none() {
                return info!(%candidate, "the secondary stands, and there is no primary yet");
            }
        }
    }

    /// Returns the descriptions of the secondaries that answer.
    async fn describe(&self) -> Vec<Candidate> {
        let secondaries = self.members.borrow().secondaries.clone();
        let replies = secondaries.into_iter().map(|address| async move {
            let hello = send(&self.database, &address, doc! { "hello": 1 });
            let status = send(&self.database, &address, doc! { "replSetGetStatus": 1 });
            let (hello, status) = tokio::join!(
                timeout(DESCRIBE_TIMEOUT, hello),
                timeout(DESCRIBE_TIMEOUT, status)
            );
            let hello = hello.ok()?.ok()?.ok()?;
            // The status needs another privilege. Without it the choice is slightly worse.
            let status = status.ok().and_then(Result::ok).and_then(Result::ok);
            Candidate::read(&address, &hello, status.as_ref())
        });
        join_all(replies).await.into_iter().flatten().collect()
    }
}

/// Runs an administrative command on one member, whatever its role, over the driver's existing
/// connections. The command runs as a separate task, because the driver's futures must not be
/// dropped before they end.
fn send(
    database: &Database,
    to: &ServerAddress,
    command: Document,
) -> JoinHandle<mongodb::error::Result<Document>> {
    let admin = database.client.database("admin");
    let to = to.clone();
    let only = SelectionCriteria::Predicate(Arc::new(move |server| *server.address() == to));
    tokio::spawn(async move { admin.run_command(command).selection_criteria(only).await })
}

fn is_unauthorized(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == UNAUTHORIZED)
}
