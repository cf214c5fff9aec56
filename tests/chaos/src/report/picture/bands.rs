use std::collections::BTreeMap;

use plotters::element::PathElement;
use plotters::style::RGBColor;

use super::{Drawn, LEFT, PANEL_GAP, Picture, RIGHT, ROW, TEXT};
use crate::fault::{Fault, Node};
use crate::timeline::Timeline;

/// Rows of bars under a title.
pub(super) struct Band {
    title: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    bars: Vec<Bar>,
}

struct Bar {
    began: u64,
    ended: u64,
    text: String,
    color: RGBColor,
}

/// Colors of adjacent bands. They differ clearly, and each is light enough for dark text on it.
const COLORS: [RGBColor; 4] = [
    RGBColor(120, 190, 140),
    RGBColor(190, 160, 220),
    RGBColor(235, 180, 110),
    RGBColor(130, 180, 225),
];

/// Approximate width of a letter.
const LETTER: i32 = 6;

impl Band {
    pub(super) fn height(&self) -> i32 {
        let rows = i32::try_from(self.rows.len()).unwrap_or(0);
        rows * ROW
    }
}

/// Coordinators, MongoDB's primary, faults.
pub(super) fn all(timeline: &Timeline, ended: u64) -> Vec<Band> {
    let bands = [coordinators(timeline), primaries(timeline), faults(timeline)];
    let mut bands: Vec<Band> = bands.into_iter().filter(|band| !band.rows.is_empty()).collect();
    for bar in bands
        .iter_mut()
        .flat_map(|band| &mut band.rows)
        .flat_map(|row| &mut row.bars)
    {
        bar.ended = bar.ended.min(ended);
    }
    bands
}

fn coordinators(timeline: &Timeline) -> Band {
    let mut rows: BTreeMap<usize, Vec<Bar>> = BTreeMap::new();
    for reign in &timeline.reigns {
        rows.entry(reign.server).or_default().push(Bar {
            began: reign.began,
            ended: reign.ended,
            text: reign.epoch.to_string(),
            color: color(reign.epoch),
        });
    }
    let rows = rows.into_iter().map(|(server, bars)| Row {
        name: Node::Server(server).to_string(),
        bars,
    });
    Band {
        title: "who says to be coordinator, in which epoch",
        rows: rows.collect(),
    }
}

fn primaries(timeline: &Timeline) -> Band {
    let mut rows: BTreeMap<usize, Vec<Bar>> = BTreeMap::new();
    for primary in &timeline.primaries {
        rows.entry(primary.member).or_default().push(Bar {
            began: primary.began,
            ended: primary.ended,
            text: String::new(),
            color: color(primary.member as u64),
        });
    }
    let rows = rows.into_iter().map(|(member, bars)| Row {
        name: Node::Mongod(member).to_string(),
        bars,
    });
    Band {
        title: "MongoDB's primary",
        rows: rows.collect(),
    }
}

fn faults(timeline: &Timeline) -> Band {
    let mut rows: BTreeMap<Fault, Vec<Bar>> = BTreeMap::new();
    for ordeal in &timeline.faults {
        let nodes: Vec<String> = ordeal.nodes.iter().map(Node::to_string).collect();
        let place = rows.len() as u64;
        let bars = rows.entry(ordeal.fault).or_default();
        bars.push(Bar {
            began: ordeal.began,
            ended: ordeal.ended,
            text: nodes.join(" "),
            color: bars.first().map_or_else(|| color(place), |bar| bar.color),
        });
    }
    let rows = rows.into_iter().map(|(fault, bars)| Row {
        name: fault.to_string(),
        bars,
    });
    Band {
        title: "faults, and whom they met",
        rows: rows.collect(),
    }
}

fn color(number: u64) -> RGBColor {
    COLORS[usize::try_from(number).unwrap_or(0) % COLORS.len()]
}

impl Picture<'_> {
    pub(super) fn draw_band(&self, band: &Band, top: i32) -> Drawn {
        self.text((8, top - PANEL_GAP / 2 - 2), band.title, 14, TEXT)?;
        for (row, place) in band.rows.iter().zip(0..) {
            let top = top + place * ROW;
            let bottom = top + ROW - 1;
            let line = [(LEFT, bottom), (self.width - RIGHT, bottom)];
            self.area.draw(&PathElement::new(line, RGBColor(235, 235, 235)))?;
            self.text((20, top + 3), &row.name, 13, TEXT)?;
            for bar in &row.bars {
                let (left, right) = (self.x(bar.began), self.x(bar.ended));
                self.bar((left, top + 2), (right, top + ROW - 2), bar.color)?;
                // Text that does not fit would hide its neighbours.
                let letters = i32::try_from(bar.text.len()).unwrap_or(i32::MAX);
                if letters.saturating_mul(LETTER) < right - left {
                    self.text((left + 3, top + 4), &bar.text, 12, TEXT)?;
                }
            }
        }
        Ok(())
    }
}
