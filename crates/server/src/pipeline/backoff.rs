use core::time::Duration;

/// Growing pauses with jitter, as the specification of MongoDB's drivers describes them.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: i32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = (0.005 * 1.5_f64.powi(self.tries)).min(0.5);
        self.tries += 1;
        Duration::from_secs_f64(ceiling * rand::random::<f64>())
    }
}
