//! The choice of the secondary that must stand for election when the primary is gone.

use core::cmp::Reverse;

use bson::{Bson, Document};
use mongodb::options::ServerAddress;

/// A secondary that may become primary, as it described itself a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    address: ServerAddress,
    applied: OpTime,
    /// The member that the secondary takes for the primary.
    primary: Option<String>,
    syncs_from: Option<String>,
}

/// A position in the oplog: the term, then the time in the term. No member votes for a candidate
/// whose position is behind its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OpTime {
    term: i64,
    time: (u32, u32),
}

impl Candidate {
    /// Reads the replies to `hello` and, if that was allowed, to `replSetGetStatus`. Returns `None`
    /// if this member is no secondary, or is configured never to become primary.
    pub(super) fn read(address: &ServerAddress, hello: &Document, status: Option<&Document>) -> Option<Self> {
        let says = |what| hello.get_bool(what).unwrap_or(false);
        // `passive` is MongoDB's word for a priority of 0.
        let may_stand = says("secondary") && !["hidden", "passive", "arbiterOnly"].into_iter().any(says);
        let text = |document: &Document, field| {
            let text = document.get_str(field).ok().filter(|text| !text.is_empty());
            text.map(str::to_lowercase)
        };
        let applied = hello
            .get_document("lastWrite")
            .ok()?
            .get_document("opTime")
            .ok()?;
        let applied = OpTime {
            term: applied.get("t").and_then(Bson::as_i64)?,
            time: applied
                .get_timestamp("ts")
                .map(|ts| (ts.time, ts.increment))
                .ok()?,
        };
        may_stand.then(|| Self {
            address: address.clone(),
            applied,
            primary: text(hello, "primary"),
            syncs_from: status.and_then(|status| text(status, "syncSourceHost")),
        })
    }
}

/// Returns the candidates in the order in which to ask them, after the loss of this primary.
/// Returns no candidate if one of them already follows another primary.
///
/// The candidate with the newest oplog entry comes first, because the others would not vote for an
/// older one. Among equal candidates, one from which another member already copies comes first.
/// That other member need not look for a new source before it can acknowledge a majority write. Two
/// servers with the same replies make the same decision.
pub(super) fn in_order(lost: &ServerAddress, candidates: Vec<Candidate>) -> Vec<ServerAddress> {
    let lost = name(lost);
    let follows_another =
        |candidate: &Candidate| candidate.primary.as_ref().is_some_and(|primary| *primary != lost);
    if candidates.iter().any(follows_another) {
        return Vec::new();
    }
    let sources: Vec<String> = candidates
        .iter()
        .filter_map(|one| one.syncs_from.clone())
        .collect();
    let mut candidates = candidates;
    candidates.sort_by_cached_key(|candidate| {
        let name = name(&candidate.address);
        (Reverse(candidate.applied), Reverse(sources.contains(&name)), name)
    });
    candidates
        .into_iter()
        .map(|candidate| candidate.address)
        .collect()
}

/// Returns the address as MongoDB writes it, in lower case.
fn name(address: &ServerAddress) -> String {
    address.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, doc};

    use super::*;

    fn address(name: &str) -> ServerAddress {
        ServerAddress::parse(name).unwrap()
    }

    /// Returns a reply of mongod 6.0, without the fields that are not read.
    fn hello(term: i64, time: u32) -> Document {
        let ts = Timestamp { time, increment: 1 };
        doc! {
            "isWritablePrimary": false,
            "secondary": true,
            "primary": "a:27017",
            "lastWrite": { "opTime": { "ts": ts, "t": term } },
        }
    }

    fn candidate(name: &str, hello: &Document, syncs_from: &str) -> Candidate {
        let status = doc! { "syncSourceHost": syncs_from };
        Candidate::read(&address(name), hello, Some(&status)).unwrap()
    }

    fn order(candidates: Vec<Candidate>) -> Vec<String> {
        let order = in_order(&address("A"), candidates);
        order.iter().map(ServerAddress::to_string).collect()
    }

    #[test]
    fn the_newest_oplog_entry_comes_first() {
        let candidates = vec![
            candidate("b", &hello(3, 900), ""),
            candidate("c", &hello(4, 800), "b:27017"),
            candidate("d", &hello(4, 801), "a:27017"),
        ];
        assert_eq!(order(candidates), ["d:27017", "c:27017", "b:27017"]);
    }

    #[test]
    fn between_equal_ones_a_source_comes_first_and_then_the_name() {
        let equal = |name, syncs_from| candidate(name, &hello(4, 800), syncs_from);
        let candidates = vec![equal("d", "C:27017"), equal("c", "a:27017"), equal("b", "")];
        assert_eq!(order(candidates), ["c:27017", "b:27017", "d:27017"]);
    }

    #[test]
    fn nobody_is_asked_when_another_primary_is_followed() {
        let mut elsewhere = hello(4, 801);
        elsewhere.insert("primary", "b:27017");
        let candidates = vec![candidate("c", &hello(4, 800), ""), candidate("d", &elsewhere, "")];
        assert_eq!(order(candidates), [""; 0]);

        let mut nobody = hello(4, 801);
        nobody.remove("primary");
        let candidates = vec![candidate("c", &hello(4, 800), ""), candidate("d", &nobody, "")];
        assert_eq!(order(candidates), ["d:27017", "c:27017"]);
    }

    #[test]
    fn who_may_not_become_primary_is_no_candidate() {
        let read = |hello: &Document| Candidate::read(&address("b"), hello, None);
        assert!(read(&hello(4, 800)).is_some());
        for (field, value) in [
            ("hidden", true),
            ("passive", true),
            ("arbiterOnly", true),
            ("secondary", false),
        ] {
            let mut hello = hello(4, 800);
            hello.insert(field, value);
            assert_eq!(read(&hello), None, "{field}");
        }
        let mut fresh = hello(4, 800);
        fresh.remove("lastWrite");
        assert_eq!(read(&fresh), None);
    }
}
