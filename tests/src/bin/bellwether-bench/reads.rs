//! Reads by many concurrent clients, compared with the same number of the driver's clients.

use anyhow::Result;

use crate::figures;
use crate::side::Side;
use crate::sweep::Options;
use crate::workload::Workload;

/// The name of its figures.
pub(crate) const NAME: &str = "reads";

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let sides = [
        Side::Ours,
        Side::Driver,
        // The cost of weaker guarantees, to compare.
        Side::DriverMajority,
        Side::DriverLocal,
    ];
    let plan = options.plan(quick, &sides, &[Workload::Reads])?;
    let sweep = plan.run().await?;
    plan.show(&sweep);
    figures::save(NAME, &sweep)
}
