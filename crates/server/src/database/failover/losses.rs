//! Lost primaries whose process has ended.

use core::time::Duration;
use std::io;

use mongodb::options::ServerAddress;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::topology::Members;

/// Time for which a lost primary is checked, and time limit for one connection to it.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two checks of a process that is just ending.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The losses of primaries, one after another.
#[derive(Debug)]
pub(crate) struct Losses {
    members: watch::Receiver<Members>,
    /// The last reported loss, until it is over.
    told: Option<ServerAddress>,
}

impl Losses {
    pub(in crate::database) fn new(members: watch::Receiver<Members>) -> Self {
        Self { members, told: None }
    }

    /// Waits until a primary is lost and its process has ended. Returns `false` when the connection
    /// to the replica set has ended. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> bool {
        loop {
            if let Some(told) = &self.told {
                let over = self
                    .members
                    .wait_for(|members| members.lost.as_ref() != Some(told));
                if over.await.is_err() {
                    return false;
                }
                self.told = None;
            }
            let lost = self.members.wait_for(|members| members.lost.is_some()).await;
            let Some(lost) = lost.ok().and_then(|members| members.lost.clone()) else {
                return false;
            };
            let gone = is_gone(&lost, &self.members).await;
            self.told = Some(lost);
            if gone {
                return true;
            }
        }
    }
}

/// Returns `true` if the lost primary's address refuses connections twice in a row. One refusal
/// during a restart therefore does not count. While the address accepts connections, the process
/// may be just ending.
pub(super) async fn is_gone(lost: &ServerAddress, members: &watch::Receiver<Members>) -> bool {
    let until = Instant::now() + LOOK_TIMEOUT;
    let mut refusals = 0;
    while Instant::now() < until && members.borrow().lost.as_ref() == Some(lost) {
        match timeout(LOOK_TIMEOUT, connect(lost)).await {
            Ok(Ok(())) => refusals = 0,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => refusals += 1,
            other => {
                debug!(%lost, ?other, "the primary is lost, and not known to be gone");
                return false;
            }
        }
        if refusals == 2 {
            return true;
        }
        sleep(LOOK_AGAIN).await;
    }
    false
}

/// Opens one connection to any of the addresses of the name. Returns the error of a refused
/// connection only if all of them refuse.
async fn connect(to: &ServerAddress) -> io::Result<()> {
    let ServerAddress::Tcp { host, port } = to else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut failed = None;
    for address in lookup_host((host.as_str(), port.unwrap_or(27017))).await? {
        match TcpStream::connect(address).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                failed.get_or_insert(error);
            }
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}
