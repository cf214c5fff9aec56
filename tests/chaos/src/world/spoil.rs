use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::CLIENTS_PORT;
use super::links::{both_ways, links};
use crate::fault::{Fault, Node};
use crate::network::{Effect, Link};

/// An effect and its links.
#[derive(Debug)]
pub(super) struct Spoiled {
    pub(super) effect: Effect,
    pub(super) links: Vec<Link>,
    pub(super) what: String,
}

/// Returns the effect on links of a fault that meets these nodes; `None` if it is no fault of the
/// network.
pub(super) fn spoil(fault: Fault, victims: &[Node], all: &[Node], lot: &mut StdRng) -> Option<Spoiled> {
    let such = |is: fn(&Node) -> bool| all.iter().copied().filter(is).collect::<Vec<_>>();
    let servers = such(|node| matches!(node, Node::Server(_)));
    let members = such(|node| matches!(node, Node::Mongod(_)));
    let clients = such(|node| matches!(node, Node::Clients(_)));
    let names: Vec<String> = victims.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    let cut = |links, what| Spoiled {
        effect: Effect::Cut,
        links,
        what,
    };
    Some(match fault {
        Fault::CutPeers => cut(
            both_ways(victims, &servers),
            format!("{names} is cut off from its peers"),
        ),
        Fault::CutPair => cut(links(victims, victims), format!("{names} do not hear each other")),
        Fault::CutMongodb => cut(
            both_ways(victims, &members),
            format!("{names} is cut off from MongoDB"),
        ),
        Fault::CutClients => cut(
            both_ways(victims, &clients),
            format!("{names} is cut off from the clients"),
        ),
        Fault::Isolate => cut(
            both_ways(victims, all),
            format!("{names} is cut off from everybody"),
        ),
        Fault::CutMember => cut(
            both_ways(victims, &members),
            format!("{names} is cut off from the other members"),
        ),
        Fault::CutOneWay => {
            let (others, whom) = if lot.random() {
                (&servers, "its peers")
            } else {
                (&members, "MongoDB")
            };
            if lot.random() {
                cut(links(others, victims), format!("{names} does not hear {whom}"))
            } else {
                cut(links(victims, others), format!("{names} is not heard by {whom}"))
            }
        }
        Fault::LoseReplies => {
            let share = if lot.random() { 1.0 } else { 0.3 };
            let reset = lot.random();
            Spoiled {
                effect: Effect::LoseResults {
                    port: CLIENTS_PORT,
                    share,
                    reset,
                },
                links: links(victims, &clients),
                what: format!(
                    "{:.0} % of the results from {names} are lost, and their connections {}",
                    share * 100.0,
                    if reset { "reset" } else { "silent" }
                ),
            }
        }
        Fault::Delay => {
            let least = Duration::from_millis(lot.random_range(0..=50));
            let most = least + Duration::from_millis(lot.random_range(20..=300));
            Spoiled {
                effect: Effect::Delay { least, most },
                links: both_ways(victims, all),
                what: format!("packets to and from {names} take {least:?} to {most:?}"),
            }
        }
        Fault::Loss => {
            let share = lot.random_range(0.02..=0.3);
            Spoiled {
                effect: Effect::Loss(share),
                links: both_ways(victims, all),
                what: format!(
                    "{:.0} % of the packets to and from {names} are lost",
                    share * 100.0
                ),
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::super::links::nodes;
    use super::*;

    const SERVER: Node = Node::Server(0);

    fn spoiled(fault: Fault, victims: &[Node], seed: u64) -> Spoiled {
        let all: Vec<Node> = nodes(3, 3, 2).collect();
        spoil(fault, victims, &all, &mut StdRng::seed_from_u64(seed)).unwrap()
    }

    fn links_of(fault: Fault, victims: &[Node]) -> BTreeSet<Link> {
        spoiled(fault, victims, 1).links.into_iter().collect()
    }

    fn both(pairs: &[Link]) -> BTreeSet<Link> {
        pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect()
    }

    #[test]
    fn a_cut_is_of_the_links_its_name_says() {
        let peers = both(&[(11, 12), (11, 13)]);
        let members = both(&[(11, 51), (11, 52), (11, 53)]);
        let clients = both(&[(11, 101), (11, 102)]);
        assert_eq!(links_of(Fault::CutPeers, &[SERVER]), peers);
        assert_eq!(links_of(Fault::CutMongodb, &[SERVER]), members);
        assert_eq!(links_of(Fault::CutClients, &[SERVER]), clients);
        let everybody = [peers, members, clients].into_iter().flatten().collect();
        assert_eq!(links_of(Fault::Isolate, &[SERVER]), everybody);
        assert_eq!(
            links_of(Fault::CutPair, &[SERVER, Node::Server(2)]),
            both(&[(11, 13)])
        );
        assert_eq!(
            links_of(Fault::CutMember, &[Node::Mongod(1)]),
            both(&[(52, 51), (52, 53)])
        );
    }

    #[test]
    fn a_one_way_cut_is_of_either_direction_and_of_peers_or_mongodb() {
        let cuts: BTreeSet<Vec<Link>> = (0..40)
            .map(|seed| spoiled(Fault::CutOneWay, &[SERVER], seed).links)
            .collect();
        let expected = [
            vec![(11, 12), (11, 13)],
            vec![(12, 11), (13, 11)],
            vec![(11, 51), (11, 52), (11, 53)],
            vec![(51, 11), (52, 11), (53, 11)],
        ];
        assert_eq!(cuts, BTreeSet::from(expected));
    }

    #[test]
    fn replies_are_lost_on_the_way_to_clients_only() {
        assert_eq!(
            links_of(Fault::LoseReplies, &[SERVER]),
            BTreeSet::from([(11, 101), (11, 102)])
        );
    }
}
