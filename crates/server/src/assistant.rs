//! The choice of the server that shortens MongoDB's failover.

use bellwether_election::{Role, View};

/// Returns `true` if this server must ask a secondary to stand for election when MongoDB's primary
/// is gone. The server asks if it is coordinator. If there is no coordinator, the server that would
/// be the next coordinator asks.
///
/// A server that sees no primary is not eligible, so without a primary no server becomes
/// coordinator. Therefore eligibility does not count here. The servers' views differ for moments,
/// so two of them may ask at once. They then ask the same secondary, and both wait for its one
/// election. A secondary needs a majority of MongoDB's members in any case.
pub(crate) fn assists(view: &View) -> bool {
    match view.role {
        Role::Coordinator { .. } => true,
        Role::Electing => is_next(view),
        _ => false,
    }
}

/// Returns `true` if no server that this one is connected to has a larger rank.
fn is_next(view: &View) -> bool {
    let connected = view.peers.iter().filter(|peer| peer.connected);
    let mut others = connected.filter_map(|peer| peer.member.as_ref());
    !view.member.observer && !others.any(|other| !other.observer && other.rank > view.member.rank)
}

#[cfg(test)]
mod tests {
    use bellwether_election::{Coordinator, Epoch, Member, Number, PeerView};

    use super::*;

    fn member(id: &str, number: u64) -> Member {
        let mut member = Member::new(id.parse().unwrap(), Number(number));
        // Servers that see no primary are not eligible.
        member.eligible = false;
        member
    }

    fn peer(member: Member, connected: bool) -> PeerView {
        PeerView {
            id: member.id().clone(),
            member: Some(member),
            connected,
        }
    }

    fn view(role: Role, peers: Vec<PeerView>) -> View {
        View {
            member: member("s2", 2),
            role,
            epoch: Epoch(7),
            peers,
        }
    }

    #[test]
    fn without_a_coordinator_the_largest_rank_that_is_there_assists() {
        let (lower, higher) = (member("s1", 1), member("s3", 3));
        for (connected, assisting) in [
            ([true, false], true),
            ([true, true], false),
            ([false, false], true),
        ] {
            let peers = [&lower, &higher].into_iter().zip(connected);
            let peers = peers
                .map(|(member, connected)| peer(member.clone(), connected))
                .collect();
            assert_eq!(assists(&view(Role::Electing, peers)), assisting, "{connected:?}");
        }
        let equal = peer(member("s3", 2), true);
        assert!(!assists(&view(Role::Electing, vec![equal])), "the larger id wins");
        let silent = PeerView {
            member: None,
            ..peer(higher.clone(), true)
        };
        assert!(assists(&view(Role::Electing, vec![silent])));
        let observer = peer(higher.as_observer(), true);
        assert!(assists(&view(Role::Electing, vec![observer])));
        let mut observing = view(Role::Electing, Vec::new());
        observing.member.observer = true;
        assert!(!assists(&observing));
    }

    #[test]
    fn where_there_is_a_coordinator_it_alone_assists() {
        let epoch = Epoch(7);
        assert!(assists(&view(
            Role::Coordinator { epoch },
            vec![peer(member("s3", 3), true)]
        )));
        let coordinator = Coordinator {
            rank: member("s1", 1).rank,
            epoch,
        };
        let successor = None;
        for role in [
            Role::Follower { coordinator },
            Role::Draining { epoch, successor },
            Role::Left,
        ] {
            assert!(!assists(&view(role.clone(), Vec::new())), "{role:?}");
        }
    }
}
