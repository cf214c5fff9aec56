//! Checks if MongoDB lets this server work, with its user, its password and the privileges of that
//! user.
//!
//! The driver's monitors do not authenticate. If the primary answers them, the set looks healthy to
//! a server that it refuses. A follower would notice that only when it must take over.

use core::time::Duration;

use bson::doc;
use mongodb::error::Error;
use tokio::time::{sleep, timeout};

use super::trouble::Trouble;
use super::{Database, LEDGER, privilege};

/// Pause between two checks while MongoDB refuses this server.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Time limit for one check.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks each new primary, and checks again and again while MongoDB refuses this server. Ends with
/// the connection to the replica set.
pub(crate) async fn watch_access(database: Database) {
    let mut health = database.health();
    loop {
        let Ok(primary) = health
            .wait_for(|health| health.primary.is_some())
            .await
            .map(|health| health.primary.clone())
        else {
            return;
        };
        let looking = database.clone();
        // The driver's futures run to their end, so that its connections stay usable.
        let look = tokio::spawn(async move { looking.look_at_access().await });
        let looked = timeout(LOOK_TIMEOUT, look).await;
        let is_refused = database.health().borrow().is_refused();
        if is_refused || !matches!(looked, Ok(Ok(Ok(())))) {
            sleep(LOOK_AGAIN).await;
            continue;
        }
        let changed = health.wait_for(|health| health.primary != primary || health.is_refused());
        if changed.await.is_err() {
            return;
        }
    }
}

impl Database {
    /// Asks MongoDB for this server's privileges, and reports the result.
    async fn look_at_access(&self) -> Result<(), Error> {
        let was_refused = self.health().borrow().is_refused();
        let privileges = privilege::missing(self.users(), self.system()).await;
        if let Ok(Some(missing)) = privileges {
            self.observer.report_refusal(Trouble::Privilege { missing });
            return Ok(());
        }
        let looked = match privileges {
            // MongoDB has refused an operation before. Whatever the privileges are, only an
            // operation shows that the refusal is over.
            Ok(_) if was_refused => self
                .system
                .collection::<bson::Document>(LEDGER)
                .find_one(doc! {})
                .await
                .map(drop),
            other => other.map(drop),
        };
        self.observer.report_access(&looked);
        looked
    }
}
