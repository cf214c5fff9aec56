use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::json::push_hex;

/// The id of a command: a UUID of version 7 (RFC 9562, section 5.7).
///
/// The first 48 bits are the time at which the id was made, in milliseconds since the Unix epoch. A
/// server remembers ids for a limited time. The time inside the id distinguishes a new id from a
/// forgotten id. The server refuses a forgotten id and does not execute the command again.
///
/// Upper-case and lower-case digits mean the same (RFC 9562, section 4), so ids that differ only in
/// case are equal. An id is written in the case in which it was read, since a client may compare
/// texts.
#[derive(Clone, Copy, Debug)]
pub struct CommandId {
    uuid: Uuid,
    /// One bit for each of the 32 digits, the first digit's highest: set if the digit was
    /// upper-case.
    capitals: u32,
}

impl CommandId {
    /// Stands in a frame that the reader discards, because its id was not readable.
    pub(crate) const NIL: Self = Self {
        uuid: Uuid::nil(),
        capitals: 0,
    };

    /// Makes an id from the server's time and 80 random bits, of which 74 are used.
    ///
    /// `server_time` is the time since the Unix epoch, from the server's `hello_ok`. So a client
    /// with a wrong clock makes ids that the server accepts.
    pub fn mint(server_time: Duration, random: [u8; 10]) -> Self {
        let millis = u64::try_from(server_time.as_millis()).unwrap_or(u64::MAX);
        Self {
            uuid: uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid(),
            capitals: 0,
        }
    }

    /// Returns the time at which the id was made, since the Unix epoch.
    pub fn minted_at(self) -> Duration {
        let bytes = self.uuid.as_bytes();
        let millis = bytes[..6]
            .iter()
            .fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
        Duration::from_millis(millis)
    }

    /// Returns the usual form: 8-4-4-4-12 digits, in the case in which they were read.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, byte) in self.uuid.as_bytes().iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            push_hex(&mut text, *byte);
        }
        if self.capitals == 0 {
            return text;
        }
        let mut capitals = self.capitals;
        let spelled = text.chars().map(|c| {
            if c == '-' {
                return c;
            }
            let capital = capitals & FIRST_DIGIT != 0;
            capitals <<= 1;
            if capital { c.to_ascii_uppercase() } else { c }
        });
        spelled.collect()
    }

    /// Returns the 16 bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }
}

/// Returns the bit of an id's first digit.
const FIRST_DIGIT: u32 = 1 << 31;

impl PartialEq for CommandId {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl Eq for CommandId {}

impl Hash for CommandId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl PartialOrd for CommandId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CommandId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl Serialize for CommandId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The text is not a UUID of version 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCommandId(String);

impl InvalidCommandId {
    /// Returns the fault as a text.
    pub fn text(&self) -> String {
        let such_as = "\" is not a UUID of version 7, such as 0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e";
        ["\"", &self.0, such_as].concat()
    }
}

impl fmt::Display for InvalidCommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for InvalidCommandId {}

impl FromStr for CommandId {
    type Err = InvalidCommandId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCommandId(text.chars().take(64).collect());
        let id = hyphenated(text.as_bytes()).ok_or_else(invalid)?;
        if id.uuid.get_version_num() != 7 || id.uuid.get_variant() != uuid::Variant::RFC4122 {
            return Err(invalid());
        }
        Ok(id)
    }
}

/// Reads the usual form only, 8-4-4-4-12 digits. The uuid crate reads five forms, and a page would
/// have to load its code.
fn hyphenated(text: &[u8]) -> Option<CommandId> {
    let mut bytes = [0; 16];
    let mut digits = 0;
    let mut capitals = 0;
    for (at, byte) in text.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        let pair = bytes.get_mut(digits / 2)?;
        *pair = *pair << 4 | u8::try_from(digit).ok()?;
        if byte.is_ascii_uppercase() {
            capitals |= FIRST_DIGIT >> digits;
        }
        digits += 1;
    }
    (digits == 32).then(|| CommandId {
        uuid: Uuid::from_bytes(bytes),
        capitals,
    })
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_its_time() {
        let at = Duration::from_millis(1_795_000_123_456);
        let id = CommandId::mint(at, [0xab; 10]);
        assert_eq!(id.minted_at(), at);
        assert_eq!(id.to_string().parse::<CommandId>(), Ok(id));
    }

    #[test]
    fn is_written_as_it_was_read_and_means_the_same_in_capitals() {
        let small: CommandId = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
        for text in [
            "0198C5E2-7A60-7B3C-9D1E-3F2A5B6C7D8E",
            "0198c5E2-7a60-7B3c-9d1e-3f2a5b6C7d8E",
        ] {
            let id: CommandId = text.parse().unwrap();
            assert_eq!(id.text(), text);
            assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
            assert_eq!((id, id.cmp(&small)), (small, Ordering::Equal));
            assert!(std::collections::HashSet::from([small]).contains(&id));
        }
    }

    #[test]
    fn refuses_other_versions_and_other_text() {
        for text in [
            "",
            "x",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "0198c5e27a607b3c9d1e3f2a5b6c7d8e",
            "{0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e}",
            "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8",
            "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e0",
            "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8-",
            "0198c5e2-7a60-7b3c09d1e-3f2a5b6c7d8e",
            "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8ä",
            &"7".repeat(100_000),
        ] {
            assert!(text.parse::<CommandId>().is_err(), "{text:.40}");
        }
    }
}
