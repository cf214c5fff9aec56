//! Leadership, and its end.

use super::*;
use bellwether_election::ResignError;

#[tokio::test(start_paused = true)]
async fn a_handover_waits_for_the_last_copy_of_the_term() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    let (mut first, mut second) = (a.leadership(), a.leadership());
    let held = [
        first.next_term().await.unwrap(),
        second.next_term().await.unwrap(),
    ];
    assert_eq!(held[0].epoch(), held[1].epoch());
    follows(&b, "a").await;

    let resigning = tokio::spawn({
        let a = a.clone();
        async move { a.resign().await }
    });
    held[0].ending().await;
    let [one, other] = held;
    drop(one);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        matches!(*a.role().borrow(), Role::Draining { .. }),
        "work goes on"
    );
    assert!(other.is_valid(), "what is begun may be finished");

    let epoch = other.epoch();
    drop(other);
    resigning.await.unwrap().unwrap();
    assert!(leads(&b).await > epoch);
}

#[tokio::test(start_paused = true)]
async fn who_resigned_does_not_come_back_until_the_next_one_is_gone() {
    let cluster = Cluster::new(Config::default(), &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c] = &elections;
    drop(gained(a).await);
    follows(c, "a").await;
    a.resign().await.unwrap();
    leads(b).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(
        matches!(&*a.role().borrow(), Role::Follower { coordinator } if coordinator.rank.id == id("b")),
        "the larger rank left it alone"
    );
    b.leave().await;
    leads(a).await;
}

#[tokio::test(start_paused = true)]
async fn resigning_says_why_not_and_can_be_retried() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let a = cluster.start(member("a", 2));
    leads(&a).await;
    assert_eq!(a.resign().await, Err(ResignError::NoSuccessor));
    assert!(a.role().borrow().own_epoch().is_some(), "nothing has happened");
    let b = cluster.start(member("b", 1));
    follows(&b, "a").await;
    assert_eq!(b.resign().await, Err(ResignError::NotCoordinator));
    // The first heartbeat makes it known as a successor.
    tokio::time::sleep(cluster.config.heartbeat).await;
    let work = a.leadership();
    assert_eq!(a.resign().await, Ok(()));
    leads(&b).await;
    drop(work);
}

#[tokio::test(start_paused = true)]
async fn a_term_ends_without_a_successor() {
    let cluster = Cluster::new(Config::default(), &["a"]);
    let a = cluster.start(member("a", 1));
    let term = gained(&a).await;
    assert!(term.is_valid());
    a.step_down(term.epoch());
    term.lost().await;
    assert!(!term.is_valid());
    let next = gained(&a).await;
    assert!(next.epoch() > term.epoch());
    drop(a);
    next.lost().await;
    assert!(!next.is_valid(), "without an election there is no coordinator");
}

#[tokio::test(start_paused = true)]
async fn leaving_hands_over_and_ends_the_election() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    let mut leadership = a.leadership();
    let term = leadership.next_term().await.unwrap();
    follows(&b, "a").await;
    let leaving = tokio::spawn({
        let a = a.clone();
        async move { a.leave().await }
    });
    term.ending().await;
    drop(term);
    leaving.await.unwrap();
    leads(&b).await;
    assert!(leadership.next_term().await.is_none(), "there will be no other");
    let counters = a.counters();
    assert_eq!((counters.gained, counters.lost), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn counters_tell_a_failover_from_a_false_alarm() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    follows(&b, "a").await;
    assert_eq!(b.counters().last_failover, None);
    drop(a);
    leads(&b).await;
    let counters = b.counters();
    assert!(counters.last_detection.is_some() && counters.last_failover >= counters.last_detection);
    assert_eq!((counters.flaps, counters.gained, counters.lost), (0, 1, 0));
    assert!(counters.sent > 0 && counters.received > 0 && counters.elections >= 2);
}
