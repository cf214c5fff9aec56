use sha2::{Digest, Sha256};

/// SHA-256 of an issuer and a subject: the owner of a command. The hash does not change when a
/// token is refreshed, because it has no part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubjectHash([u8; 32]);

impl SubjectHash {
    /// Returns the hash of this subject. The length of each part stands before it, so that no two
    /// subjects look alike.
    pub(crate) fn of(issuer: &str, subject: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [issuer, subject] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Returns `true` if a command of the subject `owner` belongs to another subject than `asking`.
///
/// A command without an owner was sent while access was not restricted, so it belongs to every
/// client. A client without a subject asks a server that does not restrict access.
pub(crate) fn is_of_another(owner: Option<&[u8]>, asking: Option<&SubjectHash>) -> bool {
    matches!((owner, asking), (Some(owner), Some(asking)) if owner != asking.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_subjects_look_alike() {
        let hash = SubjectHash::of("ab", "c");
        assert_eq!(hash, SubjectHash::of("ab", "c"));
        for (issuer, subject) in [("a", "bc"), ("", "abc"), ("abc", ""), ("c", "ab")] {
            assert_ne!(hash, SubjectHash::of(issuer, subject), "{issuer} {subject}");
        }
    }

    #[test]
    fn only_a_known_owner_excludes_another_subject() {
        let (alice, bob) = (SubjectHash::of("i", "alice"), SubjectHash::of("i", "bob"));
        assert!(is_of_another(Some(alice.as_bytes()), Some(&bob)));
        assert!(!is_of_another(Some(alice.as_bytes()), Some(&alice)));
        assert!(!is_of_another(None, Some(&bob)));
        assert!(!is_of_another(Some(alice.as_bytes()), None));
    }
}
