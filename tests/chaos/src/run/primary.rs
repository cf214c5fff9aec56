use std::time::Duration;

use bson::doc;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::world::World;

const POLL: Duration = Duration::from_millis(250);

/// Asks for MongoDB's primary, apart from everything else: while there is none, the answer takes
/// its time.
pub(super) struct PrimaryWatch {
    seen: watch::Receiver<Option<usize>>,
    _watching: AbortOnDropHandle<()>,
}

impl PrimaryWatch {
    pub(super) fn start(world: &World) -> Self {
        let admin = world.database().database("admin");
        let members = &world.replica_set().members;
        let addresses: Vec<String> = members
            .iter()
            .map(|member| member.address().to_string())
            .collect();
        let (sender, seen) = watch::channel(None);
        let watching = tokio::spawn(async move {
            loop {
                let hello = admin.run_command(doc! { "hello": 1 }).await.ok();
                let primary = hello.filter(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false));
                let place = primary.and_then(|hello| {
                    let me = hello.get_str("me").ok()?;
                    addresses.iter().position(|address| address == me)
                });
                if sender.send(place).is_err() {
                    return;
                }
                sleep(POLL).await;
            }
        });
        Self {
            seen,
            _watching: AbortOnDropHandle::new(watching),
        }
    }

    /// Returns the place of the member that said to be primary, if the last question found one.
    pub(super) fn seen(&self) -> Option<usize> {
        *self.seen.borrow()
    }
}
