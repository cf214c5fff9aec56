mod closing;
mod control;
mod ending;
mod fragments;
mod frames;
mod handshake;
mod text;

use crate::observe::{Case, Seen, Start, Step};

pub(crate) fn all() -> Vec<Case> {
    [
        handshake::cases(),
        frames::cases(),
        fragments::cases(),
        control::cases(),
        text::cases(),
        closing::cases(),
        ending::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes a case after `hello`.
fn greeted(name: &'static str, section: &'static str, steps: Vec<Step>, seen: Seen) -> Case {
    Case {
        name,
        section,
        start: Start::Greeted,
        steps,
        seen,
    }
}

/// Makes a case after `hello` in which these bytes are sent.
fn sent(name: &'static str, section: &'static str, bytes: Vec<u8>, seen: Seen) -> Case {
    greeted(name, section, vec![Step::Send(bytes)], seen)
}
