use anyhow::{Result, ensure};
use bellwether_testkit::Process;

/// A fault of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`.
    Kill,
    /// `SIGSTOP`: it sends nothing any more, and its connections stay open.
    Pause,
    /// `SIGTERM`: it finishes the commands in progress, hands over and ends.
    Stop,
}

impl Fault {
    pub(crate) fn strike(self, process: &mut Process) -> Result<()> {
        match self {
            Self::Kill => process.strike(),
            Self::Pause => process.pause(),
            Self::Stop => process.terminate(),
        }
    }

    /// Brings the server back.
    pub(crate) async fn mend(self, process: &mut Process) -> Result<()> {
        match self {
            Self::Kill => process.restart(),
            Self::Pause => process.resume(),
            Self::Stop => {
                let status = process.ended().await?;
                ensure!(
                    status.success(),
                    "{} ended with {status} when asked to stop",
                    process.name()
                );
                process.restart()
            }
        }
    }
}
