//! A cluster in which nothing happens allocates nothing.

use allocation_counter::measure;
use bellwether_election::Quorum;

#[path = "../benches/figures/steady.rs"]
mod steady;

use steady::{Coordinator, Follower};

const POLICIES: [Quorum; 2] = [Quorum::None, Quorum::Majority];

#[test]
fn allocations_are_counted() {
    let counted = measure(|| drop(std::hint::black_box(vec![0_u8; 100])));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn a_coordinator_answers_heartbeats_without_allocating() {
    for (quorum, followers) in POLICIES
        .into_iter()
        .flat_map(|quorum| [2, 10, 200].map(|n| (quorum, n)))
    {
        let mut coordinator = Coordinator::new(followers, quorum);
        let mut acknowledged = 0;
        let counted = measure(|| acknowledged = coordinator.second());
        assert_eq!(acknowledged, 10 * followers as u64);
        assert_eq!(counted.count_total, 0, "{quorum:?}, {followers} followers");
    }
}

#[test]
fn a_follower_sends_heartbeats_and_takes_the_answers_without_allocating() {
    for (quorum, peers) in POLICIES
        .into_iter()
        .flat_map(|quorum| [2, 10, 200].map(|n| (quorum, n)))
    {
        let mut follower = Follower::new(peers, quorum);
        let mut answered = 0;
        let counted = measure(|| answered = follower.second());
        assert!(answered >= 9, "{answered} heartbeats in a second");
        assert_eq!(counted.count_total, 0, "{quorum:?}, {peers} peers");
    }
}
