use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long anything here is waited for before it counts as failed. Generous on purpose: nothing
/// asserts how fast something is, only that it happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// An error that waiting longer does not mend, such as that a process has ended.
#[derive(Debug)]
pub(crate) struct Hopeless(pub(crate) String);

impl fmt::Display for Hopeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}

/// Asks `check` again and again until it gives a value.
///
/// # Errors
/// If it still says what is missing after [`PATIENCE`]; the error repeats the last of it.
pub async fn wait_until<T>(what: &str, mut check: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(error) if error.is::<Hopeless>() => return Err(error),
            Err(missing) if Instant::now() >= deadline => {
                bail!("waited {} s for {what}: {missing:#}", PATIENCE.as_secs())
            }
            Err(_) => sleep(POLL).await,
        }
    }
}
