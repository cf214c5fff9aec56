use bellwether_protocol::MAX_MESSAGE_BYTES;
use bellwether_testkit::{Length, RawFrame, opcode};

use super::{greeted, sent};
use crate::observe::{Case, Step, closed, executes, new_command, new_command_text};

/// Masks, lengths, reserved bits and opcodes, kinds of messages.
pub(crate) fn cases() -> Vec<Case> {
    let text = || RawFrame::new(opcode::TEXT, new_command_text());
    let masked_with = |mask, opcode, payload: Vec<u8>| {
        RawFrame {
            mask,
            ..RawFrame::new(opcode, payload)
        }
        .bytes()
    };
    let of = |opcode| RawFrame::new(opcode, b"x".as_slice());
    let with_bits = |bits: u8| {
        let frame = text();
        RawFrame {
            first_byte: frame.first_byte | bits,
            ..frame
        }
        .bytes()
    };
    let claims = |length| text().with(Length::Claimed(length)).bytes();
    let too_long = || vec![b'x'; MAX_MESSAGE_BYTES + 1];
    vec![
        sent(
            "a mask of zeros",
            "5.3",
            masked_with(Some([0; 4]), opcode::TEXT, new_command_text().into_bytes()),
            executes(1),
        ),
        sent(
            "a text without a mask",
            "5.1",
            masked_with(None, opcode::TEXT, new_command_text().into_bytes()),
            closed(1002),
        ),
        sent(
            "a ping without a mask",
            "5.1",
            masked_with(None, opcode::PING, Vec::new()),
            closed(1002),
        ),
        sent(
            "a close without a mask",
            "5.1",
            masked_with(None, opcode::CLOSE, vec![3, 232]),
            closed(1002),
        ),
        sent(
            "a short length in 16 bits",
            "5.2",
            text().with(Length::In16Bits).bytes(),
            executes(1),
        ),
        sent(
            "a short length in 64 bits",
            "5.2",
            text().with(Length::In64Bits).bytes(),
            executes(1),
        ),
        sent(
            "a length with its highest bit",
            "5.2",
            claims(1 << 63 | 100),
            closed(1009),
        ),
        sent("a length of 2⁶² announced", "5.2", claims(1 << 62), closed(1009)),
        sent(
            "one byte more than the limit announced",
            "7.4.1",
            claims(MAX_MESSAGE_BYTES as u64 + 1),
            closed(1009),
        ),
        sent(
            "one byte more than the limit",
            "7.4.1",
            RawFrame::new(opcode::TEXT, too_long()).bytes(),
            closed(1009),
        ),
        sent(
            "as long as the limit, and no JSON",
            "5.6",
            RawFrame::new(opcode::TEXT, &too_long()[1..]).bytes(),
            closed(4400),
        ),
        greeted(
            "half a header, then silence",
            "5.2",
            vec![Step::Send(claims(1 << 16)[..5].to_vec()), Step::Silence],
            closed(4408),
        ),
        greeted(
            "half a frame, then silence",
            "5.2",
            vec![Step::Send(new_command()[..40].to_vec()), Step::Silence],
            closed(4408),
        ),
        sent("RSV1, as if compressed", "5.2", with_bits(0x40), closed(1002)),
        sent("RSV2", "5.2", with_bits(0x20), closed(1002)),
        sent("RSV3", "5.2", with_bits(0x10), closed(1002)),
        sent("opcode 3", "5.2", of(3).bytes(), closed(1002)),
        sent("opcode 7", "5.2", of(7).bytes(), closed(1002)),
        sent("opcode 11", "5.2", of(11).bytes(), closed(1002)),
        sent("opcode 15", "5.2", of(15).bytes(), closed(1002)),
        sent(
            "binary",
            "5.6",
            RawFrame::new(opcode::BINARY, new_command_text()).bytes(),
            closed(1003),
        ),
        sent(
            "binary, empty",
            "5.6",
            RawFrame::new(opcode::BINARY, "").bytes(),
            closed(1003),
        ),
        sent(
            "text, empty",
            "5.6",
            RawFrame::new(opcode::TEXT, "").bytes(),
            closed(4400),
        ),
        sent(
            "ten commands in one segment",
            "5.2",
            (0..10).flat_map(|_| new_command()).collect(),
            executes(10),
        ),
        greeted(
            "a command in segments of one byte",
            "5.2",
            vec![Step::Trickle(new_command(), std::time::Duration::ZERO)],
            executes(1),
        ),
    ]
}
