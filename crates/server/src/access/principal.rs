use core::time::Duration;
use std::time::SystemTime;

/// Time that a token counts after its end and before its beginning, because clocks differ.
pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

/// The issuer of every principal that an API key names. The access file lets no token issuer have
/// this name.
pub(crate) const API_KEY_ISSUER: &str = "bellwether-api-key";

/// An authenticated client. `Debug` shows no token and no API key, because a principal holds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The claim `iss` of the token, or `bellwether-api-key`.
    pub(crate) issuer: String,
    /// The claim `sub` of the token, or the name of the API key. At most 255 characters, none of
    /// them a control character.
    pub(crate) subject: String,
    /// The roles from the token or the API key, in their order.
    pub(crate) roles: Vec<String>,
    /// End of the token or the API key. The server accepts either for 30 s more.
    pub(crate) expires: SystemTime,
}

impl Principal {
    /// Returns `true` if both are the same subject of the same issuer.
    pub(crate) fn is_same_subject(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }

    /// Returns `true` if the token or the API key no longer counts at this time.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        is_over(self.expires, now)
    }
}

/// Returns `true` if this end lies more than the leeway in the past.
pub(super) fn is_over(end: SystemTime, now: SystemTime) -> bool {
    now.duration_since(end).is_ok_and(|since| since > LEEWAY)
}

/// Returns `true` if a text can be a name in logs and answers: 1 to 255 characters, and no control
/// characters.
pub(super) fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
