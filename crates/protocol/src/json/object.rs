//! Writes objects, and numbers without `core::fmt`.

/// A JSON object under construction.
#[derive(Clone, Debug)]
pub struct Object(String);

impl Object {
    /// Returns an object without fields.
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a string.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_string(&mut self.0, value);
        self
    }

    /// Adds an integer, `true` or `false`.
    pub fn plain(&mut self, name: &str, value: impl Into<Plain>) -> &mut Self {
        self.unquoted(name, value.into())
    }

    fn unquoted(&mut self, name: &str, value: Plain) -> &mut Self {
        match value {
            Plain::Number(number) => self.raw(name, &decimal(number)),
            Plain::Negative(number) => self.raw(name, &["-", &decimal(number)].concat()),
            Plain::Flag(true) => self.raw(name, "true"),
            Plain::Flag(false) => self.raw(name, "false"),
        }
    }

    /// Adds a value that is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// Returns the text.
    pub fn finish(&mut self) -> String {
        self.0.push('}');
        core::mem::take(&mut self.0)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_string(&mut self.0, name);
        self.0.push(':');
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

/// A JSON value without quotes.
#[derive(Clone, Copy, Debug)]
pub enum Plain {
    /// An integer, 0 or more.
    Number(u64),
    /// An integer below 0, without its sign.
    Negative(u64),
    /// `true` or `false`.
    Flag(bool),
}

impl From<bool> for Plain {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Plain {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Plain {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<u32> for Plain {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<i32> for Plain {
    fn from(number: i32) -> Self {
        let size = number.unsigned_abs().into();
        if number < 0 {
            Self::Negative(size)
        } else {
            Self::Number(size)
        }
    }
}

/// Returns the digits of a number. `Display` would add the code for all formats of numbers.
pub fn decimal(number: u64) -> String {
    let last = (number % 10) as u8;
    let mut digits = match number / 10 {
        0 => String::new(),
        rest => decimal(rest),
    };
    digits.push(char::from(b'0' + last));
    digits
}

/// Appends a string in quotes.
fn write_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            '\n' => json.push_str("\\n"),
            '\0'..='\x1f' => {
                json.push_str("\\u00");
                push_hex(json, c as u8);
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}

/// Appends the two digits of a byte.
pub(crate) fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from(if digit < 10 {
            b'0' + digit
        } else {
            b'a' - 10 + digit
        }));
    }
}
