use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bed::Bed;
use crate::closed_loop::{Round, closed_loop};
use crate::machine::Machine;
use crate::side::{Driver, Side, connect, make_documents, with_operations};
use crate::statistics::{Percentiles, Spread};
use crate::workload::{Operations, Workload};
use bellwether_testkit::markdown::{count, line, table};

#[derive(Args, Clone, Default)]
pub(crate) struct Options {
    /// Number of clients at a time [default: 1,4,16,64,256; with --quick 1,64]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4000))]
    clients: Vec<u32>,

    /// Number of rounds [default: 5; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Time for which each side is measured in a round, in milliseconds [default: 3000; with
    /// --quick 500]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..))]
    measured_ms: Option<u64>,
}

/// The measurements to make: every workload with every number of clients, all sides in turn.
pub(crate) struct Plan {
    clients: Vec<usize>,
    rounds: u32,
    measured: Duration,
    sides: Vec<Side>,
    workloads: Vec<Workload>,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sweep {
    pub(crate) machine: Machine,
    pub(crate) points: Vec<Point>,
}

/// The rounds of one number of clients with one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) workload: Workload,
    pub(crate) clients: usize,
    /// For each side its rounds; those of one index came one after the other.
    pub(crate) sides: Vec<(Side, Vec<Round>)>,
}

impl Options {
    pub(crate) fn plan(&self, quick: bool, sides: &[Side], workloads: &[Workload]) -> Result<Plan> {
        let clients = match (self.clients.as_slice(), quick) {
            ([], false) => &[1, 4, 16, 64, 256],
            ([], true) => &[1, 64][..],
            (chosen, _) => chosen,
        };
        let (rounds, measured_ms) = if quick { (2, 500) } else { (5, 3000) };
        Ok(Plan {
            clients: clients
                .iter()
                .map(|clients| usize::try_from(*clients))
                .collect::<Result<_, _>>()?,
            rounds: self.rounds.unwrap_or(rounds),
            measured: Duration::from_millis(self.measured_ms.unwrap_or(measured_ms)),
            sides: sides.to_vec(),
            workloads: workloads.to_vec(),
        })
    }
}

impl Plan {
    pub(crate) async fn run(&self) -> Result<Sweep> {
        let mut bed = Bed::start().await?;
        let machine = Machine::seen(bed.replica_set.client()).await?;
        make_documents(&bed).await?;
        let most = self.clients.iter().max().copied().unwrap_or_default();
        let driver = Driver::connect(&bed, most).await?;
        let mut points = self.points();
        for round in 1..=self.rounds {
            for point in &mut points {
                let (workload, clients) = (point.workload, point.clients);
                eprintln!(
                    "Round {round} of {}: {clients} clients, {}.",
                    self.rounds,
                    workload.name()
                );
                for (side, rounds) in &mut point.sides {
                    let measured = self.one(&mut bed, &driver, *side, workload, clients).await;
                    let measured = measured
                        .with_context(|| format!("{clients} clients, {workload:?}, {}", side.name()))?;
                    rounds.push(measured);
                }
            }
        }
        Ok(Sweep { machine, points })
    }

    fn points(&self) -> Vec<Point> {
        let sides: Vec<_> = self.sides.iter().map(|side| (*side, Vec::new())).collect();
        let points = self.workloads.iter().flat_map(|workload| {
            self.clients.iter().map(|clients| Point {
                workload: *workload,
                clients: *clients,
                sides: sides.clone(),
            })
        });
        points.collect()
    }

    async fn one(
        &self,
        bed: &mut Bed,
        driver: &Driver,
        side: Side,
        workload: Workload,
        clients: usize,
    ) -> Result<Round> {
        let gauge = bed.gauge();
        let operations = || Operations::of(workload);
        if side == Side::Ours {
            let port = bed.coordinator_port().await?;
            let callers = with_operations(connect(port, clients).await?, operations);
            closed_loop(callers, self.measured, &gauge).await
        } else {
            let driver = driver.reading_as(side);
            let callers = with_operations(vec![driver; clients], operations);
            closed_loop(callers, self.measured, &gauge).await
        }
    }

    /// Prints the tables: the results of each workload, and its costs.
    pub(crate) fn show(&self, sweep: &Sweep) {
        sweep.machine.show();
        let rounds = self.rounds;
        line(&format!(
            "Commands per second in {rounds} rounds of {:?} each, all sides of a row in turn: median (least–most).\n",
            self.measured
        ));
        for workload in &self.workloads {
            line(&format!("**{}**\n", workload.name()));
            let points = || sweep.points.iter().filter(|point| point.workload == *workload);
            let mut header = vec!["clients"];
            header.extend(self.sides.iter().map(|side| side.name()));
            header.extend(["ratio", "Bellwether p50 / p99, ms", "driver p50 / p99, ms"]);
            table(&header, &points().map(Point::rates).collect::<Vec<_>>());
        }
        line(
            "Processor time, µs a command: all servers + all `mongod` + this program, and how busy that kept the cores; and how many \
             commands of Bellwether's came to a transaction of MongoDB's:\n",
        );
        let mut header = vec!["", "clients"];
        header.extend(self.sides.iter().map(|side| side.name()));
        header.push("commands a transaction");
        table(
            &header,
            &sweep.points.iter().map(Point::costs).collect::<Vec<_>>(),
        );
    }
}

impl Point {
    /// Returns the ratio of our commands per second to the driver's, round by round.
    fn ratio(&self) -> Spread {
        let (ours, driver) = (self.rounds(Side::Ours), self.rounds(Side::Driver));
        Spread::of(
            ours.iter()
                .zip(driver)
                .map(|(ours, driver)| ours.per_second / driver.per_second),
        )
    }

    fn rounds(&self, wanted: Side) -> &[Round] {
        let found = self.sides.iter().find(|(side, _)| *side == wanted);
        found.map_or(&[], |(_, rounds)| rounds)
    }

    fn rates(&self) -> Vec<String> {
        let mut row = vec![self.clients.to_string()];
        row.extend(
            self.sides
                .iter()
                .map(|(_, rounds)| per_second(rounds).show(count)),
        );
        row.push(self.ratio().show(|ratio| format!("{ratio:.2}")));
        for side in [Side::Ours, Side::Driver] {
            let rounds: Vec<_> = self.rounds(side).iter().map(|round| round.latency).collect();
            let Percentiles { p50, p99, .. } = Percentiles::over_rounds(&rounds);
            row.push(format!("{p50:.1} / {p99:.1}"));
        }
        row
    }

    fn costs(&self) -> Vec<String> {
        let mut row = vec![format!("{:?}", self.workload), self.clients.to_string()];
        row.extend(self.sides.iter().map(|(_, rounds)| {
            let median = |of: fn(&Round) -> f64| Spread::of(rounds.iter().map(of)).median;
            format!(
                "{} + {} + {}, {:.0} %",
                count(median(|round| round.servers_us)),
                count(median(|round| round.mongods_us)),
                count(median(|round| round.client_us)),
                100.0 * median(|round| round.busy)
            )
        }));
        row.push(together(self.rounds(Side::Ours)));
        row
    }
}

/// Commands per second over the rounds.
pub(crate) fn per_second(rounds: &[Round]) -> Spread {
    Spread::of(rounds.iter().map(|round| round.per_second))
}

/// Returns the number of commands per transaction, if there were enough transactions.
fn together(rounds: &[Round]) -> String {
    let transactions = Spread::of(rounds.iter().map(|round| round.transactions)).median;
    // Elections and the like have some, too.
    if transactions < 10.0 {
        return "–".to_owned();
    }
    format!("{:.1}", per_second(rounds).median / transactions)
}
