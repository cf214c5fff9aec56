use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Time limit for every condition here, before it counts as failed. It is generous on purpose: no
/// test asserts how fast something is, only that it happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// An error that more waiting cannot resolve, such as that a process has ended.
#[derive(Debug)]
pub(crate) struct Hopeless(pub(crate) String);

impl fmt::Display for Hopeless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}

/// Calls `check` again and again until it returns a value.
///
/// # Errors
/// If it still returns an error after [`PATIENCE`]; the error repeats the last one.
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
