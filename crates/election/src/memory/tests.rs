use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Endpoint, Faults, MAX_WAITING, Network};
use crate::conformance::samples;
use crate::{Event, Link, Message, Number, ServerId, Transport};

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn message(from: &str, number: u64) -> Message {
    let mut message = samples(&id(from)).swap_remove(0);
    message.sender.rank.number = Number(number);
    message
}

/// Returns all events until nothing has arrived for an hour. The paused clock passes that time at
/// once.
async fn drain(endpoint: &mut Endpoint) -> Vec<Event> {
    let mut events = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_secs(3600), endpoint.recv()).await {
        events.push(event);
    }
    events
}

fn numbers(events: &[Event]) -> Vec<u64> {
    let numbers = events.iter().filter_map(|event| match event {
        Event::Message { message, .. } => Some(message.sender.rank.number.0),
        Event::Link { .. } => None,
    });
    numbers.collect()
}

fn links(events: &[Event]) -> Vec<(&str, Link)> {
    let links = events.iter().filter_map(|event| match event {
        Event::Link { peer, link } => Some((peer.as_str(), *link)),
        Event::Message { .. } => None,
    });
    links.collect()
}

async fn pair(network: &Network) -> (Endpoint, Endpoint) {
    let (mut a, mut b) = (network.join(id("a")), network.join(id("b")));
    assert_eq!(links(&drain(&mut a).await), [("b", Link::Up)]);
    assert_eq!(links(&drain(&mut b).await), [("a", Link::Up)]);
    (a, b)
}

fn send(endpoint: &mut Endpoint, to: &str, numbers: impl IntoIterator<Item = u64>) {
    let from = endpoint.id.clone();
    for number in numbers {
        endpoint.send(&id(to), message(from.as_str(), number));
    }
}

#[tokio::test(start_paused = true)]
async fn without_faults_everything_arrives_once_and_in_order() {
    let (mut a, mut b) = pair(&Network::new()).await;
    send(&mut a, "b", 0..100);
    assert_eq!(numbers(&drain(&mut b).await), Vec::from_iter(0..100));
}

#[tokio::test(start_paused = true)]
async fn delays_hold_a_message_back_and_let_others_overtake_it() {
    let network = Network::new();
    let (mut a, mut b) = pair(&network).await;
    let (least, most) = (Duration::from_millis(50), Duration::from_millis(90));
    network.set_faults(Faults {
        delay: least..=most,
        ..Faults::NONE
    });
    let began = Instant::now();
    send(&mut a, "b", 0..100);
    let first = numbers(&[b.recv().await.unwrap()]);
    // The clock is paused, so these are the network's own delays.
    assert!(began.elapsed() >= least);
    let mut arrived = first;
    while arrived.len() < 100 {
        arrived.extend(numbers(&[b.recv().await.unwrap()]));
    }
    assert!(
        began.elapsed() <= most + Duration::from_millis(1),
        "{:?}",
        began.elapsed()
    );
    assert_ne!(arrived, Vec::from_iter(0..100), "some overtake others");
    arrived.sort_unstable();
    assert_eq!(arrived, Vec::from_iter(0..100), "and none is lost");
}

#[tokio::test(start_paused = true)]
async fn messages_are_lost_and_doubled_as_often_as_asked() {
    let network = Network::seeded(1);
    let (mut a, mut b) = pair(&network).await;
    network.set_faults(Faults {
        drop: 0.25,
        duplicate: 0.5,
        ..Faults::NONE
    });
    send(&mut a, "b", 0..2000);
    let mut arrived = numbers(&drain(&mut b).await);
    // 2000 × 0.75 × 1.5 = 2250, and 1500 different ones.
    assert!((2100..2400).contains(&arrived.len()), "{}", arrived.len());
    arrived.dedup();
    assert!((1400..1600).contains(&arrived.len()), "{}", arrived.len());
    for (drop, duplicate, expected) in [
        (1.0, 1.0, 0),
        (7.0, 0.0, 0),
        (f64::NAN, f64::NAN, 0),
        (-1.0, 2.0, 20),
    ] {
        network.set_faults(Faults {
            drop,
            duplicate,
            ..Faults::NONE
        });
        send(&mut a, "b", 0..10);
        assert_eq!(drain(&mut b).await.len(), expected, "{drop} {duplicate}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_faults() {
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        let network = Network::seeded(seed);
        let (mut a, mut b) = pair(&network).await;
        network.set_faults(Faults {
            drop: 0.3,
            duplicate: 0.3,
            delay: Duration::ZERO..=Duration::from_millis(200),
        });
        send(&mut a, "b", 0..200);
        runs.push(numbers(&drain(&mut b).await));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_silent_until_it_heals() {
    let network = Network::new();
    let mut endpoints: Vec<Endpoint> = ["a", "b", "c", "d"].map(|name| network.join(id(name))).into();
    for endpoint in &mut endpoints {
        drain(endpoint).await;
    }
    // `c` and `d` are in no group, and so share one.
    network.partition([["a"], ["b"]].map(|group| group.map(id)));
    for (number, from) in endpoints.iter_mut().enumerate() {
        for to in ["a", "b", "c", "d"] {
            send(from, to, [number as u64]);
        }
    }
    let mut arrived = Vec::new();
    for endpoint in &mut endpoints {
        arrived.push(numbers(&drain(endpoint).await));
    }
    assert_eq!(arrived, [vec(&[0]), vec(&[1]), vec(&[2, 3]), vec(&[2, 3])]);
    // Neither side learns of a crash and a restart on the other side …
    endpoints.truncate(3);
    drop(endpoints.remove(1));
    let mut b = network.join(id("b"));
    assert_eq!(drain(&mut endpoints[0]).await, []);
    // … before it heals.
    network.heal();
    let heard = drain(&mut endpoints[0]).await;
    assert_eq!(links(&heard), [("b", Link::Up), ("d", Link::Refused)]);
    send(&mut endpoints[0], "b", [7]);
    assert_eq!(numbers(&drain(&mut b).await), [7]);
}

fn vec(numbers: &[u64]) -> Vec<u64> {
    numbers.to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_cut_goes_one_way() {
    let network = Network::new();
    let (mut a, mut b) = pair(&network).await;
    network.cut(&id("a"), &id("b"));
    send(&mut a, "b", [1]);
    send(&mut b, "a", [2]);
    assert_eq!(drain(&mut b).await, []);
    assert_eq!(numbers(&drain(&mut a).await), [2]);
    network.heal();
    send(&mut a, "b", [3]);
    assert_eq!(numbers(&drain(&mut b).await), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_refused_and_a_frozen_server_only_silent() {
    let network = Network::new();
    let (mut a, mut b) = pair(&network).await;
    network.freeze(&id("b"));
    send(&mut a, "b", [1]);
    send(&mut b, "a", [2]);
    let _c = network.join(id("c"));
    assert_eq!(drain(&mut b).await, []);
    assert_eq!(links(&drain(&mut a).await), [("c", Link::Up)]);
    network.thaw(&id("b"));
    send(&mut a, "b", [3]);
    let heard = drain(&mut b).await;
    assert_eq!(
        (numbers(&heard), links(&heard)),
        (vec(&[3]), [("c", Link::Up)].to_vec())
    );
    network.freeze(&id("b"));
    drop(b);
    assert_eq!(
        drain(&mut a).await,
        [Event::Link {
            peer: id("b"),
            link: Link::Refused
        }]
    );
    let mut b = network.join(id("b"));
    send(&mut a, "b", [4]);
    assert_eq!(numbers(&drain(&mut b).await), [4], "a new start is not frozen");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_replaced_ends_and_says_nothing_more() {
    let network = Network::new();
    let (mut a, mut old) = pair(&network).await;
    let mut new = network.join(id("b"));
    assert_eq!(old.recv().await, None);
    send(&mut old, "a", [1]);
    drop(old);
    send(&mut a, "b", [2]);
    assert_eq!(numbers(&drain(&mut new).await), [2]);
    let heard = drain(&mut a).await;
    assert_eq!(
        (numbers(&heard), links(&heard)),
        (vec(&[]), [("b", Link::Up)].to_vec())
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_is_bounded() {
    let (mut a, mut b) = pair(&Network::new()).await;
    send(&mut a, "b", 0..2 * MAX_WAITING as u64);
    assert_eq!(drain(&mut b).await.len(), MAX_WAITING);
}

#[tokio::test(start_paused = true)]
async fn elections_live_through_a_bad_network() {
    use crate::{Config, Election, LocalArbiter, Member, Role};
    let network = Network::seeded(3);
    let ids = ["a", "b", "c"].map(id);
    let elections = ids.clone().map(|me| {
        let transport = network.join(me.clone());
        let me = Member::new(me, Number::random());
        Election::start(Config::default(), me, ids.clone(), transport, LocalArbiter).unwrap()
    });
    network.set_faults(Faults {
        drop: 0.1,
        duplicate: 0.1,
        delay: Duration::ZERO..=Duration::from_millis(60),
    });
    network.cut(&ids[0], &ids[1]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    network.set_faults(Faults::NONE);
    network.heal();
    // Virtual time; still a guard against a hang.
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let roles: Vec<Role> = elections.iter().map(|election| election.view().role).collect();
        let leads = |role: &&Role| matches!(role, Role::Coordinator { .. });
        let follows = |role: &&Role| matches!(role, Role::Follower { .. });
        if roles.iter().filter(leads).count() == 1 && roles.iter().filter(follows).count() == 2 {
            return;
        }
        for (election, role) in elections.iter().zip(&roles) {
            if let Role::Draining { epoch, .. } = role {
                election.drained(*epoch);
            }
        }
    }
    panic!("{}", format!("{:?}", elections.map(|election| election.view())));
}
