use std::ops::Range;

use bellwether_protocol::Outcome;
use plotters::prelude::*;

use super::{Drawn, LEFT, Picture, RIGHT, TEXT};
use crate::history::Entry;

pub(super) const HEIGHT: i32 = 190;

/// The stacked outcomes, from the bottom, with their colours.
const OUTCOMES: [(Outcome, &str, RGBColor); 3] = [
    (Outcome::Executed, "executed", RGBColor(70, 130, 200)),
    (Outcome::NotExecuted, "not executed", RGBColor(240, 180, 60)),
    (Outcome::Unknown, "unknown", RGBColor(200, 50, 50)),
];

impl Picture<'_> {
    /// Draws the calls that ended in each second, by their outcome.
    pub(super) fn draw_throughput(&self, history: &[Entry], rows: Range<i32>) -> Drawn {
        let seconds = per_second(history, self.ended);
        let most = seconds.iter().map(|counts| counts.iter().sum::<u32>());
        let most = most.max().unwrap_or(0).max(1);
        let y = |count: u32| {
            let share = f64::from(count) / f64::from(most);
            #[expect(clippy::cast_possible_truncation, reason = "it is within the height")]
            let above = (share * f64::from(HEIGHT)) as i32;
            rows.end - above
        };
        for line in [most / 2, most] {
            let ends = [(LEFT, y(line)), (self.width - RIGHT, y(line))];
            self.area.draw(&PathElement::new(ends, RGBColor(220, 220, 220)))?;
            self.text((LEFT - 34, y(line) - 6), &line.to_string(), 13, TEXT)?;
        }
        for (second, counts) in (0_u64..).zip(&seconds) {
            let (left, right) = (self.x(second * 1_000_000), self.x((second + 1) * 1_000_000));
            let mut below = 0;
            for (count, (_, _, color)) in counts.iter().zip(OUTCOMES) {
                if *count > 0 {
                    let corners = [(left, y(below + count)), (right, y(below))];
                    self.area.draw(&Rectangle::new(corners, color.filled()))?;
                }
                below += count;
            }
        }
        self.text((8, rows.start), "calls per second", 14, TEXT)?;
        for (row, (_, name, color)) in (1..).zip(OUTCOMES) {
            let top = rows.start + 20 * row;
            self.bar((8, top), (20, top + 12), color)?;
            self.text((26, top), name, 13, TEXT)?;
        }
        Ok(())
    }
}

/// Counts the calls that ended in each second, in the order of [`OUTCOMES`].
fn per_second(history: &[Entry], ended: u64) -> Vec<[u32; 3]> {
    let seconds = usize::try_from(ended.div_ceil(1_000_000)).unwrap_or(0);
    let mut counts = vec![[0; 3]; seconds];
    for entry in history {
        let second = usize::try_from(entry.ended / 1_000_000).unwrap_or(usize::MAX);
        let place = OUTCOMES
            .iter()
            .position(|(outcome, ..)| *outcome == entry.outcome);
        if let (Some(second), Some(place)) = (counts.get_mut(second), place) {
            second[place] += 1;
        }
    }
    counts
}
