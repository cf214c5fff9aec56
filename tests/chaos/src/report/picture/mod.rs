//! The timeline as a picture: throughput, coordinators, faults, one above the other on one axis of
//! time.

mod bands;
mod throughput;

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::figures::executed;
use super::gaps::between;
use crate::history::Entry;
use crate::timeline::Timeline;

const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(60, 60, 60);
/// Shorter ones are everyday life, and would hide the others.
const SHORTEST_GAP: u64 = 1_000_000;
const GAP: RGBColor = RGBColor(250, 215, 215);

/// For the names of rows.
const LEFT: i32 = 150;
const RIGHT: i32 = 20;
const TITLE: i32 = 34;
const ROW: i32 = 18;
const PANEL_GAP: i32 = 30;
const AXIS: i32 = 40;
/// The width of `10.0 s`.
const LABEL: i32 = 36;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The drawing area, with the scale of its times.
struct Picture<'a> {
    area: Area<'a>,
    width: i32,
    ended: u64,
    /// The stretches without an executed command that are long enough to be shown.
    gaps: Vec<(u64, u64)>,
}

/// Draws a run.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(path: &Path, title: &str, history: &[Entry], timeline: &Timeline) -> Result<()> {
    let ended = timeline.ended.max(1_000_000);
    let bands = bands::all(timeline, ended);
    let rows: i32 = bands.iter().map(|band| band.height() + PANEL_GAP).sum();
    let throughput = TITLE + 10..TITLE + 10 + throughput::HEIGHT;
    let height = throughput.end + PANEL_GAP + rows + AXIS;
    let width = width(ended);
    let size = (u32::try_from(width)?, u32::try_from(height)?);
    let executed = executed(history);
    let gaps = between(&executed, 0, ended).filter(|(from, to)| to - from >= SHORTEST_GAP);
    let picture = Picture {
        area: SVGBackend::new(path, size).into_drawing_area(),
        width,
        ended,
        gaps: gaps.collect(),
    };
    picture
        .draw(title, history, &bands, throughput, height)
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| format!("drawing {}", path.display()))
}

/// Returns the width: enough that a fault of a second can be seen, and not more than programs show.
fn width(ended: u64) -> i32 {
    let seconds = i32::try_from(ended / 1_000_000).unwrap_or(i32::MAX);
    LEFT + RIGHT + seconds.saturating_mul(10).clamp(1_000, 9_000)
}

impl Picture<'_> {
    fn draw(
        &self,
        title: &str,
        history: &[Entry],
        bands: &[bands::Band],
        throughput: Range<i32>,
        height: i32,
    ) -> Drawn {
        self.area.fill(&WHITE)?;
        self.text((LEFT, 8), title, 18, TEXT)?;
        self.draw_gaps(throughput.start, height - AXIS)?;
        self.draw_throughput(history, throughput.clone())?;
        let mut top = throughput.end + PANEL_GAP;
        for band in bands {
            self.draw_band(band, top)?;
            top += band.height() + PANEL_GAP;
        }
        self.draw_axis(height - AXIS)?;
        self.area.present()
    }

    /// Draws the gaps behind everything, through all panels.
    fn draw_gaps(&self, top: i32, bottom: i32) -> Drawn {
        let mut free = 0;
        for (from, to) in &self.gaps {
            let (left, right) = (self.x(*from), self.x(*to));
            self.bar((left, top), (right, bottom), GAP)?;
            let length = format!("{:.1} s", (to - from) as f64 / 1e6);
            // Between others there may be no place for it.
            if left >= free {
                self.text((left + 2, top - 13), &length, 12, RGBColor(190, 60, 60))?;
                free = left + LABEL;
            }
        }
        Ok(())
    }

    fn draw_axis(&self, top: i32) -> Drawn {
        let line = [(LEFT, top), (self.width - RIGHT, top)];
        self.area.draw(&PathElement::new(line, TEXT))?;
        let step = self.tick();
        for tick in (0..=self.ended / 1_000_000).step_by(usize::try_from(step).unwrap_or(60)) {
            let x = self.x(tick * 1_000_000);
            self.area
                .draw(&PathElement::new([(x, top), (x, top + 4)], TEXT))?;
            let label = match (step < 60, tick / 60, tick % 60) {
                (true, ..) => format!("{tick} s"),
                (false, minutes, _) => format!("{minutes} min"),
            };
            self.text((x - 8, top + 8), &label, 13, TEXT)?;
        }
        Ok(())
    }

    /// Returns the number of seconds between two labels of the axis.
    fn tick(&self) -> u64 {
        let seconds = self.ended / 1_000_000;
        let most = u64::try_from(self.width / 70).unwrap_or(1);
        let steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
        let fits = steps.into_iter().find(|step| seconds / step <= most);
        fits.unwrap_or(1_200)
    }

    /// Returns the horizontal position of a time.
    fn x(&self, time: u64) -> i32 {
        let inside = f64::from(self.width - LEFT - RIGHT);
        let share = time.min(self.ended) as f64 / self.ended as f64;
        #[expect(clippy::cast_possible_truncation, reason = "it is within the width")]
        let offset = (share * inside) as i32;
        LEFT + offset
    }

    fn bar(&self, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Drawn {
        // A stretch that is too short to be seen is still drawn.
        let to = (to.0.max(from.0 + 2), to.1);
        self.area.draw(&Rectangle::new([from, to], color.filled()))
    }

    fn text(&self, at: (i32, i32), text: &str, size: i32, color: RGBColor) -> Drawn {
        let style = (FONT, size).into_font().color(&color);
        self.area.draw_text(text, &style, at)
    }
}
