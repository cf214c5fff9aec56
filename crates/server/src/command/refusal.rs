//! The reason why the server refuses a command, with the place of the reason in the command.

use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};

/// Longest text about one fault, in characters.
const MAX_CHARS: usize = 300;

/// The refusal of a command that was not executed. It is built at the field at fault; every level
/// above it adds its step to the path.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    what: String,
    hint: Option<String>,
    /// The way to the field, innermost step first.
    path: Vec<String>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, what: impl Into<String>) -> Self {
        Self {
            code,
            what: shortened(what.into()),
            hint: None,
            path: Vec::new(),
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn inside(mut self, field: &str) -> Self {
        self.path.push(format!(".{field:.64}"));
        self
    }

    pub(super) fn inside_item(mut self, index: usize) -> Self {
        self.path.push(format!("[{index}]"));
        self
    }

    pub(super) fn into_frame(self) -> ErrorFrame {
        let path: String = match self.code {
            // The path would be as long as the nesting is deep.
            ErrorCode::TooDeep => String::new(),
            _ => self.path.into_iter().rev().collect(),
        };
        let message = match path.strip_prefix('.').unwrap_or(&path) {
            "" => self.what,
            path => format!("{path}: {}", self.what),
        };
        let frame = ErrorFrame::new(self.code, Outcome::NotExecuted, message);
        match self.hint {
            Some(hint) => frame.with_hint(hint),
            None => frame,
        }
    }
}

/// Shortens a message, which may quote the client's text. That may be as long as a command.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(super) fn bad_command(what: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::BadCommand, what)
}

pub(super) fn not_allowed(what: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::CommandNotAllowed, what)
}
