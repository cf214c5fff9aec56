use std::time::{Duration, Instant};

use anyhow::Result;
use bellwether_protocol::{CommandId, ErrorCode, Outcome, ServerFrame};
use bellwether_testkit::Journal;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::kept_open::KeptOpen;
use crate::workload::{Operation, Operations, Workload};

const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// A client that inserts one document after another on a connection it keeps. It never pauses for
/// longer than 5 ms before it asks again with the same id. So the measured pause is the servers'
/// and not the client's.
pub(crate) struct Insistent {
    _running: AbortOnDropHandle<()>,
}

impl Insistent {
    /// Starts it, as client 0 of this journal.
    pub(crate) fn start(ports: Vec<u16>, journal: Journal) -> Self {
        let running = tokio::spawn(async move {
            let mut client = Client {
                ports,
                next: 0,
                connection: None,
            };
            let mut operations = Operations::of(Workload::Inserts);
            loop {
                client.insist(operations.next(), &journal).await;
            }
        });
        Self {
            _running: AbortOnDropHandle::new(running),
        }
    }
}

struct Client {
    ports: Vec<u16>,
    /// Place in `ports` of the server that gets the next command.
    next: usize,
    connection: Option<KeptOpen>,
}

impl Client {
    /// Asks until the operation is executed, or refused for good.
    async fn insist(&mut self, operation: Operation, journal: &Journal) {
        let mut id = None;
        loop {
            match self.ask(operation, &mut id).await {
                Ok(ServerFrame::Result(result)) => {
                    return journal.executed(0, Instant::now(), result.epoch);
                }
                Ok(ServerFrame::Error(error)) if error.code == ErrorCode::Mongo => {
                    return journal.failed(error.message);
                }
                // It is still coordinator, as far as it knows: the client must wait for this server
                // only.
                Ok(ServerFrame::Error(error)) if stays(&error.code, error.outcome) => {}
                _ => {
                    self.connection = None;
                    self.next += 1;
                }
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn ask(&mut self, operation: Operation, id: &mut Option<CommandId>) -> Result<ServerFrame> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(KeptOpen::open(self.ports[self.next % self.ports.len()]).await?),
        };
        let id = match *id {
            Some(id) => id,
            None => *id.insert(connection.new_id()?),
        };
        let answer = connection.exchange(operation.frame(id)).await?;
        Ok(ServerFrame::parse(&answer)?)
    }
}

fn stays(code: &ErrorCode, outcome: Outcome) -> bool {
    outcome == Outcome::Unknown
        || matches!(
            code,
            ErrorCode::DatabaseUnavailable | ErrorCode::Deadline | ErrorCode::Overloaded
        )
}
