//! `replies_equal`: every answer for an id has the same reply, also after the run.

use std::collections::HashMap;

use bellwether_client::CommandId;

use super::calls::Calls;
use super::{Finding, Wrongs};
use crate::history::Entry;
use crate::replay::Replay;

pub(super) fn check(calls: &Calls, entries: &[Entry], replays: &[Replay]) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut first: HashMap<CommandId, (&str, u64)> = HashMap::new();
    let mut checked = 0;
    for entry in entries {
        let (Some(id), Some(reply), Some(epoch)) = (entry.id, entry.reply.as_deref(), entry.epoch) else {
            continue;
        };
        let known = *first.entry(id).or_insert((reply, epoch));
        checked += 1;
        wrongs.unless(known == (reply, epoch), || {
            format!("{id} was answered {known:?} and {:?}", (reply, epoch))
        });
    }
    for replay in replays {
        let Some((reply, epoch)) = first.get(&replay.id) else {
            continue;
        };
        checked += 1;
        let same = Ok(((*reply).to_owned(), *epoch, true));
        wrongs.unless(replay.answer == same, || {
            format!(
                "{} was answered {reply} in epoch {epoch}, and sent again after the run {:?}",
                replay.id, replay.answer
            )
        });
    }
    for command in &calls.commands {
        let mut ids = command.calls.iter().filter_map(|call| call.id);
        let one = ids.next();
        wrongs.unless(ids.all(|id| Some(id) == one), || {
            format!("{} was sent under several ids", command.name())
        });
    }
    wrongs.finding("replies_equal", None, checked)
}
