use std::collections::BTreeMap;

use bellwether_election::ServerId;

/// The decisions of the peers to accept or to refuse this server.
///
/// Peers refuse a server with another secret or another cluster name. That server may still use
/// their database. Without a link it would know no coordinator, and would take over from theirs
/// again and again. Such a server is therefore no candidate until a peer has accepted it, or no
/// peer refuses it.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    accepted: bool,
    refusals: BTreeMap<ServerId, String>,
}

impl Admission {
    /// Records that this server belongs to the cluster, even if a peer refuses it later.
    pub(super) fn accept(&mut self) {
        self.accepted = true;
    }

    /// Records a link to this peer.
    pub(super) fn link(&mut self, peer: &ServerId) {
        self.accepted = true;
        self.refusals.remove(peer);
    }

    /// Records that there can be no link to this peer before an operator changes something. Returns
    /// `true` if anything changed.
    pub(super) fn refuse(&mut self, peer: &ServerId, reason: &str) -> bool {
        let before = self.refusals.insert(peer.clone(), reason.to_owned());
        before.is_none_or(|before| before != reason)
    }

    /// Records that nothing listens at this peer's address any more. Returns `true` if anything
    /// changed. A silent peer keeps its refusal: it may return and refuse again.
    pub(super) fn forget(&mut self, peer: &ServerId) -> bool {
        self.refusals.remove(peer).is_some()
    }

    /// Returns the reason why there can be no link to this peer.
    pub(crate) fn refusal(&self, peer: &ServerId) -> Option<&str> {
        self.refusals.get(peer).map(String::as_str)
    }

    /// Returns the reason why this server must not be a candidate, or `None` if it may.
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
        let mut admission = Admission::default();
        assert_eq!(admission.shut_out(), None, "nobody answers");
        assert!(admission.refuse(&id("s2"), "another cluster"));
        assert!(!admission.refuse(&id("s2"), "another cluster"));
        assert!(admission.shut_out().unwrap().ends_with("another cluster"));
        assert_eq!(admission.refusal(&id("s2")), Some("another cluster"));
        assert!(admission.forget(&id("s2")));
        assert_eq!(admission.shut_out(), None, "nobody is there");
    }

    #[test]
    fn who_was_accepted_once_stands() {
        let mut admission = Admission::default();
        admission.refuse(&id("s2"), "another secret");
        admission.link(&id("s3"));
        assert_eq!(admission.shut_out(), None);
        admission.refuse(&id("s3"), "another secret");
        assert_eq!(admission.shut_out(), None);
        assert_eq!(admission.refusal(&id("s2")), Some("another secret"));
    }
}
