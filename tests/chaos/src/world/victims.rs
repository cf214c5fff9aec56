//! The choice of a fault's victims, and the conditions for the fault.

use std::time::Duration;

use bellwether_testkit::Member;
use bson::doc;
use futures_util::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::time::timeout;

use super::World;
use crate::fault::{Fault, Node};

/// Time limit for a member's `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_millis(300);

/// Probability that a fault meets the node that all others depend on, in addition to its chance as
/// one of all.
const FAVOUR: f64 = 0.5;

impl World {
    /// Draws the victims of a fault, the coordinator or the primary more often than another.
    /// Returns `None` if the fault may not meet them now: one has a fault already, or MongoDB is
    /// about to have no majority.
    pub(super) async fn victims(&self, fault: Fault, lot: &mut StdRng) -> Option<Vec<Node>> {
        let nodes = match fault {
            Fault::ServerKill
            | Fault::ServerPause
            | Fault::ServerStop
            | Fault::CutPeers
            | Fault::CutOneWay
            | Fault::CutMongodb
            | Fault::CutClients
            | Fault::Isolate
            | Fault::LoseReplies
            | Fault::ClockJump => self.servers(1, lot).await,
            Fault::CutPair => self.servers(2, lot).await,
            Fault::MongodKill | Fault::MongodPause | Fault::CutMember | Fault::DiskStall => {
                self.members(1, lot).await?
            }
            Fault::MongodMajorityKill => self.members(2, lot).await?,
            Fault::StepDown | Fault::Unstoppable => vec![Node::Mongod(self.healthy_primary().await?)],
            Fault::Delay | Fault::Loss => return self.nodes_with_bad_links(fault, lot),
        };
        nodes.iter().all(|node| !self.is_ill(*node)).then_some(nodes)
    }

    async fn servers(&self, count: usize, lot: &mut StdRng) -> Vec<Node> {
        let drawn = draw(lot, self.cluster.servers.len(), count, self.coordinator().await);
        drawn.into_iter().map(Node::Server).collect()
    }

    /// Draws members, but only while all members are healthy. A member that is just coming back is
    /// needed when another gets a fault.
    async fn members(&self, count: usize, lot: &mut StdRng) -> Option<Vec<Node>> {
        let primary = self.healthy_primary().await?;
        let drawn = draw(lot, self.replica_set.members.len(), count, Some(primary));
        Some(drawn.into_iter().map(Node::Mongod).collect())
    }

    fn nodes_with_bad_links(&self, fault: Fault, lot: &mut StdRng) -> Option<Vec<Node>> {
        if self.open.values().any(|open| open.fault == fault) {
            return None;
        }
        let mut nodes = self.nodes();
        nodes.shuffle(lot);
        nodes.truncate(lot.random_range(1..=nodes.len().div_ceil(2)));
        nodes.sort_unstable();
        Some(nodes)
    }

    fn is_ill(&self, node: Node) -> bool {
        self.open.values().any(|open| open.makes_ill(node))
    }

    /// Returns the place of MongoDB's primary, if there is one and all others follow.
    async fn healthy_primary(&self) -> Option<usize> {
        let places = 0..self.replica_set.members.len();
        if places.clone().any(|place| self.is_ill(Node::Mongod(place))) {
            return None;
        }
        let roles = join_all(self.replica_set.members.iter().map(role)).await;
        let roles: Vec<Role> = roles.into_iter().collect::<Option<_>>()?;
        places
            .zip(roles)
            .find(|(_, role)| *role == Role::Primary)
            .map(|(place, _)| place)
    }
}

/// The role of a member, by its own answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Primary,
    Secondary,
}

/// Returns the role; `None` if it is neither, or if the member does not answer.
async fn role(member: &Member) -> Option<Role> {
    let admin = member.direct.database("admin");
    // The driver's futures must not be dropped half done.
    let asked = tokio::spawn(async move { admin.run_command(doc! { "hello": 1 }).await });
    let hello = timeout(HELLO_TIMEOUT, asked).await.ok()?.ok()?.ok()?;
    let says = |role| hello.get_bool(role).unwrap_or(false);
    if says("isWritablePrimary") {
        Some(Role::Primary)
    } else {
        says("secondary").then_some(Role::Secondary)
    }
}

/// Draws `count` places of `of`; the first one is more often the favourite than another.
fn draw(lot: &mut StdRng, of: usize, count: usize, favourite: Option<usize>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..of).collect();
    places.shuffle(lot);
    // Drawn in any case, so that later draws do not depend on the favourite.
    let is_met = lot.random_bool(FAVOUR);
    let favourite = favourite.filter(|_| is_met);
    if let Some(at) = places.iter().position(|place| Some(*place) == favourite) {
        places.swap(0, at);
    }
    places.truncate(count);
    places
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_favourite_is_drawn_more_often_and_everybody_sometimes() {
        let mut lot = StdRng::seed_from_u64(1);
        let mut drawn = [0; 3];
        for _ in 0..300 {
            drawn[draw(&mut lot, 3, 1, Some(1))[0]] += 1;
        }
        assert!(drawn[1] > 150 && drawn[0] > 20 && drawn[2] > 20, "{drawn:?}");
    }

    #[test]
    fn nobody_is_drawn_twice() {
        let mut lot = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let drawn = draw(&mut lot, 3, 2, Some(2));
            assert!(drawn.len() == 2 && drawn[0] != drawn[1], "{drawn:?}");
        }
    }

    #[test]
    fn what_is_drawn_later_does_not_depend_on_the_favourite() {
        let after = |favourite| {
            let mut lot = StdRng::seed_from_u64(7);
            draw(&mut lot, 3, 1, favourite);
            lot.random::<u64>()
        };
        assert_eq!(after(None), after(Some(2)));
    }
}
