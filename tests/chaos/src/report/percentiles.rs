use std::fmt;

/// Of times in milliseconds, the middle and the end.
pub(super) struct Percentiles {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Percentiles {
    /// Returns the percentiles of at least one time, in any order.
    pub(super) fn of(times: &[u64]) -> Option<Self> {
        let mut times = times.to_vec();
        times.sort_unstable();
        let at = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(place).copied()
        };
        Some(Self {
            p50: at(50)?,
            p99: at(99)?,
            max: at(100)?,
        })
    }
}

/// As the cells of a table, in seconds.
impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(seconds);
        write!(f, "{p50} | {p99} | {max}")
    }
}

/// Milliseconds as seconds with two digits.
pub(super) fn seconds(millis: u64) -> String {
    format!("{}.{:02}", millis / 1_000, millis % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_end() {
        let times: Vec<u64> = (1..=200).rev().map(|time| time * 10).collect();
        let shown = Percentiles::of(&times).map(|percentiles| percentiles.to_string());
        assert_eq!(shown.unwrap(), "1.00 | 1.98 | 2.00");
        assert_eq!(
            Percentiles::of(&[1_234]).unwrap().to_string(),
            "1.23 | 1.23 | 1.23"
        );
        assert!(Percentiles::of(&[]).is_none());
    }
}
