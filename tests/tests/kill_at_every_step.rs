//! `kill -9` of the coordinator at every step of a transaction, while clients write.
//!
//! MongoDB holds a command of the transaction at the step. Then the coordinator is killed, so the
//! cut step does not depend on luck. `BELLWETHER_KILLS` sets the number of kills; 25 if it is not
//! set.

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Cluster, Effects, FailPoint, INSERTS, ReplicaSet, TracedLoad, UPDATES, execute};
use bson::{Document, doc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const KILLS: usize = 25;
const CLIENTS: usize = 6;
/// The namespace of the fence and the records.
const LEDGER: &str = "app_bellwether.ledger";

/// The fail point between the end of a command and its reply.
const AFTER_A_COMMAND: &str = "waitAfterCommandFinishesExecution";

/// A step of the transaction, and the fail point that holds it there.
struct Step {
    name: &'static str,
    fail_point: &'static str,
    data: Document,
    /// `true` if commands that fail are sent as well, which makes the coordinator look before it
    /// writes.
    with_failing: bool,
    /// `true` if every kill at this step leaves a command that is committed and not answered.
    committed: bool,
}

fn steps() -> Vec<Step> {
    let inserts = format!("app.{INSERTS}");
    let updates = format!("app.{UPDATES}");
    vec![
        Step::before("before the fence's write", "hangDuringBatchUpdate", LEDGER),
        Step::after("after the fence's write", &["update"], LEDGER),
        Step::before("before the user's insert", "hangDuringBatchInsert", &inserts),
        Step::after("after the user's insert", &["insert"], &inserts),
        Step::before("before the user's update", "hangDuringBatchUpdate", &updates),
        Step::after("after the user's update", &["update"], &updates),
        Step::before_commit("before the commit"),
        Step {
            committed: true,
            ..Step::after_commit("after the commit, before its reply")
        },
        Step::before(
            "with a failing one: before the fence's write",
            "hangDuringBatchUpdate",
            LEDGER,
        )
        .with_failing(),
        Step::after(
            "with a failing one: after the look at the ids",
            &["aggregate", "find"],
            LEDGER,
        )
        .with_failing(),
        Step::before_commit("with a failing one: before the commit").with_failing(),
        Step::after_commit("with a failing one: after the commit").with_failing(),
    ]
}

impl Step {
    fn new(name: &'static str, fail_point: &'static str, data: Document) -> Self {
        Self {
            name,
            fail_point,
            data,
            with_failing: false,
            committed: false,
        }
    }

    fn before(name: &'static str, fail_point: &'static str, namespace: &str) -> Self {
        Self::new(name, fail_point, doc! { "nss": namespace })
    }

    fn after(name: &'static str, commands: &[&str], namespace: &str) -> Self {
        Self::new(
            name,
            AFTER_A_COMMAND,
            doc! { "ns": namespace, "commands": commands },
        )
    }

    fn before_commit(name: &'static str) -> Self {
        Self::new(name, "hangBeforeCommitingTxn", doc! {})
    }

    fn after_commit(name: &'static str) -> Self {
        Self::new(name, AFTER_A_COMMAND, doc! { "commands": ["commitTransaction"] })
    }

    fn with_failing(self) -> Self {
        Self {
            with_failing: true,
            ..self
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_doubled() -> Result<()> {
    let kills = match env::var("BELLWETHER_KILLS") {
        Ok(text) => text.parse().context("BELLWETHER_KILLS is a number")?,
        Err(_) => KILLS,
    };
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let load = TracedLoad::start(&cluster.urls(), CLIENTS)?;
    let steps = steps();
    let mut cut: Vec<Vec<usize>> = steps.iter().map(|_| Vec::new()).collect();
    for kill in 0..kills {
        let which = kill % steps.len();
        // Every other successor finds the transaction still open and must end it.
        let still_open = (kill / steps.len()) % 2 == 1;
        let phase = kill_at(&steps[which], still_open, &set, &mut cluster, &load).await;
        cut[which].push(phase.with_context(|| format!("kill {kill}, {}", steps[which].name))?);
    }
    let report = load.finish().await?;
    let effects = Effects::read(set.client()).await?;

    for (step, phases) in steps.iter().zip(&cut) {
        let tally = report.tally(&effects, phases);
        println!(
            "{:<45} kills {:>3}, commands cut {:>4} (replayed {:>4}, unknown {}), lost {}, doubled {}, denied {}",
            step.name,
            phases.len(),
            tally.in_flight,
            tally.replayed,
            tally.unknown,
            tally.lost,
            tally.doubled,
            tally.denied
        );
    }
    let tally = report.tally_all(&effects);
    println!(
        "{kills} kills, {} commands, {} executed, {} unknown: lost {}, doubled {}, denied {}",
        report.sent(),
        report.executed(),
        tally.unknown,
        tally.lost,
        tally.doubled,
        tally.denied
    );
    report.check(&effects)?;
    for (step, phases) in steps.iter().zip(&cut).filter(|(step, _)| step.committed) {
        let tally = report.tally(&effects, phases);
        ensure!(
            tally.replayed >= phases.len(),
            "{}: each kill leaves a commit whose reply is lost: {tally:?}",
            step.name
        );
    }
    ensure!(report.executed() > kills, "the clients got nothing done");

    let coordinator = cluster.all_agree().await?.coordinator;
    report.repeat_all(&cluster.servers[coordinator].url()).await?;
    report.check_repeated(&Effects::read(set.client()).await?)?;
    Ok(())
}

/// Kills the coordinator at this step, sees a command executed by the others, and starts it again.
/// Gives the phase of the load that the kill ended.
async fn kill_at(
    step: &Step,
    still_open: bool,
    set: &ReplicaSet,
    cluster: &mut Cluster,
    load: &TracedLoad,
) -> Result<usize> {
    let before = cluster.all_agree().await?;
    let failing = step.with_failing.then(|| Failing::start(&cluster.urls()));
    let held = FailPoint::on(set.client(), step.fail_point, step.data.clone()).await?;
    held.entered().await?;
    cluster.servers[before.coordinator].process.kill()?;
    let phase = load.next_phase();
    if still_open {
        sleep(Duration::from_millis(100)).await;
    }
    held.off().await?;
    drop(failing);

    execute(&cluster.urls(), r#"{"insert":"probes","documents":[{}]}"#).await??;
    let after = cluster.agreement().await?;
    ensure!(
        after.coordinator != before.coordinator && after.epoch > before.epoch,
        "{after:?} after {before:?}"
    );
    cluster.servers[before.coordinator].process.restart()?;
    Ok(phase)
}

/// Clients whose commands fail, over and over, until this is dropped.
struct Failing {
    clients: Vec<JoinHandle<()>>,
}

impl Failing {
    fn start(servers: &[String]) -> Self {
        let clients = (0..2).map(|_| {
            let servers = servers.to_vec();
            tokio::spawn(async move {
                // The second document collides with the first.
                let twice = r#"{"insert":"failing","documents":[{"_id":1},{"_id":1}]}"#;
                while let Ok(Err(_refused)) = execute(&servers, twice).await {}
            })
        });
        Self {
            clients: clients.collect(),
        }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}
