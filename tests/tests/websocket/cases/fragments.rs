use bellwether_protocol::MAX_MESSAGE_BYTES;
use bellwether_testkit::{RawFrame, opcode};

use super::{greeted, sent};
use crate::observe::{Case, Seen, Step, closed, executes, new_command_text};

pub(crate) fn cases() -> Vec<Case> {
    let begin = |part: &[u8]| RawFrame::fragment(opcode::TEXT, part).bytes();
    let go_on = |part: &[u8]| RawFrame::fragment(opcode::CONTINUATION, part).bytes();
    let end = |part: &[u8]| RawFrame::new(opcode::CONTINUATION, part).bytes();
    // A command in fragments of this size, with something between them.
    let in_parts = |size: usize, between: &[u8]| {
        let text = new_command_text().into_bytes();
        let (first, rest) = text.split_at(size);
        let rest: Vec<u8> = rest
            .chunks(size)
            .flat_map(|part| [go_on(part), between.to_vec()].concat())
            .collect();
        [begin(first), between.to_vec(), rest, end(b"")].concat()
    };
    let ping = RawFrame::new(opcode::PING, b"between".as_slice()).bytes();
    let half = || vec![b'x'; MAX_MESSAGE_BYTES / 2 + 1];
    vec![
        sent("a text in three", "5.4", in_parts(50, b""), executes(1)),
        sent(
            "a text in one for each byte",
            "5.4",
            in_parts(1, b""),
            executes(1),
        ),
        sent(
            "with empty ones between",
            "5.4",
            in_parts(30, &go_on(b"")),
            executes(1),
        ),
        sent(
            "with pings between",
            "5.4",
            in_parts(30, &ping),
            Seen::GoesOn {
                executed: 1,
                ponged: true,
            },
        ),
        sent("a continuation of nothing", "5.4", end(b"x"), closed(1002)),
        sent(
            "a continuation of nothing, to be continued",
            "5.4",
            go_on(b"x"),
            closed(1002),
        ),
        sent(
            "a new text within a text",
            "5.4",
            [begin(b"{"), RawFrame::new(opcode::TEXT, "{}").bytes()].concat(),
            closed(1002),
        ),
        sent(
            "a binary within a text",
            "5.4",
            [begin(b"{"), RawFrame::new(opcode::BINARY, "{}").bytes()].concat(),
            closed(1002),
        ),
        sent(
            "a close within a text",
            "5.5.1",
            [begin(b"{"), RawFrame::close(1000, b"").bytes()].concat(),
            closed(1000),
        ),
        sent(
            "a binary in two",
            "5.6",
            [RawFrame::fragment(opcode::BINARY, "{").bytes(), end(b"}")].concat(),
            closed(1003),
        ),
        sent(
            "more than the limit together",
            "7.4.1",
            [begin(&half()), end(&half())].concat(),
            closed(1009),
        ),
        greeted(
            "the first one, then silence",
            "5.4",
            vec![Step::Send(begin(b"{")), Step::Silence],
            closed(4408),
        ),
    ]
}
