//! The kinds of trouble between this server and MongoDB, each with its remedy.

use core::fmt;
use std::collections::BTreeMap;
use std::io;

use bson::Document;
use mongodb::error::{Error, ErrorKind};

use super::codes::{AUTHENTICATION_FAILED, UNAUTHORIZED};
use super::message::cleaned;

/// The reason why this server cannot use MongoDB, or why MongoDB cannot commit.
///
/// `Display` gives the problem and its remedy. The text contains no part of the connection string
/// except hosts and the name of the replica set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// No member has answered since this server started.
    NotAnsweredYet,
    /// A member belongs to a replica set of another name than the connection string says.
    OtherSet {
        /// The member's address.
        address: String,
        /// The name in the connection string.
        wanted: String,
        /// The name that the member gives.
        found: String,
    },
    /// A mongod runs without a replica set.
    Standalone {
        /// The address of the mongod.
        address: String,
        /// The name in the connection string.
        wanted: String,
    },
    /// The address belongs to mongos, the router of a sharded cluster.
    Router {
        /// The address of the mongos.
        address: String,
    },
    /// A mongod is in no replica set: it was removed from its set, or the set was never initiated.
    NotInSet {
        /// The address of the mongod.
        address: String,
        /// The name in the connection string.
        wanted: String,
    },
    /// MongoDB does not accept the user or the password.
    Authentication,
    /// MongoDB requires a user, and the connection string has none.
    NoUser,
    /// MongoDB's user lacks a privilege that the server cannot work without.
    Privilege {
        /// The privilege, in words.
        missing: String,
    },
    /// The name of a host was not found.
    HostUnknown {
        /// The address.
        address: String,
        /// The error of the resolver.
        detail: String,
    },
    /// An encrypted connection to a member is not possible.
    Tls {
        /// The member's address.
        address: String,
        /// The fault.
        detail: String,
    },
    /// No member can be reached.
    Unreachable {
        /// Each member's address with the fault, in their order.
        members: String,
    },
    /// Members answer, but none of them is primary.
    NoPrimary {
        /// The members that cannot be reached, each with the fault, in their order. Empty if there
        /// are none.
        unreachable: String,
    },
    /// There is a primary, but its writes do not reach a majority.
    NoMajority {
        /// The primary's address.
        primary: String,
        /// Other members that cannot be reached, in their order. Empty if the driver knows of none.
        unreachable: String,
        /// Set if the set has an arbiter member.
        arbiter: bool,
    },
}

impl Trouble {
    /// Returns `true` if the trouble stays until an operator changes something. The other kinds may
    /// be over in a moment.
    pub(crate) fn stays(&self) -> bool {
        !matches!(
            self,
            Self::NotAnsweredYet | Self::Unreachable { .. } | Self::NoPrimary { .. }
        )
    }

    /// Returns the trouble that MongoDB's answer to a command of the server itself shows, if it is
    /// lasting trouble.
    pub(super) fn of_access(error: &Error) -> Option<Self> {
        match &*error.kind {
            ErrorKind::Authentication { .. } => Some(Self::Authentication),
            ErrorKind::Command(command) if command.code == AUTHENTICATION_FAILED => {
                Some(Self::Authentication)
            }
            ErrorKind::Command(command) if command.code == UNAUTHORIZED => {
                Some(if command.message.contains("requires authentication") {
                    Self::NoUser
                } else {
                    Self::Privilege {
                        missing: cleaned(&command.message),
                    }
                })
            }
            _ => None,
        }
    }

    /// Returns the trouble while there is no primary, from the last results of the members of this
    /// set.
    pub(super) fn without_primary(wanted: &str, members: &BTreeMap<String, Heard>) -> Self {
        let wanted = wanted.to_owned();
        let is_member = |heard: &Heard| matches!(heard, Heard::Member { set } if *set == wanted);
        let mut faults: Vec<(&String, &Fault)> = Vec::new();
        let mut others = Vec::new();
        for (address, heard) in members {
            match heard {
                Heard::Failed(fault) => faults.push((address, fault)),
                other if !is_member(other) => others.push((address.clone(), other)),
                _ => {}
            }
        }
        let list = |faults: &[(&String, &Fault)]| {
            let list = faults
                .iter()
                .map(|(address, fault)| format!("{address}: {}", fault.text));
            list.collect::<Vec<_>>().join("; ")
        };
        if members.values().any(is_member) {
            return Self::NoPrimary {
                unreachable: list(&faults),
            };
        }
        if let Some((address, other)) = others.into_iter().next() {
            return match other {
                Heard::Standalone => Self::Standalone { address, wanted },
                Heard::Router => Self::Router { address },
                Heard::Member { set } => Self::OtherSet {
                    address,
                    wanted,
                    found: set.clone(),
                },
                Heard::NotInSet | Heard::Failed(_) => Self::NotInSet { address, wanted },
            };
        }
        let Some((address, first)) = faults.first() else {
            return Self::NotAnsweredYet;
        };
        let same = faults.iter().all(|(_, fault)| fault.kind == first.kind);
        let (address, detail) = ((*address).clone(), first.text.clone());
        match first.kind {
            FaultKind::HostUnknown if same => Self::HostUnknown { address, detail },
            FaultKind::Tls if same => Self::Tls { address, detail },
            _ => Self::Unreachable {
                members: list(&faults),
            },
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnsweredYet => f.write_str("no member of the replica set has answered yet"),
            Self::OtherSet {
                address,
                wanted,
                found,
            } => write!(
                f,
                "the mongod at {address} belongs to the replica set {found:?}, and the connection string says \
                 replicaSet={wanted}: correct the name or the hosts, and restart this server"
            ),
            Self::Standalone { address, wanted } => write!(
                f,
                "the mongod at {address} runs without a replica set, which transactions need: start it with --replSet {wanted} and \
                 run rs.initiate() on it (a single member will do), then restart this server"
            ),
            Self::Router { address } => write!(
                f,
                "a mongos answers at {address}: give the hosts of a replica set in the connection string, and restart this server"
            ),
            Self::NotInSet { address, wanted } => write!(
                f,
                "the mongod at {address} is in no replica set at this moment: it was removed from its set, or the set was not \
                 initiated; name members of the set {wanted} in the connection string, or run rs.initiate()"
            ),
            Self::Authentication => f.write_str(
                "MongoDB does not accept the user or the password of the connection string: correct them, or its authSource (the \
                 database where the user was made), and restart this server",
            ),
            Self::NoUser => f.write_str(
                "MongoDB requires a user, and the connection string has none: write mongodb://user:password@host, and restart this \
                 server",
            ),
            Self::Privilege { missing } => write!(
                f,
                "MongoDB's user of the connection string lacks a privilege ({missing}): grant it readWrite on the server's database \
                 and on the database of the same name with _bellwether at its end"
            ),
            Self::HostUnknown { address, detail } => write!(
                f,
                "the name of {address} is not found ({detail}): correct the host in the connection string, or make the name known to \
                 this machine's DNS"
            ),
            Self::Tls { address, detail } => write!(
                f,
                "no encrypted connection to {address} is made ({detail}): both sides need TLS or neither (tls=true in the connection \
                 string), and tlsCAFile names the authority that signed MongoDB's certificate"
            ),
            Self::Unreachable { members } => {
                write!(f, "no member of the replica set can be reached: {members}")
            }
            Self::NoPrimary { unreachable } => {
                f.write_str("the replica set has no primary at the moment")?;
                if !unreachable.is_empty() {
                    write!(f, "; members that cannot be reached: {unreachable}")?;
                }
                Ok(())
            }
            Self::NoMajority {
                primary,
                unreachable,
                arbiter,
            } => {
                write!(
                    f,
                    "nothing is committed: what MongoDB's primary {primary} writes does not reach a majority of the members"
                )?;
                if !unreachable.is_empty() {
                    write!(f, "; {unreachable} cannot be reached")?;
                }
                f.write_str(if *arbiter {
                    "; bring the other members with data back (an arbiter votes and holds no data, so it cannot take their place), or \
                     replace the arbiter by a member with data"
                } else {
                    "; bring the other members back, or look at why they lag behind"
                })
            }
        }
    }
}

/// The last result of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The member belongs to the set of this name.
    Member {
        set: String,
    },
    /// A mongod that belongs to no set now, although it runs with the option for a set.
    NotInSet,
    Standalone,
    Router,
    Failed(Fault),
}

/// The fault of a member that did not reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: FaultKind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultKind {
    HostUnknown,
    Tls,
    Other,
}

impl Heard {
    /// Reads a member's reply to `hello`.
    pub(super) fn reply(hello: &Document) -> Self {
        if let Ok(set) = hello.get_str("setName") {
            return Self::Member { set: set.to_owned() };
        }
        if hello.get_bool("isreplicaset").unwrap_or(false) {
            return Self::NotInSet;
        }
        match hello.get_str("msg") {
            Ok("isdbgrid") => Self::Router,
            _ => Self::Standalone,
        }
    }

    /// Reads the error of a member that has not replied.
    pub(super) fn failure(error: &Error) -> Self {
        let mut text = cleaned(&error.kind.to_string());
        let of_tls = ["certificate", "tls", "handshake", "corrupt message"];
        let lower = text.to_lowercase();
        let kind = match &*error.kind {
            ErrorKind::DnsResolve { .. } => FaultKind::HostUnknown,
            ErrorKind::InvalidTlsConfig { .. } => FaultKind::Tls,
            ErrorKind::Io(_) if lower.contains("failed to lookup address") => FaultKind::HostUnknown,
            ErrorKind::Io(_) if of_tls.iter().any(|word| lower.contains(word)) => FaultKind::Tls,
            ErrorKind::Io(error) => {
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) {
                    text.push_str(
                        " (it closed the connection without an answer; if it requires TLS, add tls=true)",
                    );
                }
                FaultKind::Other
            }
            _ => FaultKind::Other,
        };
        Self::Failed(Fault { kind, text })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bson::doc;

    use super::*;

    fn io_failure(kind: io::ErrorKind, text: &str) -> Heard {
        Heard::failure(&Error::from(io::Error::new(kind, text)))
    }

    fn trouble(heard: Vec<Heard>) -> Trouble {
        let addresses = ["m1:1", "m2:2", "m3:3"].map(str::to_owned);
        Trouble::without_primary("rs0", &addresses.into_iter().zip(heard).collect())
    }

    /// Returns the result of a reply of mongod 6.0, without the fields that are not read.
    fn hello(of: &str) -> Heard {
        Heard::reply(&match of {
            "standalone" => doc! { "isWritablePrimary": true, "ok": 1.0 },
            "router" => doc! { "isWritablePrimary": true, "msg": "isdbgrid", "ok": 1.0 },
            "removed" => {
                doc! { "isWritablePrimary": false, "secondary": false, "isreplicaset": true, "ok": 1.0 }
            }
            set => doc! { "setName": set, "secondary": true, "ok": 1.0 },
        })
    }

    #[test]
    fn each_trouble_is_named_and_says_what_to_do() {
        let lookup = || {
            io_failure(
                io::ErrorKind::Other,
                "failed to lookup address information: Name or service not known",
            )
        };
        let tls = || {
            io_failure(
                io::ErrorKind::InvalidData,
                "invalid peer certificate: UnknownIssuer",
            )
        };
        let refused = || {
            io_failure(
                io::ErrorKind::ConnectionRefused,
                "Connection refused (os error 111)",
            )
        };
        let eof = || io_failure(io::ErrorKind::UnexpectedEof, "unexpected end of file");
        for (heard, says) in [
            (vec![], vec!["has answered yet"]),
            (
                vec![hello("rs1")],
                vec!["m1:1", "\"rs1\"", "replicaSet=rs0", "correct the name"],
            ),
            (vec![refused(), hello("rs1")], vec!["m2:2", "\"rs1\""]),
            (
                vec![hello("standalone")],
                vec!["m1:1", "without a replica set", "--replSet rs0", "rs.initiate()"],
            ),
            (vec![hello("router")], vec!["mongos"]),
            (
                vec![hello("removed"), refused()],
                vec!["m1:1", "removed from its set", "rs0"],
            ),
            (vec![lookup(), lookup()], vec!["m1:1", "not found", "DNS"]),
            (vec![tls()], vec!["encrypted", "UnknownIssuer", "tlsCAFile"]),
            (vec![refused(), lookup()], vec!["no member", "m1:1: ", "m2:2: "]),
            (vec![eof()], vec!["no member", "tls=true"]),
            (
                vec![hello("rs0"), refused()],
                vec!["no primary at the moment", "m2:2: "],
            ),
            (
                vec![hello("rs0"), hello("removed")],
                vec!["no primary at the moment"],
            ),
        ] {
            let named = trouble(heard).to_string();
            for text in says {
                assert!(named.contains(text), "{named} should say {text}");
            }
        }
    }

    #[test]
    fn only_a_lasting_trouble_makes_a_server_unready() {
        assert!(trouble(vec![hello("rs1")]).stays() && trouble(vec![hello("standalone")]).stays());
        assert!(!trouble(vec![]).stays() && !trouble(vec![hello("rs0")]).stays());
    }

    #[test]
    fn what_mongodb_refuses_the_servers_user_is_told_apart() {
        let other = Error::from(ErrorKind::Io(Arc::new(io::ErrorKind::TimedOut.into())));
        assert_eq!(Trouble::of_access(&other), None);
        for (trouble, says) in [
            (Trouble::Authentication, "authSource"),
            (Trouble::NoUser, "user:password@host"),
            (
                Trouble::Privilege {
                    missing: "not authorized on app".to_owned(),
                },
                "not authorized on app",
            ),
        ] {
            assert!(trouble.stays() && trouble.to_string().contains(says), "{trouble}");
        }
    }
}
