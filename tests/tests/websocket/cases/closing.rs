use bellwether_testkit::{RawFrame, opcode};

use super::sent;
use crate::observe::{Case, Seen, closed, new_command};

pub(crate) fn cases() -> Vec<Case> {
    let close = |code, reason: &[u8]| RawFrame::close(code, reason).bytes();
    let body = |bytes: &[u8]| RawFrame::new(opcode::CLOSE, bytes).bytes();
    vec![
        sent("close, empty", "5.5.1", body(b""), Seen::Closed(None)),
        sent("close 1000", "5.5.1", close(1000, b""), closed(1000)),
        sent(
            "close 1001 with a reason",
            "5.5.1",
            close(1001, b"gone"),
            closed(1001),
        ),
        sent("close 3000", "7.4.2", close(3000, b""), closed(3000)),
        sent("close 4999", "7.4.2", close(4999, b""), closed(4999)),
        sent("close 999", "7.4.2", close(999, b""), closed(1002)),
        sent("close 1004", "7.4.1", close(1004, b""), closed(1002)),
        sent("close 1005", "7.4.1", close(1005, b""), closed(1002)),
        sent("close 1006", "7.4.1", close(1006, b""), closed(1002)),
        sent("close 1015", "7.4.1", close(1015, b""), closed(1002)),
        sent("close 2999", "7.4.2", close(2999, b""), closed(1002)),
        sent("close 5000", "7.4.2", close(5000, b""), closed(1002)),
        sent("close with one byte", "5.5.1", body(b"\x03"), closed(1002)),
        sent(
            "close with 126 bytes",
            "5.5",
            close(1000, &[b'x'; 124]),
            closed(1002),
        ),
        sent(
            "close with a reason that is no UTF-8",
            "5.5.1",
            close(1000, b"\xff"),
            closed(1007),
        ),
        sent(
            "a close in fragments",
            "5.5",
            RawFrame::fragment(opcode::CLOSE, [3, 232]).bytes(),
            closed(1002),
        ),
        sent(
            "a command after close",
            "5.5.1",
            [close(1000, b""), new_command()].concat(),
            closed(1000),
        ),
    ]
}
