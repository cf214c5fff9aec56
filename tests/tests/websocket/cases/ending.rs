use super::greeted;
use crate::observe::{Case, Seen, Start, Step, closed, new_command};

/// Connections that end, or do not, without a word.
pub(crate) fn cases() -> Vec<Case> {
    let half = || Step::Send(new_command()[..40].to_vec());
    vec![
        greeted(
            "end of the stream without close",
            "7.1.1",
            vec![Step::Finish],
            Seen::Ended,
        ),
        greeted(
            "end of the stream in a frame",
            "7.1.7",
            vec![half(), Step::Finish],
            Seen::Ended,
        ),
        greeted("reset", "7.1.1", vec![Step::Reset], Seen::Nothing),
        greeted(
            "reset in a frame",
            "7.1.7",
            vec![half(), Step::Reset],
            Seen::Nothing,
        ),
        greeted(
            "reset after a command",
            "7.1.1",
            vec![Step::Send(new_command()), Step::Reset],
            Seen::Nothing,
        ),
        Case {
            name: "reset after the handshake",
            section: "7.1.1",
            start: Start::Upgraded,
            steps: vec![Step::Reset],
            seen: Seen::Nothing,
        },
        greeted(
            "silence, pings not answered",
            "5.5.2",
            vec![Step::Silence],
            closed(4408),
        ),
    ]
}
