use bellwether_testkit::{RawFrame, opcode};

use super::sent;
use crate::observe::{Case, GOES_ON, Seen, closed, new_command};

const PONGED: Seen = Seen::GoesOn {
    executed: 0,
    ponged: true,
};

pub(crate) fn cases() -> Vec<Case> {
    let ping = |bytes: usize| RawFrame::new(opcode::PING, vec![b'x'; bytes]).bytes();
    let pong = |bytes: usize| RawFrame::new(opcode::PONG, vec![b'x'; bytes]).bytes();
    vec![
        sent("a ping, empty", "5.5.2", ping(0), PONGED),
        sent("a ping of 125 bytes", "5.5", ping(125), PONGED),
        sent("a ping of 126 bytes", "5.5", ping(126), closed(1002)),
        sent(
            "a ping in fragments",
            "5.5",
            RawFrame::fragment(opcode::PING, "x").bytes(),
            closed(1002),
        ),
        sent(
            "a ping between two commands",
            "5.5.2",
            [new_command(), ping(5), new_command()].concat(),
            Seen::GoesOn {
                executed: 2,
                ponged: true,
            },
        ),
        sent("10,000 pings in one go", "5.5.2", ping(5).repeat(10_000), PONGED),
        sent("an unsolicited pong", "5.5.3", pong(5), GOES_ON),
        sent("10,000 of them", "5.5.3", pong(0).repeat(10_000), GOES_ON),
        sent("a pong of 126 bytes", "5.5", pong(126), closed(1002)),
        sent(
            "a pong in fragments",
            "5.5",
            RawFrame::fragment(opcode::PONG, "x").bytes(),
            closed(1002),
        ),
    ]
}
