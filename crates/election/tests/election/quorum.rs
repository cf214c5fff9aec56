//! The servers that a coordinator must hear to be coordinator.

use super::*;
use bellwether_election::Quorum;

fn config(quorum: Quorum) -> Config {
    Config {
        quorum,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_loses_its_majority_stops_and_comes_back_with_it() {
    let cluster = Cluster::new(config(Quorum::Majority), &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c] = elections;
    let term = gained(&a).await;
    assert!(term.is_valid());
    assert!(term.valid_until().is_some());
    drop(b);
    tokio::time::sleep(LONG).await;
    assert!(term.is_valid(), "two of three are a majority");
    drop(c);
    term.lost().await;
    assert!(!term.is_valid());
    tokio::time::sleep(LONG).await;
    assert_eq!(*a.role().borrow(), Role::Electing, "one of three is none");
    let c = cluster.start(member("c", 1));
    assert!(gained(&a).await.epoch() > term.epoch());
    follows(&c, "a").await;
}

#[tokio::test(start_paused = true)]
async fn a_majority_elects_a_successor() {
    let cluster = Cluster::new(config(Quorum::Majority), &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c] = elections;
    let before = leads(&a).await;
    follows(&c, "a").await;
    drop(a);
    assert!(leads(&b).await > before);
    follows(&c, "b").await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_releases_the_voters_at_once() {
    let cluster = Cluster::new(config(Quorum::Majority), &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [a, b, c] = elections;
    leads(&a).await;
    follows(&b, "a").await;
    follows(&c, "a").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _nobody_works = a.leadership();
    let begun = tokio::time::Instant::now();
    a.resign().await.unwrap();
    leads(&b).await;
    // Virtual time: with the promises in force it would be the timeout.
    assert!(
        begun.elapsed() < cluster.config.heartbeat,
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn observers_have_no_vote() {
    let cluster = Cluster::new(config(Quorum::Majority), &["a", "b", "o", "p", "q"]);
    let a = cluster.start(member("a", 3));
    let b = cluster.start(member("b", 2));
    let observers = ["o", "p", "q"].map(|name| cluster.start(member(name, 9).as_observer()));
    let term = gained(&a).await;
    drop(b);
    term.lost().await;
    tokio::time::sleep(LONG).await;
    for election in observers.iter().chain([&a]) {
        assert_eq!(
            *election.role().borrow(),
            Role::Electing,
            "one of two has no majority"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_is_told_by_the_arbiter_that_it_was_replaced() {
    let cluster = Cluster::new(config(Quorum::Arbiter), &["a"]);
    let a = cluster.start(member("a", 1));
    let term = gained(&a).await;
    tokio::time::sleep(LONG).await;
    assert!(term.is_valid());
    let elsewhere = Claim {
        rank: member("z", 1).rank,
        above: term.epoch(),
    };
    let newer = cluster.arbiter.claim(elsewhere).await.unwrap();
    term.lost().await;
    assert!(gained(&a).await.epoch() > newer);
}

/// Grants, and then is not heard of again.
struct Silent;

impl Arbiter for Silent {
    type Error = &'static str;

    async fn claim(&self, claim: Claim) -> Result<Epoch, Self::Error> {
        Ok(claim.above.next())
    }

    async fn confirm(&self, _: Epoch) -> Result<bool, Self::Error> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_the_arbiter_does_not_answer_stops() {
    let network = memory::Network::new();
    let transport = network.join(id("a"));
    let a = Election::start(config(Quorum::Arbiter), member("a", 1), [], transport, Silent).unwrap();
    let term = gained(&a).await;
    term.lost().await;
}
