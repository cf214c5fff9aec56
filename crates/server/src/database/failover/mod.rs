//! MongoDB's own failover made short.
//!
//! The members of a replica set wait for the election timeout, 10 s by default, before they replace
//! a primary that is silent. A primary whose address *refuses* connections is not silent: its
//! process is gone, and waiting tells nobody more. Then a secondary is asked to stand at once
//! (`replSetStepUp`). It stands by MongoDB's own rules: it needs the votes of a majority, and
//! nobody votes for a member that lacks what it has itself, so no majority-committed write is lost
//! by asking.
//!
//! Two servers may ask at once, where they see each other differently or belong to two clusters.
//! They choose the same secondary from the same replies, and MongoDB has both wait for one
//! election.
//!
//! Silence is no reason to ask. A primary that was paused or cut off may be serving others, and
//! MongoDB's members judge that better than a client of theirs.

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

/// How long secondaries may take to describe themselves. Those that take longer are not asked.
const DESCRIBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a secondary may take to win its election.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after an election that was not won another primary may take to show before the next is
/// asked.
const SETTLE: Duration = Duration::from_millis(200);
/// Before anything is done again about the same loss.
const REST: Duration = Duration::from_secs(1);
/// The same where MongoDB has said that it does not let us.
const LONG_REST: Duration = Duration::from_secs(5);
/// Before it is looked again whether this server is to see to it: it may become coordinator
/// meanwhile.
const SHORT_REST: Duration = Duration::from_millis(100);

/// Asks a secondary to stand when the primary is gone, while `leads` says that this server is to
/// see to it. Ends with the connection to the replica set.
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
    /// Whether MongoDB has said that it does not let us, and so has the log.
    may_not: bool,
}

impl Assistant {
    /// Looks at a missing privilege before it is needed.
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
                debug!(%error, "cannot find out whether this server may ask a secondary to stand")
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

    /// Waits as long as this for the loss to be over: another primary, or the same again.
    async fn is_over(&self, lost: &ServerAddress, time: Duration) -> bool {
        let mut members = self.members.clone();
        let over = members.wait_for(|members| members.lost.as_ref() != Some(lost));
        timeout(time, over).await.is_ok()
    }

    /// Asks one secondary after another to stand, until there is a primary.
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
                    // Elected, and not writable yet; or it may still stand. Nobody else is asked.
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

    /// What the secondaries that answer say of themselves.
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
            // A privilege of its own. Without it the choice is a little less good.
            let status = status.ok().and_then(Result::ok).and_then(Result::ok);
            Candidate::read(&address, &hello, status.as_ref())
        });
        join_all(replies).await.into_iter().flatten().collect()
    }
}

/// Runs an administrative command on one member, whatever its role, over the connections the driver
/// keeps to it anyway. A task of its own, since the driver's futures must not be dropped before
/// they end.
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
