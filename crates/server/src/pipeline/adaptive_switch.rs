/// An optimization that usually pays, and has a cost when it fails. After a failure it is off for
/// the next batch. After each further failure it is off for twice as many batches.
#[derive(Debug, Default)]
pub(super) struct AdaptiveSwitch {
    suspended_for: u32,
    next_suspension: u32,
}

impl AdaptiveSwitch {
    /// Returns `true` if this batch may try the optimization.
    pub(super) fn is_on(&self) -> bool {
        self.suspended_for == 0
    }

    pub(super) fn failed(&mut self) {
        self.next_suspension = (self.next_suspension * 2).clamp(1, 64);
        self.suspended_for = self.next_suspension;
    }

    pub(super) fn batch_ended(&mut self) {
        if self.suspended_for == 0 {
            self.next_suspension /= 2;
        }
        self.suspended_for = self.suspended_for.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_longer_each_time_it_fails() {
        let mut switch = AdaptiveSwitch::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            switch.failed();
            let mut batches = 0;
            while !switch.is_on() {
                switch.batch_ended();
                batches += 1;
            }
            pauses.push(batches);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64]);
        for _ in 0..10 {
            switch.batch_ended();
        }
        switch.failed();
        switch.batch_ended();
        assert!(switch.is_on());
    }
}
