//! The elected coordinator, and its preemption by another server.

use super::*;
use bellwether_election::{Detection, Preemption, Succession};

#[tokio::test(start_paused = true)]
async fn priority_decides_before_the_number() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let a = cluster.start(member("a", u64::MAX));
    let b = cluster.start(member("b", 1).with_priority(1));
    leads(&b).await;
    follows(&a, "b").await;
}

#[tokio::test(start_paused = true)]
async fn an_observer_follows_and_never_leads() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let a = cluster.start(member("a", u64::MAX).as_observer());
    let b = cluster.start(member("b", 1));
    leads(&b).await;
    follows(&a, "b").await;
    drop(b);
    until(&a, |role| *role == Role::Electing).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(*a.role().borrow(), Role::Electing);
    assert_eq!(a.counters().gained, 0);
}

async fn newcomer_of_larger_rank(preemption: Preemption) -> (Cluster, Election, Election) {
    let config = Config {
        preemption,
        ..Config::default()
    };
    let cluster = Cluster::new(config, &["a", "b"]);
    let a = cluster.start(member("a", 1));
    leads(&a).await;
    let b = cluster.start(member("b", 2));
    (cluster, a, b)
}

#[tokio::test(start_paused = true)]
async fn the_larger_rank_takes_over_at_once_by_default() {
    let (_cluster, a, b) = newcomer_of_larger_rank(Preemption::Always).await;
    leads(&b).await;
    follows(&a, "b").await;
}

#[tokio::test(start_paused = true)]
async fn the_larger_rank_takes_over_after_the_delay() {
    let delay = Duration::from_secs(30);
    let (_cluster, a, b) = newcomer_of_larger_rank(Preemption::After(delay)).await;
    follows(&b, "a").await;
    tokio::time::sleep(delay - Duration::from_secs(1)).await;
    assert!(a.role().borrow().own_epoch().is_some());
    leads(&b).await;
}

#[tokio::test(start_paused = true)]
async fn the_larger_rank_never_takes_over_but_succeeds() {
    let (_cluster, a, b) = newcomer_of_larger_rank(Preemption::Never).await;
    follows(&b, "a").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(a.role().borrow().own_epoch().is_some());
    drop(a);
    leads(&b).await;
}

#[tokio::test(start_paused = true)]
async fn the_classic_algorithm_elects_the_same_server() {
    let config = Config {
        succession: Succession::Classic,
        ..Config::default()
    };
    let cluster = Cluster::new(config, &["a", "b", "c", "d"]);
    let elections =
        [("a", 4), ("b", 3), ("c", 2), ("d", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c, d] = elections;
    for election in [&b, &c, &d] {
        follows(election, "a").await;
    }
    drop(a);
    leads(&b).await;
    follows(&c, "b").await;
    follows(&d, "b").await;
}

#[tokio::test(start_paused = true)]
async fn adaptive_detection_elects_and_fails_over() {
    let floor = Duration::from_millis(200);
    let config = Config {
        detection: Detection::Adaptive { floor },
        ..Config::default()
    };
    let cluster = Cluster::new(config, &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c] = elections;
    follows(&b, "a").await;
    follows(&c, "a").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    drop(a);
    leads(&b).await;
    follows(&c, "b").await;
    assert_eq!(b.counters().flaps, 0);
}
