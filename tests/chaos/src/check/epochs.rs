//! `epoch_unique`, `epoch_grows`, `fenced`, `fence_written` and `granted_epochs_only`. They are
//! checked in the ledger's own history, which has the order of MongoDB's commits. They are also
//! checked with the epochs in answers to clients and in the servers' own status.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bellwether_client::{CommandId, Outcome};

use super::{Finding, Verdict, Wrongs};
use crate::history::Entry;
use crate::ledger::{Ledger, Line};
use crate::timeline::Belief;

/// Time limit for the use of an epoch that was never granted, in microseconds. A server asks
/// MongoDB at once, and again every half second. It takes longer only while MongoDB answers no
/// server. No fault of a run lasts until this time limit.
const LONGEST_BELIEF: u64 = 12_000_000;

/// The server that was granted an epoch, and the number that it drew at its start.
type Holder = (String, String);

pub(super) fn check(entries: &[Entry], ledger: &Ledger) -> Vec<Finding> {
    let mut findings = vec![
        unique(entries, ledger),
        grows(ledger),
        fenced(entries, ledger),
        written(ledger),
    ];
    doubt(&mut findings, ledger);
    findings
}

/// Checks `granted_epochs_only`: no server says for long that it knows an epoch which the ledger
/// never granted.
pub fn granted_epochs_only(beliefs: &[Belief], ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let granted = ledger.lines.iter().filter_map(|line| match line {
        Line::From { fence: Some(fence) } => Some(fence.epoch),
        Line::Granted { epoch, .. } => Some(*epoch),
        _ => None,
    });
    let newest = granted.max().unwrap_or_default();
    for belief in beliefs {
        let made_up = belief.epoch > newest;
        wrongs.unless(!made_up || belief.ended - belief.began <= LONGEST_BELIEF, || {
            format!(
                "s{} said from {:.1} s to {:.1} s that it knows epoch {}, and the newest that was granted is {newest}",
                belief.server + 1,
                belief.began as f64 / 1e6,
                belief.ended as f64 / 1e6,
                belief.epoch,
            )
        });
    }
    let mut findings = [wrongs.finding("granted_epochs_only", None, beliefs.len())];
    doubt(&mut findings, ledger);
    let [finding] = findings;
    finding
}

/// Makes the findings undecided if the ledger has gaps: then it proves nothing.
fn doubt(findings: &mut [Finding], ledger: &Ledger) {
    let holes: Vec<&str> = ledger
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Lost { why } => Some(why.as_str()),
            _ => None,
        })
        .collect();
    let epochs = ledger
        .lines
        .iter()
        .any(|line| matches!(line, Line::Granted { .. } | Line::From { fence: Some(_) }));
    for finding in findings
        .iter_mut()
        .filter(|finding| finding.verdict == Verdict::Held)
    {
        if let Some(why) = holes.first() {
            finding.verdict = Verdict::Undecided(format!("the ledger was not seen all the time: {why}"));
        } else if !epochs {
            finding.verdict = Verdict::Undecided("the ledger shows no grant of an epoch".into());
        }
    }
}

fn unique(entries: &[Entry], ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut holders: BTreeMap<u64, Holder> = BTreeMap::new();
    let mut checked = 0;
    for line in &ledger.lines {
        let (epoch, holder) = match line {
            Line::From { fence: Some(fence) } => (fence.epoch, (fence.holder.clone(), fence.number.clone())),
            Line::Granted {
                epoch,
                holder,
                number,
                ..
            } => {
                wrongs.unless(!holders.contains_key(epoch), || {
                    format!("epoch {epoch} was granted twice, to {holder} and before")
                });
                (*epoch, (holder.clone(), number.clone()))
            }
            _ => continue,
        };
        checked += 1;
        holders.entry(epoch).or_insert(holder);
    }
    // A server that answers in an epoch, without a replay, was its coordinator.
    let mut answered: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.replayed) {
        if let (Some(epoch), Some(server)) = (entry.epoch, entry.server.as_deref()) {
            answered.entry(epoch).or_default().insert(server);
        }
    }
    for (epoch, servers) in answered {
        wrongs.unless(servers.len() == 1, || {
            format!("several servers answered in epoch {epoch}: {servers:?}")
        });
    }
    wrongs.finding("epoch_unique", None, checked)
}

fn grows(ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut newest = None;
    let mut checked = 0;
    for line in &ledger.lines {
        let epoch = match line {
            Line::From { fence: Some(fence) } => fence.epoch,
            Line::Granted { epoch, holder, .. } => {
                checked += 1;
                wrongs.unless(newest.is_none_or(|newest| newest < *epoch), || {
                    format!("epoch {epoch} was granted to {holder} after epoch {newest:?}")
                });
                *epoch
            }
            Line::Removed { what } => {
                wrongs.add(|| format!("the ledger lost something: {what}"));
                continue;
            }
            _ => continue,
        };
        newest = newest.max(Some(epoch));
    }
    wrongs.finding("epoch_grows", None, checked)
}

fn fenced(entries: &[Entry], ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let checked = recorded(ledger, &mut wrongs) + told(entries, &mut wrongs);
    wrongs.finding("fenced", None, checked)
}

/// Checks that every record is written in the epoch that the fence has at that moment.
fn recorded(ledger: &Ledger, wrongs: &mut Wrongs) -> usize {
    let mut newest: Option<u64> = None;
    let mut checked = 0;
    for line in &ledger.lines {
        match line {
            Line::From { fence } => newest = newest.max(fence.as_ref().map(|fence| fence.epoch)),
            Line::Granted { epoch, .. } => newest = newest.max(Some(*epoch)),
            Line::Recorded { epoch, ids, .. } => {
                checked += 1;
                wrongs.unless(Some(*epoch) == newest, || {
                    format!(
                        "{} committed under epoch {epoch} while {newest:?} was the newest",
                        listed(ids)
                    )
                });
            }
            Line::Held { .. } | Line::Removed { .. } | Line::Lost { .. } => {}
        }
    }
    checked
}

/// Checks that every record is written together with the fence, and that the fence's count grows by
/// one each time. A violation alone harms no client, but `fenced` depends on this rule. This rule
/// breaks at every record, whereas `fenced` breaks only at an unlucky moment.
fn written(ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut seq: Option<i64> = None;
    let mut checked = 0;
    let held: BTreeSet<&str> = ledger
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Held { transaction, .. } => transaction.as_deref(),
            _ => None,
        })
        .collect();
    for line in &ledger.lines {
        match line {
            Line::From { fence } => seq = fence.as_ref().map(|fence| fence.seq),
            Line::Granted { seq: set, .. } => seq = set.or(seq),
            Line::Held { seq: now, .. } => {
                checked += 1;
                wrongs.unless(seq.is_none_or(|before| before + 1 == *now), || {
                    format!("the fence went from {seq:?} to {now}")
                });
                seq = Some(*now);
            }
            Line::Recorded { ids, transaction, .. } => {
                checked += 1;
                let together = transaction
                    .as_deref()
                    .is_some_and(|transaction| held.contains(transaction));
                wrongs.unless(together, || {
                    format!(
                        "{} committed without the fence in the same transaction",
                        listed(ids)
                    )
                });
            }
            Line::Removed { .. } | Line::Lost { .. } => {}
        }
    }
    wrongs.finding("fence_written", None, checked)
}

fn listed(ids: &[CommandId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

/// Checks the epoch of each answer that is no replay. The epoch must not be smaller than any epoch
/// in an answer that arrived before the first call for this command.
fn told(entries: &[Entry], wrongs: &mut Wrongs) -> usize {
    let mut asked: HashMap<CommandId, u64> = HashMap::new();
    for entry in entries {
        if let Some(id) = entry.id {
            let first = asked.entry(id).or_insert(entry.began);
            *first = entry.began.min(*first);
        }
    }
    let asked = |entry: &Entry| {
        entry
            .id
            .and_then(|id| asked.get(&id).copied())
            .unwrap_or(entry.began)
    };
    let mut by_end: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.outcome == Outcome::Executed && entry.epoch.is_some())
        .collect();
    let mut by_begin: Vec<&Entry> = by_end.iter().copied().filter(|entry| !entry.replayed).collect();
    by_end.sort_by_key(|entry| entry.ended);
    by_begin.sort_by_key(|entry| asked(entry));
    let mut before = by_end.into_iter().peekable();
    let mut newest: Option<&Entry> = None;
    for entry in &by_begin {
        while let Some(ended) = before.next_if(|other| other.ended < asked(entry)) {
            if newest.is_none_or(|newest| newest.epoch < ended.epoch) {
                newest = Some(ended);
            }
        }
        let Some(newest) = newest else { continue };
        wrongs.unless(newest.epoch <= entry.epoch, || {
            format!(
                "{:?} answered client {} in epoch {:?} what it asked at {} µs, when client {} had been answered in {:?}",
                entry.server,
                entry.client,
                entry.epoch,
                asked(entry),
                newest.client,
                newest.epoch,
            )
        });
    }
    by_begin.len()
}
