use std::collections::BTreeMap;

use bellwether_election::ServerId;

/// How this server is received by the others.
///
/// One that they refuse, for another secret or another cluster's name, may share the database with them all the same. Hearing
/// nobody, it would take the role of coordinator from the one they follow, again and again. So it does not stand until one of
/// them has accepted it, or there is nobody to refuse it.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    accepted: bool,
    refusals: BTreeMap<ServerId, String>,
}

impl Reception {
    /// From now on this server is one of the cluster's, whoever refuses it.
    pub(super) fn accept(&mut self) {
        self.accepted = true;
    }

    /// There is a link to this peer.
    pub(super) fn link(&mut self, peer: &ServerId) {
        self.accepted = true;
        self.refusals.remove(peer);
    }

    /// There can be no link to this peer, and trying again will not help. Whether a change came of it.
    pub(super) fn refuse(&mut self, peer: &ServerId, reason: &str) -> bool {
        let before = self.refusals.insert(peer.clone(), reason.to_owned());
        before.is_none_or(|before| before != reason)
    }

    /// Nothing listens at this peer's address any more. Whether a change came of it. A peer that is merely silent may be back
    /// in a moment, and of the same mind.
    pub(super) fn forget(&mut self, peer: &ServerId) -> bool {
        self.refusals.remove(peer).is_some()
    }

    /// Why there can be no link to this peer.
    pub(crate) fn refusal(&self, peer: &ServerId) -> Option<&str> {
        self.refusals.get(peer).map(String::as_str)
    }

    /// Why this server must not stand, if it must not.
    pub(crate) fn shut_out(&self) -> Option<String> {
        let (_, reason) = self.refusals.first_key_value().filter(|_| !self.accepted)?;
        Some(format!(
            "no other server accepts this one, so it does not stand: {reason}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ServerId {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_refused_by_all_who_answer_does_not_stand() {
        let mut reception = Reception::default();
        assert_eq!(reception.shut_out(), None, "nobody answers");
        assert!(reception.refuse(&id("s2"), "another cluster"));
        assert!(!reception.refuse(&id("s2"), "another cluster"));
        assert!(reception.shut_out().unwrap().ends_with("another cluster"));
        assert_eq!(reception.refusal(&id("s2")), Some("another cluster"));
        assert!(reception.forget(&id("s2")));
        assert_eq!(reception.shut_out(), None, "nobody is there");
    }

    #[test]
    fn who_was_accepted_once_stands() {
        let mut reception = Reception::default();
        reception.refuse(&id("s2"), "another secret");
        reception.link(&id("s3"));
        assert_eq!(reception.shut_out(), None);
        reception.refuse(&id("s3"), "another secret");
        assert_eq!(reception.shut_out(), None);
        assert_eq!(reception.refusal(&id("s2")), Some("another secret"));
    }
}
