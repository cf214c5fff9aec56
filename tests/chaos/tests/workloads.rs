//! All workloads and all checkers with a real cluster whose coordinator is killed, and whose
//! database is paused.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bellwether_chaos::check::{self, Verdict};
use bellwether_chaos::final_state::FinalState;
use bellwether_chaos::history::{self, Workload, Writer};
use bellwether_chaos::ledger::{Ledger, Watcher};
use bellwether_chaos::replay::replay;
use bellwether_chaos::workload::{self, Load, Options};
use bellwether_testkit::{Cluster, ReplicaSet};
use bson::{Document, doc};
use clap::ValueEnum;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn everything_holds_under_faults() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut set = ReplicaSet::start_quick(3).await?;
    workload::prepare(set.client()).await?;
    let watcher = Watcher::start(set.client(), &dir.path().join("ledger.jsonl")).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let history = Writer::create(&dir.path().join("history.jsonl"))?;
    let options = Options {
        workloads: Workload::value_variants().to_vec(),
        clients: 14,
        rate: 150.0,
        seed: 1,
        started: Instant::now(),
    };
    let (load, clients) = Load::new(&options, &cluster.urls(), &history)?;
    // As on hosts of their own: a thread and a runtime for each half of the clients.
    let mut halves = [Vec::new(), Vec::new()];
    for (place, client) in clients.into_iter().enumerate() {
        halves[place % 2].push(client);
    }
    let threads: Vec<_> = halves
        .into_iter()
        .map(|clients| {
            thread::spawn(move || -> Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let runs = clients.into_iter().map(workload::Client::run);
                runtime.block_on(futures_util::future::try_join_all(runs))?;
                Ok(())
            })
        })
        .collect();

    for _ in 0..2 {
        sleep(Duration::from_secs(3)).await;
        let before = cluster.agreement().await?;
        cluster.servers[before.coordinator].process.kill()?;
        sleep(Duration::from_secs(2)).await;
        cluster.servers[before.coordinator].process.restart()?;
    }
    // Longer than any client waits, so that many commands have an unknown outcome and are sent
    // again.
    for member in &mut set.members {
        member.process.pause()?;
    }
    sleep(Duration::from_secs(9)).await;
    for member in &mut set.members {
        member.process.resume()?;
    }
    set.all_follow().await?;
    cluster.all_agree().await?;
    sleep(Duration::from_secs(3)).await;
    let told = load.stop().await?;
    for thread in threads {
        thread.join().ok().context("a client panicked")??;
    }
    println!("{told:?}");

    let entries = history::read(&dir.path().join("history.jsonl"))?;
    assert_eq!(
        told.executed + told.not_executed + told.unknown,
        entries.len() as u64
    );
    assert!(told.unknown > 0, "{told:?}");
    let coordinator = cluster.all_agree().await?.coordinator;
    let replays = replay(&entries, &cluster.urls()[coordinator], 500).await?;
    let state = FinalState::read(set.client()).await?;
    let ledger = watcher.finish().await?;
    assert_eq!(ledger, Ledger::read(&dir.path().join("ledger.jsonl"))?);

    let findings = check::all(&entries, &state, &replays, &ledger, Duration::from_secs(20));
    for finding in &findings {
        println!("{finding:?}");
        assert_eq!(finding.verdict, Verdict::Held, "{finding:?}");
        assert!(finding.checked > 0, "{finding:?}");
    }
    for workload in Workload::value_variants() {
        let checked = |invariant: &str| {
            findings
                .iter()
                .any(|finding| finding.invariant == invariant && finding.workload == Some(*workload))
        };
        let has_order = *workload != Workload::BadNeighbours;
        assert!(checked(if has_order {
            "linearizable"
        } else {
            "faulty_refused"
        }));
        assert!(checked("exactly_once") && checked("acked_is_durable"));
    }

    // The checkers notice a change of the data that no server made.
    let app = set.client().database(workload::DATABASE);
    app.collection::<Document>("sets").delete_one(doc! {}).await?;
    app.collection::<Document>("counters")
        .update_one(doc! {}, doc! { "$inc": { "n": 1 } })
        .await?;
    let state = FinalState::read(set.client()).await?;
    let findings = check::all(&entries, &state, &replays, &ledger, Duration::from_secs(20));
    let violated: Vec<_> = findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Violated(_)))
        .map(|finding| (finding.invariant.as_str(), finding.workload))
        .collect();
    for missed in [
        ("acked_is_durable", Workload::Set),
        ("set", Workload::Set),
        ("linearizable", Workload::Counter),
    ] {
        assert!(
            violated.contains(&(missed.0, Some(missed.1))),
            "{missed:?} of {findings:?}"
        );
    }
    Ok(())
}
