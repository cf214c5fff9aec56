//! The `_id`s of inserted documents that have none.
//!
//! The server makes them when it reads the command, so that the reply can name them. All tries of
//! the command insert the same ids. The id of a document follows from the first id and the
//! document's place. So a reply is stored in few bytes, however many ids it names.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bson::oid::ObjectId;
use bson::{Bson, Document};

/// Largest number of documents or statements in one command: MongoDB refuses more.
pub(crate) const MAX_STATEMENTS: usize = 100_000;

/// The last three bytes of an ObjectId are a counter.
const COUNTERS: u32 = 1 << 24;

/// ObjectIds that follow each other, one for each document of an `insert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MintedIds {
    first: ObjectId,
}

impl MintedIds {
    /// Mints ids for the documents of an insert, unless each has its own or MongoDB will not take
    /// them.
    pub(super) fn mint(documents: &[Bson]) -> Option<Self> {
        let needs = |document: &Bson| document.as_document().is_some_and(|document| !has_id(document));
        let count = u32::try_from(documents.len()).ok()?;
        if documents.len() > MAX_STATEMENTS || !documents.iter().any(needs) {
            return None;
        }
        Some(Self::reserve(count))
    }

    /// Takes this number of counters in a row. Within one process no id is minted twice while fewer
    /// than 2 to the power of 24 are minted in a second. Five random bytes distinguish processes,
    /// as in MongoDB's drivers.
    fn reserve(count: u32) -> Self {
        static PROCESS: LazyLock<[u8; 5]> = LazyLock::new(rand::random);
        static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::random::<u32>() % COUNTERS));
        // The counters of one command grow, so they do not begin at 0 again in between.
        let fits = |next: u32| if next + count > COUNTERS { 0 } else { next };
        let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            Some((fits(next) + count) % COUNTERS)
        });
        let counter = fits(taken.unwrap_or_default());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let [_, counter @ ..] = counter.to_be_bytes();
        let [_, _, _, _, seconds @ ..] = now.as_secs().to_be_bytes();
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds);
        bytes[4..9].copy_from_slice(&*PROCESS);
        bytes[9..].copy_from_slice(&counter);
        Self {
            first: ObjectId::from_bytes(bytes),
        }
    }

    /// Returns the ids that begin with this one.
    pub(crate) fn from_first(first: ObjectId) -> Self {
        Self { first }
    }

    /// Returns the id of the document at place 0.
    pub(crate) fn first(self) -> ObjectId {
        self.first
    }

    /// Returns the id of the document at this place.
    pub(crate) fn id(self, place: u32) -> ObjectId {
        let mut bytes = self.first.bytes();
        let [.., high, middle, low] = bytes;
        let counter = u32::from_be_bytes([0, high, middle, low]).wrapping_add(place) % COUNTERS;
        let [_, counter @ ..] = counter.to_be_bytes();
        bytes[9..].copy_from_slice(&counter);
        ObjectId::from_bytes(bytes)
    }

    /// Returns the document at this place, with an `_id`.
    pub(crate) fn complete(self, place: usize, document: &Bson) -> Bson {
        match (document, u32::try_from(place)) {
            (Bson::Document(fields), Ok(place)) if !has_id(fields) => {
                let mut completed = Document::new();
                completed.insert("_id", self.id(place));
                completed.extend(fields.clone());
                Bson::Document(completed)
            }
            _ => document.clone(),
        }
    }
}

pub(crate) fn has_id(document: &Document) -> bool {
    document.contains_key("_id")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bson::doc;

    use super::*;

    #[test]
    fn ids_grow_and_none_comes_twice() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    let ids = (0..500).map(|_| MintedIds::reserve(3));
                    ids.flat_map(|ids| [ids.id(0), ids.id(1), ids.id(2)])
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all = HashSet::new();
        for thread in threads {
            for ids in thread.join().unwrap().chunks(3) {
                assert!(ids[0] < ids[1] && ids[1] < ids[2]);
                all.extend(ids.iter().copied());
            }
        }
        assert_eq!(all.len(), 4 * 500 * 3);
    }

    #[test]
    fn only_what_has_no_id_gets_one() {
        let documents = [
            Bson::from(doc! { "a": 1 }),
            Bson::from(doc! { "a": 1, "_id": null }),
            Bson::Int32(1),
        ];
        let ids = MintedIds::mint(&documents).unwrap();
        let completed: Vec<Bson> = documents
            .iter()
            .enumerate()
            .map(|(place, document)| ids.complete(place, document))
            .collect();
        assert_eq!(completed[0], Bson::from(doc! { "_id": ids.first(), "a": 1 }));
        assert_eq!(completed[1..], documents[1..]);
        assert_eq!(MintedIds::mint(&documents[1..]), None);
        assert_eq!(
            MintedIds::mint(&vec![Bson::from(doc! {}); MAX_STATEMENTS + 1]),
            None
        );
    }
}
