use crate::fault::Node;
use crate::network::Link;

/// The last byte of the address of this program itself.
pub(super) const OBSERVER: u8 = 1;

/// Returns the last byte of a node's address.
pub(super) fn last_byte(node: Node) -> u8 {
    // There are never as many of a kind as would reach the next.
    let (first, place) = match node {
        Node::Server(place) => (11, place),
        Node::Mongod(place) => (51, place),
        Node::Clients(place) => (101, place),
    };
    first + u8::try_from(place).unwrap_or(u8::MAX - first)
}

/// Returns all nodes of a world of this size.
pub(super) fn nodes(servers: usize, members: usize, client_hosts: usize) -> impl Iterator<Item = Node> {
    let servers = (0..servers).map(Node::Server);
    servers
        .chain((0..members).map(Node::Mongod))
        .chain((0..client_hosts).map(Node::Clients))
}

/// Returns the links from each of these nodes to each of those.
pub(super) fn links(from: &[Node], to: &[Node]) -> Vec<Link> {
    let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to)));
    pairs
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (last_byte(from), last_byte(to)))
        .collect()
}

/// Returns the same links in both directions.
pub(super) fn both_ways(some: &[Node], others: &[Node]) -> Vec<Link> {
    let mut both = links(some, others);
    both.extend(links(others, some));
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_an_address_of_its_own() {
        let mut all: Vec<u8> = nodes(9, 9, 9).map(last_byte).collect();
        all.push(OBSERVER);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn links_are_of_others_and_have_directions() {
        let (a, b, c) = (Node::Server(0), Node::Server(1), Node::Mongod(0));
        assert_eq!(links(&[a], &[a, b, c]), [(11, 12), (11, 51)]);
        assert_eq!(both_ways(&[a], &[b]), [(11, 12), (12, 11)]);
    }
}
