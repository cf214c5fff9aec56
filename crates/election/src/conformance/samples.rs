use alloc::vec;
use alloc::vec::Vec;

use crate::{Body, Coordinator, Epoch, Member, Message, Number, Roster, ServerId, Timestamp};

/// Returns messages of every kind from `sender`, with values at the ends of their ranges. One is
/// the largest possible message, whose ids all have 64 characters. The numbers of their senders
/// differ, so each message is recognizable even if its body was damaged.
///
/// They are for tests of a format: a message that was written and read must be equal to the
/// original.
pub fn samples(sender: &ServerId) -> Vec<Message> {
    let mut bodies = vec![Body::Query];
    while let Some(more) = bodies.last().map(following).filter(|more| !more.is_empty()) {
        bodies.extend(more);
    }
    // Larger than a floating-point number holds, for formats that write numbers as such.
    let numbers = (0..).map(|below| Number(u64::MAX - below));
    let messages = numbers.zip(bodies).map(|(number, body)| Message {
        sender: Member::new(sender.clone(), number),
        body,
    });
    messages.collect()
}

/// Returns the samples of the next kind; none after the last. Every kind has an arm of its own, and
/// no other arm catches it. So a new kind does not compile before it has a place in this chain.
fn following(body: &Body) -> Vec<Body> {
    match body {
        Body::Query => vec![
            Body::Known {
                coordinator: None,
                epoch: Epoch::ZERO,
            },
            Body::Known {
                coordinator: Some(Coordinator {
                    rank: longest(0).rank,
                    epoch: Epoch(u64::MAX),
                }),
                epoch: Epoch(u64::MAX),
            },
        ],
        Body::Known { .. } => vec![Body::Election],
        Body::Election => vec![Body::Answer],
        Body::Answer => vec![Body::Decline],
        Body::Decline => ends().map(|(epoch, _)| Body::RequestVote { epoch }).into(),
        Body::RequestVote { .. } => ends()
            .map(|(epoch, _)| Body::Vote {
                epoch,
                granted: epoch == Epoch::ZERO,
            })
            .into(),
        Body::Vote { .. } => ends()
            .map(|(epoch, sent_at)| Body::Coordinator { epoch, sent_at })
            .into(),
        Body::Coordinator { .. } => ends()
            .map(|(epoch, sent_at)| Body::Heartbeat {
                epoch,
                roster: epoch.0,
                echo: (epoch != Epoch::ZERO).then_some(sent_at),
            })
            .into(),
        Body::Heartbeat { .. } => {
            let roster = |length| Roster {
                version: u64::MAX,
                members: (0..length).map(longest).collect(),
            };
            let rosters = [None, Some(roster(0)), Some(roster(Roster::LIMIT))];
            let ack = |roster| Body::HeartbeatAck {
                epoch: Epoch(u64::MAX),
                sent_at: Timestamp(u64::MAX),
                roster,
            };
            rosters.map(ack).into()
        }
        Body::HeartbeatAck { .. } => vec![
            Body::Handover {
                epoch: Epoch::ZERO,
                releases: Epoch::ZERO,
                successor: None,
            },
            Body::Handover {
                epoch: Epoch(u64::MAX),
                releases: Epoch(u64::MAX),
                successor: Some(longest(0).rank.id),
            },
        ],
        Body::Handover { .. } => Vec::new(),
    }
}

/// Returns the sample with the most bytes in any format without compression.
pub(super) fn largest(sender: &ServerId) -> Message {
    let mut samples = samples(sender);
    samples.sort_by_key(|message| match &message.body {
        Body::HeartbeatAck {
            roster: Some(roster), ..
        } => 1 + roster.members.len(),
        _ => 0,
    });
    samples.pop().unwrap_or_else(|| plain(sender, 0))
}

/// Returns a small message with a unique number. Its kind changes with `turn`. So a transport that
/// loses one kind still passes checks of other properties.
pub(super) fn small(sender: &ServerId, number: u64, turn: usize) -> Message {
    let mut message = plain(sender, number);
    message.body = match turn % 3 {
        0 => Body::Answer,
        1 => Body::Query,
        _ => Body::Election,
    };
    message
}

fn plain(sender: &ServerId, number: u64) -> Message {
    Message {
        sender: Member::new(sender.clone(), Number(number)),
        body: Body::Answer,
    }
}

fn ends() -> [(Epoch, Timestamp); 2] {
    [
        (Epoch::ZERO, Timestamp(0)),
        (Epoch(u64::MAX), Timestamp(u64::MAX)),
    ]
}

/// Returns a member with an id of 64 characters, with every permitted kind of character.
fn longest(index: usize) -> Member {
    let text = alloc::format!("{:A<60}._-{index}", "z0");
    let id = text
        .parse()
        .unwrap_or_else(|_| unreachable!("63 characters and a digit"));
    let mut member = Member::new(id, Number(u64::MAX - index as u64))
        .with_priority(u8::MAX)
        .as_observer();
    member.eligible = false;
    member
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn they_differ_and_reach_every_limit() {
        let sender = longest(1).rank.id;
        assert_eq!(sender.as_str().len(), 64);
        let samples = samples(&sender);
        let numbers: BTreeSet<Number> = samples.iter().map(|message| message.sender.rank.number).collect();
        assert_eq!(numbers.len(), samples.len());
        let kinds: BTreeSet<_> = samples
            .iter()
            .map(|message| alloc::format!("{:?}", core::mem::discriminant(&message.body)))
            .collect();
        assert_eq!(kinds.len(), 11, "one for every kind");
        assert!(matches!(
            largest(&sender).body,
            Body::HeartbeatAck { roster: Some(roster), .. } if roster.members.len() == Roster::LIMIT
        ));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_keeps_them() {
        for message in samples(&longest(2).rank.id) {
            let json = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
        }
    }
}
