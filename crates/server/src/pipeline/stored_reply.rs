//! The form in which a reply is stored with its command's id. It is smaller than the form that is
//! sent if a command has very many statements.

use bson::{Bson, Document};

use super::{inserted_ids, write_errors};

/// Brings a reply into the form in which it is stored. The minted ids in it have that form already.
pub(super) fn fold(mut reply: Document) -> Document {
    write_errors::fold(&mut reply);
    reply
}

/// Brings a stored reply into the form in which it is sent.
pub(super) fn unfold(mut reply: Document) -> Document {
    unfold_one(&mut reply);
    if let Ok(operations) = reply.get_array_mut("results") {
        operations
            .iter_mut()
            .filter_map(Bson::as_document_mut)
            .for_each(unfold_one);
    }
    reply
}

fn unfold_one(reply: &mut Document) {
    inserted_ids::unfold(reply);
    write_errors::unfold(reply);
}

#[cfg(test)]
mod tests {
    use bson::doc;
    use bson::oid::ObjectId;

    use super::*;

    #[test]
    fn the_replies_of_a_list_are_unfolded_each() {
        let first = ObjectId::new();
        let stored = doc! { "n": 1, "insertedIds": { "first": first, "stretches": [0, 1] }, "ok": 1.0 };
        let sent = doc! { "n": 1, "insertedIds": [{ "index": 0, "_id": first }], "ok": 1.0 };
        assert_eq!(unfold(fold(stored.clone())), sent);
        let list = doc! { "results": [stored, { "n": 0 }], "ok": 1.0 };
        assert_eq!(
            unfold(fold(list)),
            doc! { "results": [sent, { "n": 0 }], "ok": 1.0 }
        );
    }
}
