//! Writes by many concurrent clients, compared with the same number of the driver's clients.

use anyhow::Result;

use crate::figures;
use crate::side::Side;
use crate::sweep::Options;
use crate::workload::Workload;

/// The name of its figures.
pub(crate) const NAME: &str = "concurrency";

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let workloads = [Workload::Inserts, Workload::Updates, Workload::Mixed];
    let plan = options.plan(quick, &[Side::Ours, Side::Driver], &workloads)?;
    let sweep = plan.run().await?;
    plan.show(&sweep);
    figures::save(NAME, &sweep)
}
