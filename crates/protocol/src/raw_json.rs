use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{NotJson, only_object};

/// JSON as it was written. It keeps the order of fields and all digits of numbers, because the text
/// is never converted to values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson(Box<str>);

impl RawJson {
    /// Checks that the text is one JSON object, and keeps it without the white space around it.
    ///
    /// # Errors
    /// [`NotJson`] names the fault and its place.
    pub fn object(text: &str) -> Result<Self, NotJson> {
        only_object(text).map(|object| Self(object.into()))
    }

    /// Returns JSON from a text that was checked before.
    pub(crate) fn checked(json: &str) -> Self {
        Self(json.into())
    }

    /// Keeps a text that the caller has written as one JSON object without white space around it.
    ///
    /// The text is not checked. This function is for programs that write a reply of many megabytes
    /// and do not want to read it again. A frame with any other text is no JSON, and its receiver
    /// closes the connection.
    pub fn from_trusted(object: String) -> Self {
        Self(object.into_boxed_str())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(json: Box<RawValue>) -> Self {
        Self(json.into())
    }
}

impl Serialize for RawJson {
    /// Writes the text unchanged, or `null` if the text is no JSON, which only
    /// [`from_trusted`](Self::from_trusted) allows.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(json) => json.serialize(serializer),
            Err(_) => serializer.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}
