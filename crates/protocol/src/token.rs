use core::fmt;

use crate::MAX_TOKEN_BYTES;

/// The proof of a client's identity: a JSON Web Token, or an API key. At most 8 KiB of text.
///
/// `Debug` does not show the text, because a log must not have a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Returns the token with this text. Returns `None` if the text is longer than
    /// [`MAX_TOKEN_BYTES`].
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (text.len() <= MAX_TOKEN_BYTES).then_some(Self(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<not shown>)")
    }
}
