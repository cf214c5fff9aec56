//! Changing the cluster while it runs.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_server_is_added_without_restarting_the_others() {
    let mut cluster = Cluster::new(Config::default(), &["a", "b"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    follows(&b, "a").await;
    cluster.ids.push(id("c"));
    let c = cluster.start(member("c", 9));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(
        !matches!(&*a.role().borrow(), Role::Follower { .. }),
        "strangers are not listened to"
    );
    for election in [&a, &b] {
        election.add_peer(id("c"));
    }
    follows(&a, "c").await;
    follows(&b, "c").await;
    leads(&c).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_removed_is_replaced_and_not_listened_to() {
    let cluster = Cluster::new(Config::default(), &["a", "b", "c"]);
    let elections = [("a", 3), ("b", 2), ("c", 1)].map(|(name, number)| cluster.start(member(name, number)));
    let [_a, b, c] = &elections;
    follows(b, "a").await;
    follows(c, "a").await;
    for election in [b, c] {
        election.remove_peer(id("a"));
    }
    leads(b).await;
    follows(c, "b").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(
        b.role().borrow().own_epoch().is_some(),
        "the removed one has the larger rank"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_is_replaced_under_its_id() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let (a, b) = (cluster.start(member("a", 2)), cluster.start(member("b", 1)));
    follows(&b, "a").await;
    drop(a);
    leads(&b).await;
    let a = cluster.start(member("a", 7));
    leads(&a).await;
    follows(&b, "a").await;
    assert_eq!(b.view().peers[0].member.as_ref().unwrap().rank.number, Number(7));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_after_an_hour_is_found() {
    let cluster = Cluster::new(Config::default(), &["a", "b"]);
    let b = cluster.start(member("b", 1));
    leads(&b).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let a = cluster.start(member("a", 2));
    leads(&a).await;
    follows(&b, "a").await;
}
