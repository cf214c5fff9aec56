use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use serde::{Deserialize, Serialize};

use crate::bed::Bed;
use crate::kept_open::KeptOpen;
use crate::workload::{DOCUMENTS, Operation, Operations, TEXT};

/// One of the compared sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    /// Clients of the coordinator, each with a connection of its own that stays open.
    Ours,
    /// The MongoDB driver: writes with `w: majority`, reads with read concern `linearizable`.
    Driver,
    /// The driver with a weaker read concern: data committed to a majority, though not necessarily
    /// the newest.
    DriverMajority,
    /// The driver with the weakest read concern: the primary's data, though it may be rolled back.
    DriverLocal,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "Bellwether",
            Self::Driver => "driver",
            Self::DriverMajority => "driver, `majority`",
            Self::DriverLocal => "driver, `local`",
        }
    }

    fn read_concern(self) -> ReadConcern {
        match self {
            Self::Ours | Self::Driver => ReadConcern::linearizable(),
            Self::DriverMajority => ReadConcern::majority(),
            Self::DriverLocal => ReadConcern::local(),
        }
    }
}

/// One client, which does one thing after another.
pub(crate) trait Caller: Send + 'static {
    fn call(&mut self, operation: Operation) -> impl Future<Output = Result<()>> + Send;
}

impl Caller for KeptOpen {
    async fn call(&mut self, operation: Operation) -> Result<()> {
        let frame = operation.frame(self.new_id()?);
        let answer = self.exchange(frame).await?;
        ensure!(
            operation.is_answered_by(&answer),
            "{operation:?} was answered with {answer}"
        );
        Ok(())
    }
}

/// The driver's collections. All its clients share one pool, as is meant.
#[derive(Clone)]
pub(crate) struct Driver {
    inserts: Collection<Document>,
    documents: Collection<Document>,
    read_concern: ReadConcern,
}

impl Driver {
    /// Makes a driver's client of its own, with room for this many connections.
    pub(crate) async fn connect(bed: &Bed, connections: usize) -> Result<Self> {
        let mut options = ClientOptions::parse(bed.replica_set.uri()).await?;
        options.max_pool_size = Some(u32::try_from(connections)?.max(10));
        // Apart from the collections the servers write to, so that the two do not make each other's
        // larger.
        let database = Client::with_options(options)?.database("bench_driver");
        Ok(Self {
            inserts: database.collection("bench_inserts"),
            documents: database.collection("bench_documents"),
            read_concern: Side::Driver.read_concern(),
        })
    }

    pub(crate) fn reading_as(&self, side: Side) -> Self {
        Self {
            read_concern: side.read_concern(),
            ..self.clone()
        }
    }
}

impl Caller for Driver {
    async fn call(&mut self, operation: Operation) -> Result<()> {
        match operation {
            Operation::Insert { id } => {
                let insert = self.inserts.insert_one(doc! { "_id": id, "text": TEXT });
                insert.write_concern(WriteConcern::majority()).await?;
            }
            Operation::Increment { id } => {
                let update = self
                    .documents
                    .update_one(doc! { "_id": id }, doc! { "$inc": { "n": 1 } });
                let updated = update.write_concern(WriteConcern::majority()).await?;
                ensure!(updated.modified_count == 1, "there is no document {id}");
            }
            Operation::Find { id } => {
                let find = self.documents.find_one(doc! { "_id": id });
                let found = find.read_concern(self.read_concern.clone()).await?;
                found.with_context(|| format!("there is no document {id}"))?;
            }
        }
        Ok(())
    }
}

/// Makes the documents to read and update, for both sides alike.
pub(crate) async fn make_documents(bed: &Bed) -> Result<()> {
    for database in ["app", "bench_driver"] {
        let database = bed.replica_set.client().database(database);
        let documents = database.collection::<Document>("bench_documents");
        let all = (0..DOCUMENTS).map(|id| doc! { "_id": id, "n": 0, "text": TEXT });
        documents
            .insert_many(all)
            .write_concern(WriteConcern::majority())
            .await?;
        // Otherwise the first insert pays for it.
        database.create_collection("bench_inserts").await?;
    }
    Ok(())
}

/// Opens this number of connections to the coordinator, each a client.
pub(crate) async fn connect(port: u16, clients: usize) -> Result<Vec<KeptOpen>> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        let connection = KeptOpen::open(port).await?;
        ensure!(
            connection.is_coordinators(),
            "the coordinator changed in the middle of a run"
        );
        connections.push(connection);
    }
    Ok(connections)
}

/// Pairs each caller with its operations.
pub(crate) fn with_operations<C: Caller>(
    callers: impl IntoIterator<Item = C>,
    operations: impl Fn() -> Operations,
) -> Vec<(C, Operations)> {
    callers.into_iter().map(|caller| (caller, operations())).collect()
}
