//! Fingerprints: they tell if two texts under one id are the same command.

use bson::{Bson, Document};
use sha2::{Digest, Sha256};

use super::allowed_commands::COMMON_OPTIONS;
use super::list;
use crate::subject::{SubjectHash, is_of_another};

/// SHA-256 over the BSON bytes of a command document.
pub type Fingerprint = [u8; 32];

/// The two fingerprints of a command.
///
/// A client may send a command again with more time or another comment. It is the same command, so
/// `maxTimeMS` and `comment` are left out of the fingerprint by which commands are compared.
/// Servers of version 0.1.0 compare the whole document. A record therefore holds both fingerprints
/// where they differ, and both versions recognize the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprints {
    of_document: Fingerprint,
    of_command: Fingerprint,
    /// The subject that has sent the command. Absent if the server does not restrict access.
    by: Option<SubjectHash>,
}

impl Fingerprints {
    /// Returns the fingerprints of this document, which is `encoded` as BSON.
    pub(super) fn of(body: &Document, encoded: &[u8]) -> Result<Self, bson::error::Error> {
        let of_document = Sha256::digest(encoded).into();
        let of_command = match without_common_options(body) {
            Some(rest) => Sha256::digest(rest.to_vec()?).into(),
            None => of_document,
        };
        Ok(Self {
            of_document,
            of_command,
            by: None,
        })
    }

    pub(super) fn set_subject(&mut self, subject: Option<SubjectHash>) {
        self.by = subject;
    }

    /// Returns the subject that has sent the command.
    pub(crate) fn by(&self) -> Option<&SubjectHash> {
        self.by.as_ref()
    }

    /// Returns the fingerprint of the whole document.
    pub(crate) fn of_document(&self) -> &Fingerprint {
        &self.of_document
    }

    /// Returns the fingerprint of the document without every `maxTimeMS` and `comment`.
    pub(crate) fn of_command(&self) -> &Fingerprint {
        &self.of_command
    }

    /// Returns `true` if a record with these fingerprints, of a command of the subject `by`, is
    /// that of the same command. A record of version 0.1.0 holds only the first one.
    pub(crate) fn match_record(
        &self,
        of_document: &[u8],
        of_command: Option<&[u8]>,
        by: Option<&[u8]>,
    ) -> bool {
        if is_of_another(by, self.by.as_ref()) {
            return false;
        }
        match of_command {
            Some(of_command) => of_command == self.of_command,
            None => of_document == self.of_command || of_document == self.of_document,
        }
    }
}

/// Returns the document without the options that do not change its execution. It also leaves out
/// those options in the commands of a list. Returns `None` if the document has none of them.
fn without_common_options(body: &Document) -> Option<Document> {
    let is_kept = |field: &str| !COMMON_OPTIONS.contains(&field);
    let has_options = |body: &Document| !body.keys().all(|field| is_kept(field));
    let rest = |body: &Document| -> Document {
        let kept = body.iter().filter(|(field, _)| is_kept(field));
        kept.map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    let commands = if list::is_list(body) {
        body.get_array(list::NAME).ok()
    } else {
        None
    };
    let mut commands_of_list = commands.into_iter().flatten().filter_map(Bson::as_document);
    if !has_options(body) && !commands_of_list.any(has_options) {
        return None;
    }
    let mut without = rest(body);
    if let Some(commands) = commands {
        let commands = commands.iter().map(|command| match command {
            Bson::Document(command) => Bson::Document(rest(command)),
            other => other.clone(),
        });
        let commands: Vec<Bson> = commands.collect();
        without.insert(list::NAME, commands);
    }
    Some(without)
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn of(body: &Document) -> Fingerprints {
        Fingerprints::of(body, &body.to_vec().unwrap()).unwrap()
    }

    fn whole(body: &Document) -> Fingerprint {
        Sha256::digest(body.to_vec().unwrap()).into()
    }

    #[test]
    fn time_and_comment_are_no_part_of_a_command() {
        let plain = doc! { "insert": "c", "documents": [{ "comment": 1, "maxTimeMS": 2 }] };
        assert_eq!(*of(&plain).of_command(), whole(&plain));
        for (field, value) in [
            ("maxTimeMS", Bson::from(5)),
            ("comment", Bson::from("x")),
            ("comment", Bson::from(doc! { "maxTimeMS": 1 })),
        ] {
            let mut other = plain.clone();
            other.insert(field, value);
            assert_eq!(of(&other).of_command(), of(&plain).of_command());
            assert_ne!(of(&other).of_document(), of(&plain).of_document());
        }
        let mut data = plain.clone();
        data.insert("documents", vec![doc! { "comment": 2, "maxTimeMS": 2 }]);
        assert_ne!(of(&data).of_command(), of(&plain).of_command());
        let mut option = plain.clone();
        option.insert("ordered", true);
        assert_ne!(of(&option).of_command(), of(&plain).of_command());
    }

    #[test]
    fn in_a_list_they_are_no_part_of_any_command() {
        let plain = doc! { "transaction": [{ "find": "a" }, { "find": "b", "filter": { "comment": 1 } }] };
        let spelled = doc! {
            "transaction": [
                { "find": "a", "comment": "x" },
                { "find": "b", "maxTimeMS": 7, "filter": { "comment": 1 } },
            ],
            "maxTimeMS": 9,
        };
        assert_eq!(*of(&plain).of_command(), whole(&plain));
        assert_eq!(of(&spelled).of_command(), of(&plain).of_command());
    }

    #[test]
    fn records_of_the_version_before_are_recognized() {
        let plain = doc! { "find": "a" };
        let spelled = doc! { "find": "a", "comment": "x" };
        let other = doc! { "find": "b", "comment": "x" };
        // That version stored the fingerprint of the whole document.
        for stored in [&plain, &spelled] {
            assert!(of(&spelled).match_record(&whole(stored), None, None));
            assert!(!of(&other).match_record(&whole(stored), None, None));
        }
        let record = of(&spelled);
        let matches =
            |body: &Document| of(body).match_record(record.of_document(), Some(record.of_command()), None);
        assert!(matches(&plain) && matches(&spelled) && !matches(&other));
        assert!(matches(&doc! { "find": "a", "comment": "y", "maxTimeMS": 1 }));
    }

    #[test]
    fn the_same_text_of_another_subject_is_another_command() {
        let plain = of(&doc! { "insert": "c", "documents": [{ "a": 1 }] });
        let (alice, bob) = (SubjectHash::of("i", "alice"), SubjectHash::of("i", "bob"));
        let matches = |by: Option<SubjectHash>, asking: Option<SubjectHash>| {
            let mut asked = plain.clone();
            asked.set_subject(asking);
            let by = by.as_ref().map(SubjectHash::as_bytes);
            asked.match_record(plain.of_document(), None, by)
        };
        assert!(matches(Some(alice), Some(alice)));
        assert!(!matches(Some(alice), Some(bob)));
        assert!(matches(None, Some(bob)) && matches(Some(alice), None) && matches(None, None));
    }
}
