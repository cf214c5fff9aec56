use bellwether_testkit::{RawFrame, opcode};

use super::{greeted, sent};
use crate::observe::{Case, Step, closed, executes};

pub(crate) fn cases() -> Vec<Case> {
    let text = |bytes: &[u8]| RawFrame::new(opcode::TEXT, bytes).bytes();
    let parts = |first: &[u8], last: &[u8]| {
        [
            RawFrame::fragment(opcode::TEXT, first).bytes(),
            RawFrame::new(opcode::CONTINUATION, last).bytes(),
        ]
        .concat()
    };
    // "é" is C3 A9.
    let command = crate::observe::new_command_text()
        .replace("notes", "caf\u{e9}")
        .into_bytes();
    let within = command.iter().position(|byte| *byte == 0xa9).unwrap_or_default();
    let (first, last) = command.split_at(within);
    vec![
        sent(
            "a character in two fragments",
            "5.6",
            parts(first, last),
            executes(1),
        ),
        sent(
            "a byte that is none of UTF-8",
            "8.1",
            text(b"{\"\xff\"}"),
            closed(1007),
        ),
        sent(
            "a character cut off at the end",
            "8.1",
            text(b"{\"\xc3"),
            closed(1007),
        ),
        sent(
            "longer than it need be, C0 80",
            "8.1",
            text(b"{\"\xc0\x80\"}"),
            closed(1007),
        ),
        sent(
            "half a surrogate, ED A0 80",
            "8.1",
            text(b"{\"\xed\xa0\x80\"}"),
            closed(1007),
        ),
        sent(
            "beyond U+10FFFF",
            "8.1",
            text(b"{\"\xf4\x90\x80\x80\"}"),
            closed(1007),
        ),
        sent(
            "wrong across two fragments",
            "8.1",
            parts(b"{\"\xc3", b"\x28\"}"),
            closed(1007),
        ),
        greeted(
            "wrong in a fragment that others should follow",
            "8.1",
            vec![
                Step::Send(RawFrame::fragment(opcode::TEXT, b"{\"\xff".as_slice()).bytes()),
                Step::Silence,
            ],
            closed(1007),
        ),
    ]
}
