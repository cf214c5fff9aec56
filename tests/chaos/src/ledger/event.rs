use anyhow::{Context, Result, bail};
use bellwether_client::CommandId;
use bson::{Bson, Document};

use super::{FENCE, Fence, Line};

/// Returns the change that an event of the change stream reports.
pub(super) fn changed(event: &Document, fence: Option<&Fence>) -> Result<Line> {
    let kind = event.get_str("operationType")?;
    let is_fence = event
        .get_document("documentKey")
        .is_ok_and(|key| key.get_str("_id").is_ok_and(|id| id == FENCE));
    let transaction = transaction(event);
    let changes = match kind {
        "insert" => event.get_document("fullDocument")?,
        "update" if is_fence => event
            .get_document("updateDescription")?
            .get_document("updatedFields")?,
        _ => {
            let key = event.get("documentKey");
            return Ok(Line::Removed {
                what: format!("{kind} of {}", key.map(ToString::to_string).unwrap_or_default()),
            });
        }
    };
    if !is_fence {
        return Ok(Line::Recorded {
            epoch: epoch(changes)?,
            ids: ids(changes)?,
            transaction,
        });
    }
    let seq = changes.get("seq").and_then(Bson::as_i64);
    if !changes.contains_key("epoch") {
        let seq = seq.with_context(|| format!("the fence was changed in an unknown way: {changes}"))?;
        return Ok(Line::Held { seq, transaction });
    }
    // The event has only the changed fields.
    let text = |field: &str, before: Option<&String>| {
        let now = changes.get_str(field).ok().map(str::to_owned);
        now.or_else(|| before.cloned()).unwrap_or_default()
    };
    Ok(Line::Granted {
        epoch: epoch(changes)?,
        holder: text("holder", fence.map(|fence| &fence.holder)),
        number: text("number", fence.map(|fence| &fence.number)),
        seq,
    })
}

/// Returns the transaction of an event: its session and its number in it.
fn transaction(event: &Document) -> Option<String> {
    let session = event.get_document("lsid").ok()?.get("id")?;
    let number = event.get("txnNumber")?;
    Some(format!("{session} {number}"))
}

pub(super) fn epoch(document: &Document) -> Result<u64> {
    let epoch = document.get("epoch").and_then(Bson::as_i64);
    epoch
        .and_then(|epoch| u64::try_from(epoch).ok())
        .with_context(|| format!("no epoch in {document}"))
}

pub(super) fn ids(record: &Document) -> Result<Vec<CommandId>> {
    let ids = record.get_array("commands")?.iter().map(|command| {
        let id = command.as_document().and_then(|command| command.get("id"));
        let Some(Bson::Binary(binary)) = id else {
            bail!("no id in a record")
        };
        Ok(binary.to_uuid()?.to_string().parse::<CommandId>()?)
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use bson::spec::BinarySubtype;
    use bson::{Binary, Timestamp, doc};

    use super::*;

    fn event(kind: &str, id: impl Into<Bson>, details: Document) -> Document {
        let mut event = doc! {
            "_id": { "_data": "82" },
            "operationType": kind,
            "clusterTime": Timestamp { time: 1, increment: 2 },
            "documentKey": { "_id": id },
            "lsid": { "id": uuid(7), "uid": "x" },
            "txnNumber": 5_i64,
        };
        event.extend(details);
        event
    }

    fn uuid(byte: u8) -> Binary {
        let mut bytes = vec![byte; 16];
        bytes[6] = 0x70;
        bytes[8] = 0x80;
        let subtype = BinarySubtype::Uuid;
        Binary { subtype, bytes }
    }

    #[test]
    fn grants_holds_and_records_are_told_apart() {
        let first = doc! { "fullDocument": { "_id": FENCE, "epoch": 1_i64, "holder": "s1", "number": "9", "seq": 0_i64 } };
        let granted = |epoch, holder: &str, number: &str, seq| Line::Granted {
            epoch,
            holder: holder.into(),
            number: number.into(),
            seq,
        };
        let told = changed(&event("insert", FENCE, first), None).unwrap();
        assert_eq!(told, granted(1, "s1", "9", Some(0)));

        // The same holder is not in the event, as it does not change.
        let fence = Fence {
            epoch: 1,
            holder: "s1".into(),
            number: "9".into(),
            seq: 4,
        };
        let update = |fields: Document| doc! { "updateDescription": { "updatedFields": fields } };
        let again = event("update", FENCE, update(doc! { "epoch": 2_i64 }));
        assert_eq!(
            changed(&again, Some(&fence)).unwrap(),
            granted(2, "s1", "9", None)
        );
        let other = event(
            "update",
            FENCE,
            update(doc! { "epoch": 2_i64, "holder": "s2", "number": "8" }),
        );
        assert_eq!(
            changed(&other, Some(&fence)).unwrap(),
            granted(2, "s2", "8", None)
        );

        let held = changed(
            &event("update", FENCE, update(doc! { "seq": 5_i64 })),
            Some(&fence),
        )
        .unwrap();
        let Line::Held { seq: 5, transaction } = held else {
            panic!("{held:?}")
        };
        let commands =
            doc! { "fullDocument": { "epoch": 2_i64, "commands": [{ "id": uuid(1) }, { "id": uuid(2) }] } };
        let recorded = changed(&event("insert", uuid(1), commands.clone()), Some(&fence)).unwrap();
        let Line::Recorded {
            epoch: 2,
            ids,
            transaction: same,
        } = recorded
        else {
            panic!("{recorded:?}")
        };
        assert_eq!((ids.len(), &same), (2, &transaction));
        let mut alone = event("insert", uuid(1), commands);
        alone.remove("txnNumber");
        assert!(matches!(
            changed(&alone, None).unwrap(),
            Line::Recorded {
                transaction: None,
                ..
            }
        ));
    }

    #[test]
    fn what_nobody_does_to_a_ledger_is_told() {
        for (kind, id) in [
            ("delete", FENCE),
            ("replace", FENCE),
            ("update", "record"),
            ("drop", ""),
        ] {
            let told = changed(&event(kind, id, doc! {}), None).unwrap();
            assert!(matches!(told, Line::Removed { .. }), "{kind}: {told:?}");
        }
    }
}
