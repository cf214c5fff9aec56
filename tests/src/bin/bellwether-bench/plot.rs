//! Draws the figures of `concurrency` and `reads`.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::sweep::{Point, Sweep, per_second};
use crate::workload::Workload;
use crate::{concurrency, figures, reads};

const FONT: &str = "sans-serif";
const PANEL: (u32, u32) = (460, 360);

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(crate) fn run() -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs");
    for (name, file) in [
        (concurrency::NAME, "benchmarks-writes.svg"),
        (reads::NAME, "benchmarks-reads.svg"),
    ] {
        let path = docs.join(file);
        draw(&figures::load(name)?, &path).with_context(|| format!("drawing {}", path.display()))?;
        eprintln!("Drawn: {}", path.display());
    }
    Ok(())
}

/// Draws one panel for each workload, side by side.
fn draw(sweep: &Sweep, path: &Path) -> Result<()> {
    let mut workloads: Vec<Workload> = Vec::new();
    for point in &sweep.points {
        if !workloads.contains(&point.workload) {
            workloads.push(point.workload);
        }
    }
    let count = u32::try_from(workloads.len())?;
    let picture = SVGBackend::new(path, (PANEL.0 * count, PANEL.1)).into_drawing_area();
    picture.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    let panels = picture.split_evenly((1, workloads.len()));
    for (workload, panel) in workloads.into_iter().zip(&panels) {
        let points: Vec<&Point> = sweep
            .points
            .iter()
            .filter(|point| point.workload == workload)
            .collect();
        draw_panel(panel, workload, &points).map_err(|error| anyhow!("{error}"))?;
    }
    picture.present().map_err(|error| anyhow!("{error}"))
}

/// Draws commands per second over the number of clients, which doubles from tick to tick. Each side
/// has a line, with the least and the most of its rounds.
fn draw_panel(
    panel: &Panel<'_>,
    workload: Workload,
    points: &[&Point],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let most_clients = points.iter().map(|point| place(point)).fold(1.0, f64::max);
    let all = points.iter().flat_map(|point| &point.sides);
    let most = all.map(|(_, rounds)| per_second(rounds).most).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(panel)
        .caption(title(workload), (FONT, 16))
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(62)
        .build_cartesian_2d(-0.3..most_clients + 0.3, 0.0..most * 1.08)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(9)
        .x_label_formatter(&|place| format!("{:.0}", place.exp2()))
        .y_label_formatter(&|rate| format!("{rate:.0}"))
        .x_desc("clients")
        .y_desc("commands per second")
        .label_style((FONT, 12))
        .draw()?;
    let sides = points.first().map_or(0, |point| point.sides.len());
    for side in 0..sides {
        let color = [
            RGBColor(0, 90, 181),
            RGBColor(220, 50, 32),
            RGBColor(230, 159, 0),
            RGBColor(120, 120, 120),
        ][side % 4];
        let rates = points.iter().map(|point| {
            let (_, rounds) = &point.sides[side];
            (place(point), per_second(rounds))
        });
        let rates: Vec<_> = rates.collect();
        let medians = rates.iter().map(|(place, rate)| (*place, rate.median));
        chart
            .draw_series(LineSeries::new(medians, color.stroke_width(2)))?
            .label(points[0].sides[side].0.name().replace('`', ""))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(rates.iter().map(|(place, rate)| {
            ErrorBar::new_vertical(*place, rate.least, rate.median, rate.most, color.filled(), 8)
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(TRANSPARENT)
        .label_font((FONT, 12))
        .draw()
}

/// Returns the position of a number of clients on the axis: its logarithm.
fn place(point: &Point) -> f64 {
    u32::try_from(point.clients).map_or(0.0, |clients| f64::from(clients).log2())
}

fn title(workload: Workload) -> &'static str {
    match workload {
        Workload::Inserts => "inserts, w: majority",
        Workload::Updates => "updates by _id, w: majority",
        Workload::Mixed => "half inserts, half linearizable finds",
        Workload::Reads => "finds by _id, linearizable unless named otherwise",
    }
}
