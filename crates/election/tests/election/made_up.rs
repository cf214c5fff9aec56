//! `granted_epochs_only`: a peer names an epoch that was never granted.

use super::*;
use bellwether_election::{Body, Message, Timestamp, Transport};

const MADE_UP: Epoch = Epoch(1_000_000_000_000_000);

/// Sends to all, in the name of `liar`, that it is coordinator under an invented epoch, for three
/// seconds.
async fn lie(cluster: &Cluster, liar: &Member) {
    let mut transport = cluster.network.join(liar.rank.id.clone());
    for _ in 0..30 {
        for to in cluster.ids.iter().filter(|id| **id != liar.rank.id) {
            let body = Body::Coordinator {
                epoch: MADE_UP,
                sent_at: Timestamp(0),
            };
            let sender = liar.clone();
            transport.send(to, Message { sender, body });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_was_made_up_is_forgotten() {
    let cluster = Cluster::new(Config::default(), &["a", "b", "z"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    let before = leads(&a).await;
    follows(&b, "a").await;
    let asked = cluster.arbiter.asked.load(Ordering::SeqCst);
    // Its rank is the smallest, so it would not be elected coordinator.
    lie(&cluster, &member("z", 0)).await;

    let epoch = leads(&a).await;
    assert!(before <= epoch && epoch < MADE_UP, "{epoch}");
    follows(&b, "a").await;
    for election in [&a, &b] {
        assert!(election.view().epoch < MADE_UP, "{:?}", election.view());
        assert!(election.counters().refuted > 0);
    }
    // Every server hears the lie thirty times.
    let asked = cluster.arbiter.asked.load(Ordering::SeqCst) - asked;
    assert!(asked < 30, "{asked} questions");

    // A server that starts later receives none of these messages.
    drop(b);
    let b = cluster.start(member("b", 3));
    let later = leads(&b).await;
    assert!(epoch < later && later < MADE_UP, "{later}");
}

#[tokio::test(start_paused = true)]
async fn an_arbiter_that_cannot_be_reached_is_asked_again() {
    let cluster = Cluster::new(Config::default(), &["a", "z"]);
    let a = cluster.start(member("a", 2));
    let before = leads(&a).await;
    cluster.arbiter.unreachable.store(true, Ordering::SeqCst);
    lie(&cluster, &member("z", 0)).await;
    assert_eq!(a.view().epoch, MADE_UP, "nobody could say that it is made up");
    cluster.arbiter.unreachable.store(false, Ordering::SeqCst);
    let epoch = leads(&a).await;
    assert!(before < epoch && epoch < MADE_UP, "{epoch}");
}

/// Without a record no arbiter can tell, as the documentation says.
#[tokio::test(start_paused = true)]
async fn the_local_arbiter_believes_everything() {
    let cluster = Cluster::new(Config::default(), &["a", "z"]);
    let transport = cluster.network.join(id("a"));
    let ids = cluster.ids.clone();
    let a = Election::start(Config::default(), member("a", 2), ids, transport, LocalArbiter).unwrap();
    leads(&a).await;
    lie(&cluster, &member("z", 0)).await;
    assert_eq!(leads(&a).await, MADE_UP.next());
    assert_eq!(a.counters().refuted, 0);
}
