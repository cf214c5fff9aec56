use core::time::Duration;

use crate::Platform;

/// The platform's clock, and the time at which the whole dispatch must end.
pub(crate) struct Clock<'a, P> {
    platform: &'a P,
    deadline: Duration,
}

// Not derived, because derived implementations would require the same of the platform.
impl<P> Clone for Clock<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Clock<'_, P> {}

impl<'a, P: Platform> Clock<'a, P> {
    pub(crate) fn starting_now(platform: &'a P, limit: Duration) -> Self {
        let deadline = platform.now().saturating_add(limit);
        Self { platform, deadline }
    }

    pub(crate) fn now(&self) -> Duration {
        self.platform.now()
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.platform.now())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Waits for the pause, but not beyond the deadline.
    pub(crate) async fn sleep(&self, pause: Duration) {
        self.platform.sleep(pause.min(self.remaining())).await;
    }
}
