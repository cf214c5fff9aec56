use std::collections::HashMap;

use mongodb::ServerType;
use mongodb::event::sdam::TopologyDescription;
use mongodb::options::ServerAddress;

/// The replica set's members as the driver sees them at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::database) struct Members {
    primary: Option<ServerAddress>,
    /// The last primary, from the moment it cannot be reached until another one is known.
    pub(in crate::database) lost: Option<ServerAddress>,
    /// The secondaries, in order of their addresses.
    pub(in crate::database) secondaries: Vec<ServerAddress>,
}

/// The state of a member as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Primary,
    Secondary,
    Unreachable,
    /// An arbiter member, a hidden or recovering member, or a member that was not checked yet.
    Other,
}

impl Members {
    /// Returns the members after a new description.
    pub(in crate::database) fn next(&self, topology: &TopologyDescription) -> Self {
        let servers = topology.servers();
        let seen = servers.iter().map(|(address, server)| {
            let seen = match server.server_type() {
                ServerType::RsPrimary => Seen::Primary,
                ServerType::RsSecondary => Seen::Secondary,
                ServerType::Unknown if server.error().is_some() => Seen::Unreachable,
                _ => Seen::Other,
            };
            ((*address).clone(), seen)
        });
        self.after(&seen.collect())
    }

    fn after(&self, seen: &HashMap<ServerAddress, Seen>) -> Self {
        let all = |what| {
            let these = seen.iter().filter(move |(_, seen)| **seen == what);
            these.map(|(address, _)| address.clone())
        };
        let primary = all(Seen::Primary).next();
        let last = self.primary.as_ref().or(self.lost.as_ref());
        let lost = last.filter(|last| primary.is_none() && seen.get(last) == Some(&Seen::Unreachable));
        let mut secondaries: Vec<ServerAddress> = all(Seen::Secondary).collect();
        secondaries.sort_by_key(ServerAddress::to_string);
        Self {
            lost: lost.cloned(),
            primary,
            secondaries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Seen::{Other, Primary, Secondary, Unreachable};
    use super::*;

    fn address(name: &str) -> ServerAddress {
        ServerAddress::parse(name).unwrap()
    }

    fn after(before: &Members, seen: [Seen; 3]) -> Members {
        let names = ["a", "b", "c"].map(address);
        before.after(&names.into_iter().zip(seen).collect())
    }

    fn lost(members: &Members) -> Option<String> {
        Some(members.lost.as_ref()?.to_string())
    }

    #[test]
    fn a_primary_is_lost_while_it_cannot_be_reached_and_nobody_has_taken_its_place() {
        let calm = after(&Members::default(), [Primary, Secondary, Secondary]);
        assert_eq!(lost(&calm), None);
        assert_eq!(calm.secondaries, [address("b"), address("c")]);

        let gone = after(&calm, [Unreachable, Secondary, Secondary]);
        assert_eq!(lost(&gone).as_deref(), Some("a:27017"));
        let still_gone = after(&gone, [Unreachable, Secondary, Unreachable]);
        assert_eq!(lost(&still_gone).as_deref(), Some("a:27017"));
        assert_eq!(still_gone.secondaries, [address("b")]);

        assert_eq!(lost(&after(&gone, [Unreachable, Primary, Secondary])), None);
        assert_eq!(lost(&after(&gone, [Secondary, Secondary, Secondary])), None);
    }

    #[test]
    fn who_is_not_the_primary_is_not_lost() {
        let nobody_known = after(&Members::default(), [Unreachable, Secondary, Secondary]);
        assert_eq!(lost(&nobody_known), None);
        let calm = after(&Members::default(), [Primary, Secondary, Secondary]);
        assert_eq!(lost(&after(&calm, [Primary, Unreachable, Secondary])), None);

        // The primary first stepped down, and is gone after that: MongoDB already handles this.
        let stepped_down = after(&calm, [Secondary, Secondary, Secondary]);
        assert_eq!(
            lost(&after(&stepped_down, [Unreachable, Secondary, Secondary])),
            None
        );
        let restarting = after(&calm, [Other, Secondary, Secondary]);
        assert_eq!(lost(&restarting), None);
    }
}
