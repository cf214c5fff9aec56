//! Whom a fault meets, and whether it may.

use std::time::Duration;

use bellwether_tests::Member;
use bson::doc;
use bson::oid::ObjectId;
use futures_util::future::join_all;
use rand::Rng;
use rand::rngs::StdRng;

use super::World;
use crate::fault::Node;

/// How long a member may take to say what it is.
const HELLO_TIMEOUT: Duration = Duration::from_millis(300);

/// How likely a fault meets the one that all depend on, without regard to the lot that all draw.
const FAVOUR: f64 = 0.5;

impl World {
    /// A server, drawn by lot, the coordinator more often than another; `None` if it is ill.
    pub(super) async fn draw_server(&self, lot: &mut StdRng) -> Option<usize> {
        let place = draw(lot, self.cluster.servers.len(), self.coordinator().await);
        (!self.is_ill(Node::Server(place))).then_some(place)
    }

    /// A member, drawn by lot, the primary more often than another; `None` if any is ill, as the others would have no
    /// majority.
    pub(super) async fn draw_member(&self, lot: &mut StdRng) -> Option<usize> {
        let place = draw(lot, self.replica_set.members.len(), self.primary().await);
        self.members_are_well().then_some(place)
    }

    pub(super) fn members_are_well(&self) -> bool {
        (0..self.replica_set.members.len()).all(|place| !self.is_ill(Node::Mongod(place)))
    }

    pub(super) fn is_ill(&self, node: Node) -> bool {
        self.open.values().any(|open| open.makes_ill(node))
    }

    /// The place of MongoDB's primary; of the newest if several believe to be.
    pub(super) async fn primary(&self) -> Option<usize> {
        let elections = join_all(self.replica_set.members.iter().map(election_won)).await;
        let primaries = (0..)
            .zip(elections)
            .filter_map(|(place, election)| Some((election?, place)));
        primaries.max().map(|(_, place)| place)
    }
}

/// One of so many places.
pub(super) fn draw(lot: &mut StdRng, count: usize, favourite: Option<usize>) -> usize {
    // As many draws in any case, so that what is drawn after this is the same whoever the favourite is.
    let (is_favourite, any) = (lot.random_bool(FAVOUR), lot.random_range(0..count));
    favourite.filter(|_| is_favourite).unwrap_or(any)
}

/// The election that has made this member primary, if it is; later ones are larger.
async fn election_won(member: &Member) -> Option<ObjectId> {
    let admin = member.direct.database("admin");
    // The driver's futures must not be dropped half done.
    let asked = tokio::spawn(async move { admin.run_command(doc! { "hello": 1 }).await });
    let hello = tokio::time::timeout(HELLO_TIMEOUT, asked)
        .await
        .ok()?
        .ok()?
        .ok()?;
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return None;
    }
    hello.get_object_id("electionId").ok()
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
            drawn[draw(&mut lot, 3, Some(1))] += 1;
        }
        assert!(drawn[1] > 150 && drawn[0] > 20 && drawn[2] > 20, "{drawn:?}");
    }

    #[test]
    fn what_is_drawn_later_does_not_depend_on_the_favourite() {
        let after = |favourite| {
            let mut lot = StdRng::seed_from_u64(7);
            draw(&mut lot, 3, favourite);
            lot.random::<u64>()
        };
        assert_eq!(after(None), after(Some(2)));
    }
}
