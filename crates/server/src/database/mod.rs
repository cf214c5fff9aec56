//! MongoDB: the connection to it, its health, and the fence.

mod access;
pub(crate) mod codes;
mod failover;
mod fence;
mod health;
mod majority;
mod message;
mod privilege;
mod trouble;
mod uri;
mod utf8;

use core::time::Duration;
use std::sync::Arc;

use bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{
    ClientOptions, CollectionOptions, ReadConcern, SelectionCriteria, ServerMonitoringMode, WriteConcern,
};
use mongodb::{Client, Collection};
use thiserror::Error;
use tokio::sync::{OnceCell, watch};

pub(crate) use access::watch_access;
use failover::Members;
pub(crate) use failover::{Losses, assist};
pub use fence::{ClaimError, Fence};
pub(crate) use fence::{FenceArbiter, Term};
pub use health::Health;
use health::Observer;
pub(crate) use message::cleaned;
pub use trouble::Trouble;
pub(crate) use utf8::decode_lossy;

/// Time for which a command's id and reply are kept. The server refuses an id as expired after half
/// of this time. The server therefore never executes an id again because it was forgotten.
const RECORDS_KEPT: Duration = Duration::from_secs(48 * 60 * 60);

/// Connections to one member, unless the URI says otherwise.
const MAX_CONNECTIONS: u32 = 100;

/// A connection to the replica set. Clones share it, and it ends with the last clone.
#[derive(Clone, Debug)]
pub struct Database {
    client: Client,
    users: mongodb::Database,
    system: mongodb::Database,
    observer: Arc<Observer>,
    members: watch::Receiver<Members>,
    max_connections: u32,
    prepared: Arc<OnceCell<()>>,
}

/// The error if the configured database cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI cannot be read.
    #[error("the MongoDB URI cannot be used: {0}")]
    Uri(String),
    /// The URI does not name a replica set.
    #[error(
        "the MongoDB URI names no replica set: add replicaSet=<name>, since transactions and majority \
         writes need one (a single member will do)"
    )]
    NoReplicaSet,
    /// The URI asks for one member only.
    #[error(
        "the MongoDB URI says directConnection=true, which ties every command to one member: remove it, so \
         that commands follow the primary"
    )]
    DirectConnection,
    /// The name cannot be the name of a database.
    #[error(
        "{0:?} cannot be the users' database: a name has 1 to 52 characters, none of /\\. \"$*<>:|? or NUL, \
         and is not admin, local or config"
    )]
    Name(String),
}

impl Database {
    /// Prepares a connection to the replica set. MongoDB need not run yet: connecting continues in
    /// the background, and [`health`](Self::health) shows its state.
    ///
    /// The timeouts in the URI apply. The other timeouts are set so that a lost primary is noticed
    /// quickly.
    ///
    /// # Errors
    /// [`ConnectError`] if the URI or the name can never work.
    pub async fn connect(uri: &str, name: &str) -> Result<Self, ConnectError> {
        check_name(name)?;
        uri::check(uri).map_err(ConnectError::Uri)?;
        let unusable = |error: Error| {
            ConnectError::Uri(match &*error.kind {
                // These errors name hosts and files.
                ErrorKind::DnsResolve { .. } | ErrorKind::InvalidTlsConfig { .. } => error.kind.to_string(),
                _ => uri::explain(uri),
            })
        };
        let mut options = ClientOptions::parse(uri).await.map_err(unusable)?;
        if options.direct_connection == Some(true) {
            return Err(ConnectError::DirectConnection);
        }
        let Some(set) = &options.repl_set_name else {
            return Err(ConnectError::NoReplicaSet);
        };

        let observer = Observer::new(set);
        options.sdam_event_handler = Some(Arc::clone(&observer).handler());
        options.app_name.get_or_insert_with(|| "bellwether".to_owned());
        fill_in(&mut options);
        let max_connections = options.max_pool_size.unwrap_or(MAX_CONNECTIONS);

        let client = Client::with_options(options).map_err(unusable)?;
        Ok(Self {
            users: client.database(name),
            system: client.database(&format!("{name}_bellwether")),
            client,
            members: observer.members(),
            observer,
            max_connections,
            prepared: Arc::default(),
        })
    }

    /// Returns a receiver of the current health of the replica set.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.observer.health()
    }

    /// Records the result of an operation of the server itself, for [`health`](Self::health).
    pub(crate) fn report_access<T>(&self, result: &Result<T, Error>) {
        self.observer.report_access(result);
    }

    /// Returns the losses of primaries from now on.
    pub(crate) fn losses(&self) -> Losses {
        Losses::new(self.members.clone())
    }

    /// Creates the ledger and its indexes, once for this connection. One index deletes old records,
    /// and the other prevents that an id is recorded twice. The ledger and the indexes must exist
    /// before the first transaction. If the transaction created them, each repetition would
    /// conflict with itself.
    ///
    /// The future must not be dropped before it ends.
    ///
    /// # Errors
    /// MongoDB's error. The next call tries again.
    pub async fn prepare(&self) -> mongodb::error::Result<()> {
        let prepared = self.prepared.get_or_try_init(|| async {
            let created = self
                .system
                .create_collection(LEDGER)
                .write_concern(WriteConcern::majority());
            created.await.or_else(unless_it_exists)?;
            let expiry = i64::try_from(RECORDS_KEPT.as_secs()).unwrap_or(i64::MAX);
            let create_index = doc! {
                "createIndexes": LEDGER,
                "indexes": [
                    { "key": { "at": 1 }, "name": "at", "expireAfterSeconds": expiry },
                    // Sparse, because the fence has no ids.
                    { "key": { RECORDED_IDS: 1 }, "name": "ids", "unique": true, "sparse": true },
                ],
                "writeConcern": { "w": "majority" },
            };
            self.system.run_command(create_index).await.map(drop)
        });
        prepared.await.copied()
    }

    /// Returns the number of operations that can be in progress at a time. Further ones wait for a
    /// connection.
    pub(crate) fn max_connections(&self) -> usize {
        usize::try_from(self.max_connections).unwrap_or(usize::MAX)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the database of the users' collections.
    pub(crate) fn users(&self) -> &mongodb::Database {
        &self.users
    }

    /// Returns the database of the fence and the records.
    pub(crate) fn system(&self) -> &mongodb::Database {
        &self.system
    }

    fn fence_collection(&self) -> Collection<Document> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::local())
            .write_concern(WriteConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(
                mongodb::options::ReadPreference::Primary,
            ))
            .build();
        self.system.collection_with_options(LEDGER, options)
    }
}

/// The collection of the fence and of the commands' ids and replies.
pub(crate) const LEDGER: &str = "ledger";

/// The field of the ids in a document of the ledger. Each id occurs once.
pub(crate) const RECORDED_IDS: &str = "commands.id";

/// Sets the options that the URI does not set. The timing is chosen so that a lost primary costs
/// little. If the process of a primary has ended, its closed connection shows that in a
/// millisecond, whatever these options are.
fn fill_in(options: &mut ClientOptions) {
    // A frozen primary is noticed after the sum of these two times. Then the operations that wait
    // for its answer are interrupted. The driver's defaults are 10 s each, and its shortest
    // heartbeat is 500 ms.
    options.heartbeat_freq.get_or_insert(Duration::from_millis(500));
    options.connect_timeout.get_or_insert(Duration::from_secs(1));
    // With streaming, a member's changes arrive when they happen. By default the driver polls if it
    // detects that it runs as a cloud function. A container on Knative looks like one.
    options
        .server_monitoring_mode
        .get_or_insert(ServerMonitoringMode::Stream);
    // The next primary is then already connected, encrypted and authenticated.
    options.min_pool_size.get_or_insert(1);
    // The driver's default of 10 is less than the number of reads that may be in progress.
    options.max_pool_size.get_or_insert(MAX_CONNECTIONS);
    // The driver's default is 30 s.
    options
        .server_selection_timeout
        .get_or_insert(Duration::from_secs(2));
}

/// Checks the name of the users' database. MongoDB allows 63 bytes, and the system database's name
/// is 11 bytes longer.
fn check_name(name: &str) -> Result<(), ConnectError> {
    let forbidden = |c: char| "/\\. \"$*<>:|?\0".contains(c);
    let reserved = ["admin", "local", "config"].contains(&name);
    if name.is_empty() || name.len() > 52 || name.contains(forbidden) || reserved {
        return Err(ConnectError::Name(name.to_owned()));
    }
    Ok(())
}

fn unless_it_exists(error: Error) -> mongodb::error::Result<()> {
    match &*error.kind {
        ErrorKind::Command(command) if command.code == codes::NAMESPACE_EXISTS => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_can_never_work_is_refused() {
        let refused = async |uri, name| Database::connect(uri, name).await.unwrap_err();
        let uri = "mongodb://127.0.0.1:1/?replicaSet=rs0";
        let too_long = "x".repeat(53);
        for name in ["", "admin", "a.b", "a b", &too_long] {
            assert!(
                matches!(refused(uri, name).await, ConnectError::Name(_)),
                "{name}"
            );
        }
        let error = refused("mongodb://127.0.0.1:1/", "app").await;
        assert!(matches!(error, ConnectError::NoReplicaSet), "{error}");
        let error = refused("mongodb://127.0.0.1:1/?replicaSet=r&directConnection=true", "app").await;
        assert!(matches!(error, ConnectError::DirectConnection), "{error}");
        assert!(matches!(refused("http://x", "app").await, ConnectError::Uri(_)));
    }

    #[tokio::test]
    async fn no_password_is_repeated() {
        for uri in [
            "mongodb://app:hunter2",
            "mongodb://app:hunter2/?replicaSet=rs0",
            "mongodb://app:hun:ter2/?replicaSet=rs0",
            "mongodb://app:hunter2@m1:99999/?replicaSet=rs0",
            "app:hunter2@m1",
            "mongodb://app:hun@ter2@m1/?replicaSet=rs0",
            "mongodb://app:hun%ter2@m1/?replicaSet=rs0",
            "mongodb://app:hun?ter2@m1/?replicaSet=rs0",
            "mongodb://app:x@m1/?replicaSet=rs0&tlsCertificateKeyFilePassword=hunter2",
            "mongodb://app:x@m1/?hunter2=hunter2",
        ] {
            let error = Database::connect(uri, "app").await.unwrap_err().to_string();
            assert!(!error.contains("ter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn mongodb_need_not_be_up() {
        let uri = "mongodb://127.0.0.1:1/?replicaSet=rs0&serverSelectionTimeoutMS=100";
        let database = Database::connect(uri, "app").await.unwrap();
        let health = database.health().borrow().clone();
        assert!(!health.available && health.error.is_some(), "{health:?}");
        assert!(database.prepare().await.is_err());
    }
}
