//! In which order servers are tried.

use std::collections::HashSet;

use crate::B;
use crate::network::Network;
use crate::script::Does;

#[tokio::test(start_paused = true)]
async fn a_shuffled_list_is_tried_in_every_order_and_each_server_once() {
    let mut orders = HashSet::new();
    for seed in 1..200 {
        let follows = &[Does::Follows(None), Does::Executes];
        let network = Network::new(&[("a", follows), ("b", follows), ("c", follows)]).seeded(seed);
        let executed = network.run(network.one_shot().shuffled()).await.unwrap();
        let order = network.asked()[..5].to_owned();
        for name in ["a", "b", "c"] {
            assert_eq!(order.matches(name).count(), 1, "{order}");
        }
        assert!(
            order.starts_with(executed.url.host()),
            "the order is kept: {order}"
        );
        orders.insert(order);
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[tokio::test(start_paused = true)]
async fn the_server_named_as_the_first_is_tried_first() {
    let network = || {
        let follows: &[Does] = &[Does::Follows(None)];
        Network::new(&[("a", follows), ("b", follows), ("c", &[Does::Executes])])
    };
    let listed = network();
    let shot = listed.one_shot().first(B.parse().unwrap());
    let mut positions = Vec::new();
    let watch = |event: bellwether_client::Event<'_>| {
        if let bellwether_client::Event::Trying { server, .. } = event {
            positions.push(server);
        }
    };
    shot.execute(&crate::network::command(), watch).await.unwrap();
    assert_eq!(listed.asked(), "b a c");
    assert_eq!(positions, [1, 0, 2], "positions are those of the list");

    for seed in 1..20 {
        let shuffled = network().seeded(seed);
        let shot = shuffled.one_shot().shuffled().first(B.parse().unwrap());
        shuffled.run(shot).await.unwrap();
        assert!(shuffled.asked().starts_with('b'), "{}", shuffled.asked());
    }

    let elsewhere = network();
    let shot = elsewhere.one_shot().first("ws://z:1/v1".parse().unwrap());
    elsewhere.run(shot).await.unwrap();
    assert_eq!(elsewhere.asked(), "a b c");
}
