//! The properties of every document that MongoDB gives back: a reply, or the record of a command.

use bellwether_protocol::{CommandId, CommandResult, OutcomeResult, ServerFrame};
use bson::{Bson, Document, RawDocumentBuf, doc};

use super::failure::check_reply;
use super::record;
use crate::command::canonical;

/// Checks a reply of MongoDB, which is in BSON.
pub fn mongodb_reply(data: &[u8]) {
    let document = RawDocumentBuf::from_bytes(data.to_vec()).and_then(|raw| Document::try_from(&raw));
    let Ok(document) = document else {
        return;
    };
    let _ = check_reply(&document);
    for with_records in [false, true] {
        let _ = record::ledger_result(&document, with_records);
    }
    let id = CommandId::mint(core::time::Duration::from_secs(1_795_000_000), [7; 10]);
    reaches_the_client(id, document.clone());
    // As the record of a command, and as the reply in one.
    for stored in [document.clone(), stored(document)] {
        for (_, known) in record::read(vec![Bson::Document(stored)]) {
            outcome_result_reaches_the_client(known.outcome_result(id));
        }
    }
}

fn stored(reply: Document) -> Document {
    let bytes = |length| {
        Bson::Binary(bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![7; length],
        })
    };
    doc! { "id": bytes(16), "fingerprint": bytes(32), "epoch": 7_i64, "reply": reply }
}

fn reaches_the_client(id: CommandId, reply: Document) {
    let result = canonical(reply).unwrap_or_else(|error| panic!("{error}"));
    let text = result.as_str().to_owned();
    let frame = ServerFrame::Result(CommandResult {
        id,
        epoch: 7,
        replayed: false,
        result,
    })
    .to_json();
    match ServerFrame::parse(&frame) {
        Ok(ServerFrame::Result(read)) => assert_eq!(read.result.as_str(), text),
        other => panic!("{other:?}: {frame}"),
    }
}

fn outcome_result_reaches_the_client(outcome_result: OutcomeResult) {
    let frame = ServerFrame::OutcomeResult(outcome_result.clone()).to_json();
    match ServerFrame::parse(&frame) {
        Ok(ServerFrame::OutcomeResult(read)) => {
            assert_eq!(format!("{read:?}"), format!("{outcome_result:?}"));
        }
        other => panic!("{other:?}: {frame}"),
    }
}
