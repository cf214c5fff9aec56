//! Whatever the servers do, the client keeps its rules. That a command is with one server at a
//! time, and that this one is left alone at first, the scripted network checks by itself.

use core::time::Duration;

use bellwether_client::{Attempt, ErrorCode, Event, Outcome, Stop};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::network::{Network, command};
use crate::script::{Does, Slowness};
use crate::{A, B, C};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const HINTS: [&str; 4] = [A, B, C, "ws://z:1/v1"];
/// Close codes that proxies send, whatever the server does.
const PROXY_CODES: [u16; 7] = [1000, 1001, 1002, 1007, 1009, 1011, 1012];
const CODES: [u16; 9] = [1002, 1009, 1012, 1013, 4400, 4401, 4403, 4408, 4429];
const DEADLINE: Duration = Duration::from_secs(12);

fn does() -> impl Strategy<Value = Does> {
    let simple = prop_oneof![
        Just(Does::Refuses),
        Just(Does::SwallowsConnect),
        Just(Does::SaysNothing),
        Just(Does::HasNoRoom),
        prop::sample::select(&CODES).prop_map(Does::Closes),
        prop::sample::select(&CODES).prop_map(Does::HangsUp),
        prop::sample::select(&PROXY_CODES).prop_map(Does::LosesReplyWith),
        Just(Does::RefusesHello(ErrorCode::BadFrame)),
        Just(Does::RefusesHello(ErrorCode::Draining)),
        Just(Does::IsElsewhere),
        prop::option::of(prop::sample::select(&HINTS)).prop_map(Does::Follows),
        Just(Does::Executes),
        Just(Does::LosesReply),
        Just(Does::GoesSilent),
        Just(Does::CutsOff),
        prop::sample::select(&[0, 300, 30_000]).prop_map(Does::IsOverloaded),
        Just(Does::Fails(ErrorCode::Overloaded, Outcome::NotExecuted)),
        Just(Does::Fails(ErrorCode::Deadline, Outcome::NotExecuted)),
        Just(Does::Announces(ErrorCode::Draining)),
        Just(Does::Fails(ErrorCode::Fenced, Outcome::Unknown)),
        Just(Does::Fails(ErrorCode::NotCoordinator, Outcome::NotExecuted)),
        Just(Does::Fails(ErrorCode::Mongo, Outcome::NotExecuted)),
        Just(Does::Fails(ErrorCode::BadCommand, Outcome::NotExecuted)),
    ];
    let slow = || prop_oneof![3 => Just(0), 1 => 0_u64..600, 1 => 0_u64..7_000];
    (simple, slow(), slow(), slow(), 6_u64..10).prop_map(|(does, connect, hello, answer, epoch)| {
        let slowness = Slowness {
            connect,
            hello,
            answer,
        };
        Does::Slowly(slowness, Box::new(does.in_epoch(epoch)))
    })
}

fn scripts() -> impl Strategy<Value = Vec<Vec<Does>>> {
    prop::collection::vec(prop::collection::vec(does(), 1..4), 1..=NAMES.len())
}

/// The stage of the try at one server, as its watcher sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Idle,
    Trying,
    Connected,
    Greeted,
    Sent,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_rules_hold(scripts in scripts(), seed in 1_u64..1000, shuffled in any::<bool>(), pings in any::<bool>(), cancel in prop::option::weighted(0.2, 0_u64..8_000)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let servers: Vec<(&str, &[Does])> = NAMES
                .iter()
                .zip(&scripts)
                .map(|(name, script)| (*name, script.as_slice()))
                .collect();
            let network = Network::new(&servers).seeded(seed);
            let network = if pings { network.with_pings() } else { network };
            let mut shot = network.one_shot().cluster("here").deadline(DEADLINE);
            if shuffled {
                shot = shot.shuffled();
            }
            let mut stages = vec![Stage::Idle; servers.len()];
            let mut ids = Vec::new();
            let mut wrong = Vec::new();
            let mut kept = None;
            let watch = |event: Event<'_>| {
                let (server, from, to) = match event {
                    Event::Trying { server, .. } => (server, Stage::Idle, Stage::Trying),
                    Event::Connected { server } => (server, Stage::Trying, Stage::Connected),
                    Event::Greeted { server, .. } => (server, Stage::Connected, Stage::Greeted),
                    Event::Sent { server, id } => {
                        ids.push(id);
                        // On a connection that was kept open, there is no hello.
                        let from = match stages[server] {
                            Stage::Trying if kept.take() == Some(server) => Stage::Trying,
                            _ => Stage::Greeted,
                        };
                        (server, from, Stage::Sent)
                    }
                    Event::Ended { server, tried } => {
                        if tried.end.code() == "overloaded" {
                            kept = Some(server);
                        }
                        if tried.sent != (stages[server] == Stage::Sent) {
                            wrong.push(format!("{tried:?} after {:?}", stages[server]));
                        }
                        (server, stages[server].max(Stage::Trying), Stage::Idle)
                    }
                    _ => return,
                };
                if stages[server] != from {
                    wrong.push(format!("{event:?} after {:?}", stages[server]));
                }
                stages[server] = to;
                if stages.iter().filter(|stage| **stage == Stage::Sent).count() > 1 {
                    wrong.push(format!("sent to two servers: {event:?}"));
                }
            };
            let cancelled = async {
                match cancel {
                    Some(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                    None => core::future::pending().await,
                }
            };
            let ended = shot.execute_until(cancelled, &command(), watch).await;
            let took = network.elapsed();
            prop_assert_eq!(wrong, Vec::<String>::new());
            prop_assert!(stages.iter().all(|stage| *stage == Stage::Idle), "{stages:?}");

            let arrived = network.arrived();
            prop_assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one id: {ids:?}");
            let arrived_ids: Vec<_> = arrived.iter().map(|(_, id, _)| *id).collect();
            prop_assert_eq!(&arrived_ids, &ids);
            prop_assert!(took <= DEADLINE + Duration::from_millis(100), "{took:?}");

            let executed = network.executions() > 0;
            match &ended {
                Ok(result) => {
                    prop_assert!(executed);
                    prop_assert_eq!(result.attempts.last().map(|tried| tried.end.code()), Some("executed"));
                }
                Err(failure) => {
                    let allowed = match failure.outcome {
                        Outcome::Executed => executed,
                        Outcome::NotExecuted => !executed,
                        Outcome::Unknown => !arrived.is_empty(),
                    };
                    prop_assert!(allowed, "executed: {executed}, {failure:?}");
                    if failure.stop == Stop::Deadline {
                        prop_assert!(took >= DEADLINE - Duration::from_millis(100), "too early: {took:?}");
                    }
                }
            }
            let attempts: &[Attempt] = match &ended {
                Ok(result) => &result.attempts,
                Err(failure) => &failure.attempts,
            };
            let mut urls: Vec<&str> = attempts.iter().map(|tried| tried.url.as_str()).collect();
            urls.sort_unstable();
            urls.dedup();
            prop_assert_eq!(urls.len(), attempts.len(), "one attempt for each server");
            Ok(())
        })?;
    }
}
